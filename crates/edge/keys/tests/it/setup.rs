//! What the tests share: a folder, an authority, a device with a certificate, and the present moment.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use warden_keys::{CertificateAuthority, ClientIdentity, DeviceKey};
use warden_model::{DeviceId, Seconds, Timestamp};
use warden_trust::TrustDomain;
use warden_trust::identity::check_csr;

/// The real present: TLS looks at the clock itself.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("fleet.example").unwrap()
}

pub(crate) fn device() -> DeviceId {
    DeviceId::new("cam-01").unwrap()
}

pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) authority: CertificateAuthority,
    pub(crate) key: DeviceKey,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::create(&folder.path().join("ca"), "Test CA", now()).unwrap();
        let key = DeviceKey::load_or_create(&folder.path().join("device.key")).unwrap();
        Self { folder, authority, key }
    }

    /// Issues a certificate for the device, valid for a while from `from`.
    pub(crate) fn certificate(&self, from: Timestamp, lifetime: Seconds) -> CertificateDer<'static> {
        let csr = check_csr(&self.key.csr(&device(), &domain()).unwrap()).unwrap();
        self.authority.issue_device(&csr, &device(), &domain(), from, lifetime).unwrap()
    }

    pub(crate) fn identity(&self) -> ClientIdentity {
        let certificate = self.certificate(now(), Seconds::days(7));
        ClientIdentity { chain: vec![certificate], key: self.key.to_tls() }
    }
}
