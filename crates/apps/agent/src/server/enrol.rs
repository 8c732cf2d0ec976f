//! Enrolment over Secure Transport (RFC 7030): a one-time token becomes a certificate; the certificate renews itself.
//!
//! In: the server's address, the fingerprint of its authority, a token. Out: files in the device's `keys` folder.
//! Refuses: an authority with another fingerprint, certificates for another key or name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use warden_keys::{ClientIdentity, DeviceKey, client_config};
use warden_model::{DeviceId, Seconds, Sha256Digest, Timestamp};
use warden_trust::est::{MESSAGE_BYTES_MAX, from_base64, read_certs_only, to_base64};
use warden_trust::identity::device_of_certificate;
use warden_trust::sign::Signer as _;
use warden_trust::{TrustDomain, sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::http::{Client, Method, Send};
use crate::device::dir::{DeviceDir, read_small, write_durably};

/// After a failed renewal, this long until the next try: an hour, of the days that are left.
pub const RENEWAL_PAUSE: Seconds = Seconds(3_600);

/// What a device needs to talk to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The server's address, for instance `https://fleet.example:8443`.
    pub server: String,
    /// The fleet's trust domain.
    pub trust_domain: TrustDomain,
    /// The authority that both sides trust, in DER.
    pub ca: Vec<u8>,
    certificate: Vec<u8>,
    keys: PathBuf,
}

/// What is asked of the server at enrolment.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The server's address.
    pub server: &'a str,
    /// The fleet's trust domain.
    pub trust_domain: TrustDomain,
    /// The SHA-256 fingerprint of the authority.
    pub ca_fingerprint: Sha256Digest,
    /// The one-time token.
    pub token: &'a str,
}

#[derive(Serialize, Deserialize)]
struct ServerFile {
    version: u32,
    server: String,
    trust_domain: String,
}

const FILE_VERSION: u32 = 1;

impl Enrolled {
    /// Reads what an earlier enrolment left.
    pub fn load(dir: &DeviceDir) -> Result<Self> {
        let keys = dir.keys();
        let hint = "this device is not enrolled\nhint: `fleetwarden-agent enrol` enrols it";
        let file: ServerFile = serde_json::from_slice(&read_small(&keys.join("server.json")).context(hint)?)
            .context("read server.json")?;
        if file.version != FILE_VERSION {
            bail!("server.json has version {}, only {FILE_VERSION} is understood", file.version);
        }
        Ok(Self {
            server: file.server,
            trust_domain: TrustDomain::new(file.trust_domain)?,
            ca: read_small(&keys.join("ca.der")).context(hint)?,
            certificate: read_small(&keys.join("device.der")).context(hint)?,
            keys,
        })
    }

    /// Returns the device's key.
    pub fn key(&self) -> Result<DeviceKey> {
        open_key(&self.keys)
    }

    /// Returns the certificates to show.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.certificate.clone())]
    }

    /// Returns when to renew: at half of the certificate's life, a little spread by the device's own key.
    pub fn renew_at(&self) -> Result<Timestamp> {
        let (from, until) = validity(&self.certificate)?;
        let life = until.since(from).0;
        // Up to a tenth of the life later; the digest of a certificate is as good as chance, and the same every time.
        let spread = u64::from(sha256(&self.certificate).0[0]) * life / 2_560;
        Ok(from.plus(Seconds(life / 2 + spread)))
    }

    /// Gets a new certificate for the same key with the present one (RFC 7030 §4.2.2).
    pub fn renew(&mut self, device: &DeviceId) -> Result<()> {
        let key = self.key()?;
        let identity = ClientIdentity { chain: self.chain(), key: key.to_tls() };
        let client = Client::new(client_config(&self.ca, Some(identity))?);
        let certificate =
            request(&client, &self.server, "simplereenroll", None, &key, device, &self.trust_domain)?;
        write_durably(&self.keys.join("device.der"), &certificate)?;
        self.certificate = certificate;
        Ok(())
    }
}

/// Enrols a device with a one-time token (RFC 7030 §4.2.1).
pub fn enrol(dir: &DeviceDir, device: &DeviceId, wanted: &Request<'_>) -> Result<Enrolled> {
    let server = wanted.server.trim_end_matches('/');
    let keys = dir.keys();
    let ca = authority(server, wanted.ca_fingerprint)?;
    // From here on the connection is checked against that authority: only its server sees the token.
    let client = Client::new(client_config(&ca, None).context("trust the server's authority")?);
    let key = open_key(&keys)?;
    let authorization = format!("Basic {}", STANDARD.encode(format!("enrol:{}", wanted.token)));
    let domain = &wanted.trust_domain;
    let certificate = request(&client, server, "simpleenroll", Some(&authorization), &key, device, domain)?;
    let file = ServerFile {
        version: FILE_VERSION,
        server: server.to_owned(),
        trust_domain: domain.as_str().to_owned(),
    };
    write_durably(&keys.join("ca.der"), &ca)?;
    write_durably(&keys.join("device.der"), &certificate)?;
    // Last: a device with this file is enrolled.
    write_durably(&keys.join("server.json"), &serde_json::to_vec_pretty(&file)?)?;
    Enrolled::load(dir)
}

fn open_key(keys: &Path) -> Result<DeviceKey> {
    fs::create_dir_all(keys).with_context(|| format!("make {}", keys.display()))?;
    DeviceKey::load_or_create(&keys.join("device.key")).context("open the device's key")
}

/// Fetches the authority's certificate (RFC 7030 §4.1.1: bootstrap, the answer is believed by its fingerprint alone).
fn authority(server: &str, fingerprint: Sha256Digest) -> Result<Vec<u8>> {
    let url = format!("{server}/.well-known/est/cacerts");
    let answer = Client::believing_anybody().get(&url, MESSAGE_BYTES_MAX.0)?;
    if !answer.is_success() {
        bail!("{url} is answered with status {}: {}", answer.status, answer.words());
    }
    let certificates = read_certs_only(&from_base64(&answer.body)?)?;
    let seen: Vec<Sha256Digest> = certificates.iter().map(|der| sha256(der)).collect();
    certificates.into_iter().find(|der| sha256(der) == fingerprint).with_context(|| {
        format!(
            "the server's authority has the fingerprint {seen:?}, not {fingerprint}\n\
             hint: compare `--ca-fingerprint` with what the server shows; if it is right, somebody is in between"
        )
    })
}

fn request(
    client: &Client,
    server: &str,
    operation: &str,
    authorization: Option<&str>,
    key: &DeviceKey,
    device: &DeviceId,
    domain: &TrustDomain,
) -> Result<Vec<u8>> {
    let url = format!("{server}/.well-known/est/{operation}");
    let body = to_base64(&key.csr(device, domain)?);
    let send = Send {
        method: Method::Post,
        content_type: "application/pkcs10",
        authorization,
        body: body.as_bytes(),
    };
    let answer = client.send(&url, &send, MESSAGE_BYTES_MAX.0)?;
    if !answer.is_success() {
        bail!("the server refuses ({}): {}", answer.status, answer.words());
    }
    let certificates = read_certs_only(&from_base64(&answer.body)?)?;
    let ours = |der: &Vec<u8>| {
        device_of_certificate(der, domain)
            .is_ok_and(|(id, public)| id == *device && public == key.public_key())
    };
    certificates
        .into_iter()
        .find(ours)
        .context("the server answered without a certificate for this device's key")
}

fn validity(certificate: &[u8]) -> Result<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("read the device's certificate")?;
    let millis = |seconds: i64| Timestamp(seconds.saturating_mul(1_000));
    let validity = parsed.validity();
    Ok((millis(validity.not_before.timestamp()), millis(validity.not_after.timestamp())))
}
