//! The certificate authority for devices and servers: checked requests, names and `now` in, certificates out; refuses
//! lifetimes without end, names that are none, and requests that ask for another name than they get.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use time::OffsetDateTime;
use warden_model::{DeviceId, Seconds, Sha256Digest, Timestamp};
use warden_trust::TrustDomain;
use warden_trust::identity::{Csr, spiffe_uri};
use warden_trust::sign::{KeyScheme, Signer as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::file::{self, KeyFileError, Readers};
use crate::key::{CertificateSigner, Key};
use crate::signer::FileSigner;
use crate::tls::ServerIdentity;

/// How long before `now` a certificate begins to be valid. The clocks of devices lag: a certificate that begins on the
/// server's very second would be "not yet valid" for a device that is a minute behind.
pub const BACKDATED: Seconds = Seconds(5 * 60);

/// How long the authority itself is valid: as long as devices get updates (CRA Art. 13(9): at least ten years).
pub const AUTHORITY_LIFETIME: Seconds = Seconds::days(3653);

/// Longest lifetime of an issued certificate: what browsers allow for servers. Devices get days.
pub const LIFETIME_MAX: Seconds = Seconds::days(398);

/// Most names of one server certificate: a host has a few names and addresses.
pub const SERVER_NAMES_MAX: usize = 32;

/// Longest name of an authority, in characters (RFC 5280, ub-common-name).
pub const NAME_CHARACTERS_MAX: usize = 64;

const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.crt";

/// A certificate that was not issued, or an authority that could not be opened.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file failed.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The folder could not be made.
    #[error("make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate is not the one of the key, or none of an authority.
    #[error("{} is not the certificate of the key beside it", path.display())]
    Mismatch {
        /// The certificate file.
        path: PathBuf,
    },
    /// The name of the authority is empty or too long.
    #[error("{name:?} cannot name an authority: 1 to {NAME_CHARACTERS_MAX} characters are allowed")]
    AuthorityName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// The lifetime is none, or too long.
    #[error("a certificate cannot be valid for {lifetime}: 1 s to {LIFETIME_MAX} are allowed")]
    Lifetime {
        /// The lifetime.
        lifetime: Seconds,
    },
    /// The moment cannot be written into a certificate, or the authority is not valid then.
    #[error("no certificate can be issued at {now}: the authority is valid from {from} to {until}")]
    Moment {
        /// The moment.
        now: Timestamp,
        /// When the authority begins to be valid.
        from: Timestamp,
        /// When it ends.
        until: Timestamp,
    },
    /// The request asks for a name that it does not get.
    #[error("the request asks for {asked:?}, but it would be issued for {granted}")]
    OtherName {
        /// What it asks for, cut to 200 characters.
        asked: String,
        /// What it would get.
        granted: String,
    },
    /// The server's name is no DNS name and no address.
    #[error("{name:?} is no DNS name and no IP address")]
    ServerName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// There are no names, or too many.
    #[error("a server certificate has 1 to {SERVER_NAMES_MAX} names, not {found}")]
    ServerNames {
        /// How many came.
        found: usize,
    },
    /// The system gave no random bytes.
    #[error("get random bytes for a {what}")]
    Random {
        /// What they were for.
        what: &'static str,
    },
    /// The certificate could not be made.
    #[error("make the certificate for {subject}")]
    Make {
        /// Whom it was for.
        subject: String,
        /// Why not.
        source: rcgen::Error,
    },
}

/// A certificate authority in a folder: `ca.key` and `ca.crt`.
#[derive(Debug)]
pub struct CertificateAuthority {
    key: FileSigner,
    certificate: CertificateDer<'static>,
    valid: (Timestamp, Timestamp),
}

impl CertificateAuthority {
    /// Makes a new authority in a folder; refuses to replace one.
    ///
    /// A key without a certificate is what a power cut leaves behind: it is completed.
    pub fn create(dir: &Path, name: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        if !(1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) {
            return Err(AuthorityError::AuthorityName { name: name.chars().take(80).collect() });
        }
        std::fs::create_dir_all(dir)
            .map_err(|source| AuthorityError::Folder { path: dir.to_owned(), source })?;
        let certificate_path = dir.join(CERTIFICATE_FILE);
        if std::fs::symlink_metadata(&certificate_path).is_ok() {
            return Err(KeyFileError::Exists { path: certificate_path }.into());
        }
        let key = match FileSigner::create(&dir.join(KEY_FILE), KeyScheme::EcdsaP256) {
            Err(KeyFileError::Exists { path }) => FileSigner::open(&path)?,
            outcome => outcome?,
        };
        let params = authority_params(name, now)?;
        let certificate = params
            .self_signed(&CertificateSigner::new(&key))
            .map_err(|source| AuthorityError::Make { subject: name.to_owned(), source })?;
        file::write_new(&certificate_path, "CERTIFICATE", certificate.der(), Readers::All)?;
        Self::open(dir)
    }

    /// Opens the authority of a folder.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let path = dir.join(CERTIFICATE_FILE);
        let key = FileSigner::open(&dir.join(KEY_FILE))?;
        let certificate = file::read_certificate(&path)?;
        let mismatch = || AuthorityError::Mismatch { path: path.clone() };
        let valid = {
            let Ok((&[], parsed)) = X509Certificate::from_der(&certificate) else { return Err(mismatch()) };
            if parsed.public_key().raw != key.public_key().to_spki() || !parsed.is_ca() {
                return Err(mismatch());
            }
            let moment = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
            let validity = parsed.validity();
            (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()))
        };
        Ok(Self { key, certificate, valid })
    }

    /// Returns the authority's certificate in DER.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the digest of the certificate: what people compare, and what an agent may be told beforehand.
    pub fn fingerprint(&self) -> Sha256Digest {
        warden_trust::sha256(&self.certificate)
    }

    /// Issues a device certificate: the URI of the device as its only name, for TLS clients, no authority; with the
    /// key of the request and nothing else of it. Ends with the authority at the latest.
    pub fn issue_device(
        &self,
        csr: &Csr,
        device: &DeviceId,
        trust_domain: &TrustDomain,
        now: Timestamp,
        lifetime: Seconds,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let uri = spiffe_uri(trust_domain, device);
        if let Some(other) = csr.uris.iter().find(|asked| **asked != uri) {
            return Err(AuthorityError::OtherName { asked: other.chars().take(200).collect(), granted: uri });
        }
        let failed = |source| AuthorityError::Make { subject: device.to_string(), source };
        let mut params = self.leaf_params(ExtendedKeyUsagePurpose::ClientAuth, now, lifetime)?;
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().map_err(failed)?)];
        let key = rcgen::SubjectPublicKeyInfo::from_der(&csr.public_key.to_spki()).map_err(failed)?;
        self.sign(&params, &key).map_err(failed)
    }

    /// Issues a server certificate with a new key that lives in memory only.
    pub fn issue_server(
        &self,
        names: &[String],
        now: Timestamp,
        lifetime: Seconds,
    ) -> Result<ServerIdentity, AuthorityError> {
        if !(1..=SERVER_NAMES_MAX).contains(&names.len()) {
            return Err(AuthorityError::ServerNames { found: names.len() });
        }
        let mut params = self.leaf_params(ExtendedKeyUsagePurpose::ServerAuth, now, lifetime)?;
        params.subject_alt_names = names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        let key = Key::generate(KeyScheme::EcdsaP256).ok_or(AuthorityError::Random { what: "server key" })?;
        let failed = |source| AuthorityError::Make { subject: names.join(", "), source };
        let spki = rcgen::SubjectPublicKeyInfo::from_der(&key.public_key().to_spki()).map_err(failed)?;
        let certificate = self.sign(&params, &spki).map_err(failed)?;
        // The authority goes along, so that a device that was told only its fingerprint can find it.
        Ok(ServerIdentity { chain: vec![certificate, self.certificate.clone()], key: key.to_tls() })
    }

    fn leaf_params(
        &self,
        usage: ExtendedKeyUsagePurpose,
        now: Timestamp,
        lifetime: Seconds,
    ) -> Result<CertificateParams, AuthorityError> {
        if lifetime == Seconds(0) || lifetime > LIFETIME_MAX {
            return Err(AuthorityError::Lifetime { lifetime });
        }
        let (from, until) = self.valid;
        if now < from || now >= until {
            return Err(AuthorityError::Moment { now, from, until });
        }
        let mut params = CertificateParams::default();
        // RFC 5280 §4.1.2.6: without a subject, the alternative names are critical (and `rcgen` marks them so).
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(serial_number()?);
        params.not_before = moment(backdated(now).max(from), self.valid)?;
        params.not_after = moment(now.plus(lifetime).min(until), self.valid)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &rcgen::SubjectPublicKeyInfo,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate, CertificateSigner::new(&self.key))?;
        Ok(params.signed_by(key, &issuer)?.der().clone())
    }
}

fn authority_params(name: &str, now: Timestamp) -> Result<CertificateParams, AuthorityError> {
    let valid = (backdated(now), now.plus(AUTHORITY_LIFETIME));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial_number()?);
    params.not_before = moment(valid.0, valid)?;
    params.not_after = moment(valid.1, valid)?;
    // It signs devices and servers, never another authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn backdated(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub_unsigned(BACKDATED.0 * 1000))
}

/// Makes a serial number: 16 random bytes, positive and never shorter (RFC 5280 §4.1.2.2: at most 20 bytes).
fn serial_number() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthorityError::Random { what: "serial number" })?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// Puts a moment into the form of certificates, which know the years 0 to 9999 (RFC 5280 §4.1.2.5).
fn moment(at: Timestamp, valid: (Timestamp, Timestamp)) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(at.unix_seconds())
        .ok()
        .filter(|moment| (0..=9999).contains(&moment.year()))
        .ok_or(AuthorityError::Moment { now: at, from: valid.0, until: valid.1 })
}

fn server_name(name: &str) -> Result<SanType, AuthorityError> {
    let refused = || AuthorityError::ServerName { name: name.chars().take(80).collect() };
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(dns)) => Ok(SanType::DnsName(dns.as_ref().try_into().map_err(|_| refused())?)),
        Ok(ServerName::IpAddress(address)) => Ok(SanType::IpAddress(address.into())),
        Ok(_) | Err(_) => Err(refused()),
    }
}
