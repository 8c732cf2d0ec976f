//! Who a device is: certificates and certification requests in, a device id and its key out; refuses other trust
//! domains, certificates that could sign others, and requests that ask for more than a device may have.
//!
//! The identity stands in one place only: a single URI among the subject alternative names,
//! `spiffe://<trust domain>/device/<id>`. The subject is for people and is never read.

use thiserror::Error;
use warden_model::{ByteCount, DeviceId};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::sign::PublicKey;

/// Largest certificate that is read: ours take 700 bytes; 16 KiB is what TLS stacks commonly allow for a chain.
pub const CERTIFICATE_BYTES_MAX: ByteCount = ByteCount::kib(16);

/// Largest certification request that is read: with a P-256 key and a name it takes 400 bytes; RSA keys are refused.
pub const CSR_BYTES_MAX: ByteCount = ByteCount::kib(8);

/// Longest trust domain, in bytes (SPIFFE-ID §2.1: at most 255).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// A trust domain: all identities that one authority hands out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Checks a name (SPIFFE-ID §2.1): lower-case letters, digits, `.`, `-`, `_`.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentityError> {
        let name = name.into();
        let fits = (1..=TRUST_DOMAIN_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b));
        if fits {
            Ok(Self(name))
        } else {
            Err(IdentityError::TrustDomain { name: name.chars().take(80).collect() })
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for TrustDomain {
    type Err = IdentityError;

    fn from_str(name: &str) -> Result<Self, IdentityError> {
        Self::new(name)
    }
}

/// An identity that is not believed, or a request that is not granted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The name cannot be a trust domain.
    #[error(
        "{name:?} is no trust domain: 1 to {TRUST_DOMAIN_BYTES_MAX} lower-case letters, digits and `.-_` are allowed"
    )]
    TrustDomain {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// It is too large.
    #[error("the {what} is larger than {max}")]
    TooLarge {
        /// What was read.
        what: &'static str,
        /// The limit.
        max: ByteCount,
    },
    /// It is not in DER, is cut off, or something follows it.
    #[error("the {what} is not in DER, or not complete")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// The key is of a scheme that devices do not use.
    #[error("the key of the {what} is neither ECDSA P-256 nor Ed25519")]
    Key {
        /// What was read.
        what: &'static str,
    },
    /// The certificate does not hold exactly one name, a URI.
    #[error("the certificate does not name exactly one URI")]
    NotOneUri,
    /// The URI is no device of this trust domain.
    #[error("{uri:?} is no device of the trust domain {domain}")]
    OtherDomain {
        /// The URI, cut to 200 characters.
        uri: String,
        /// The trust domain.
        domain: TrustDomain,
    },
    /// The certificate may sign others, or may not be used by a client.
    #[error("the certificate is not made for a device: {reason}")]
    NotForDevices {
        /// Why not.
        reason: &'static str,
    },
    /// The request is not signed by the key that it asks a certificate for.
    #[error("the request is not signed by its own key")]
    WrongSignature,
    /// The request asks for something that no device may have.
    #[error("the request asks for {wish}, which no device may have")]
    Hostile {
        /// What it asks for.
        wish: &'static str,
    },
}

/// Returns the identity of a device as URI: `spiffe://<trust domain>/device/<id>`.
///
/// An id with a `:` (a MAC address) makes a correct URI, but stands outside the narrower alphabet of SPIFFE.
pub fn spiffe_uri(trust_domain: &TrustDomain, device: &DeviceId) -> String {
    format!("spiffe://{trust_domain}/device/{device}")
}

/// Reads the device's id from its identity, `spiffe://<trust domain>/device/<id>`; refuses other domains and other forms.
pub fn device_of_uri(uri: &str, domain: &TrustDomain) -> Result<DeviceId, IdentityError> {
    uri.strip_prefix(&format!("spiffe://{domain}/device/")).and_then(|id| DeviceId::new(id).ok()).ok_or_else(
        || IdentityError::OtherDomain { uri: uri.chars().take(200).collect(), domain: domain.clone() },
    )
}

/// Reads the device's id and key from its certificate.
///
/// Reads only: that our authority signed it, that it is valid now, and that the peer holds its key is what TLS has
/// checked before. Asked again here: that it names one device of the domain and is no authority itself.
pub fn device_of_certificate(
    der: &[u8],
    trust_domain: &TrustDomain,
) -> Result<(DeviceId, PublicKey), IdentityError> {
    const WHAT: &str = "certificate";
    check_size(WHAT, der, CERTIFICATE_BYTES_MAX)?;
    let Ok((&[], certificate)) = X509Certificate::from_der(der) else {
        return Err(IdentityError::Malformed { what: WHAT });
    };
    // These fail where an extension comes twice or cannot be read.
    let malformed = |_| IdentityError::Malformed { what: WHAT };
    if certificate.basic_constraints().map_err(malformed)?.is_some_and(|constraints| constraints.value.ca) {
        return Err(IdentityError::NotForDevices { reason: "it may sign other certificates" });
    }
    if !certificate.extended_key_usage().map_err(malformed)?.is_some_and(|usage| usage.value.client_auth) {
        return Err(IdentityError::NotForDevices { reason: "it is not for TLS clients" });
    }
    let names = certificate.subject_alternative_name().map_err(malformed)?.ok_or(IdentityError::NotOneUri)?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err(IdentityError::NotOneUri);
    };
    let device = device_of_uri(uri, trust_domain)?;
    let key =
        PublicKey::from_spki(certificate.public_key().raw).map_err(|_| IdentityError::Key { what: WHAT })?;
    Ok((device, key))
}

/// A certification request whose sender holds the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// The key that it asks a certificate for.
    pub public_key: PublicKey,
    /// The URIs that it asks for. The authority decides the name; a request for another one is refused there.
    pub uris: Vec<String>,
    /// The request as it came.
    pub der: Vec<u8>,
}

/// Checks a certification request (PKCS#10, RFC 2986): size, form, key, and its signature by its own key.
///
/// What becomes of its wishes: a certificate authority (`CA:TRUE`, the right to sign certificates or revocation lists,
/// name constraints) or anything critical that is unknown is refused; who asks for that is broken or hostile. The URIs
/// among the names are handed on. Everything else (subject, other names, usages, challenge) is ignored: the authority
/// writes the certificate by its own rules and copies nothing but the key.
pub fn check_csr(der: &[u8]) -> Result<Csr, IdentityError> {
    const WHAT: &str = "certification request";
    check_size(WHAT, der, CSR_BYTES_MAX)?;
    let Ok((&[], request)) = X509CertificationRequest::from_der(der) else {
        return Err(IdentityError::Malformed { what: WHAT });
    };
    let info = &request.certification_request_info;
    let public_key =
        PublicKey::from_spki(info.subject_pki.raw).map_err(|_| IdentityError::Key { what: WHAT })?;
    // The scheme is the key's own; an algorithm named otherwise makes a signature that does not fit.
    public_key.verify(info.raw, &request.signature_value.data).map_err(|_| IdentityError::WrongSignature)?;
    let mut uris = Vec::new();
    for attribute in info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(wishes) = attribute.parsed_attribute() else { continue };
        for wish in &wishes.extensions {
            uris.extend(check_wish(wish)?);
        }
    }
    Ok(Csr { public_key, uris, der: der.to_vec() })
}

/// Refuses a wish that no device may have; returns the URIs that it names.
fn check_wish(wish: &X509Extension<'_>) -> Result<Vec<String>, IdentityError> {
    let hostile = |wish| Err(IdentityError::Hostile { wish });
    match wish.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) if constraints.ca => hostile("being an authority"),
        ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
            hostile("signing certificates or revocation lists")
        }
        ParsedExtension::NameConstraints(_) => hostile("name constraints"),
        ParsedExtension::ParseError { .. } => hostile("an extension that cannot be read"),
        ParsedExtension::UnsupportedExtension { .. } if wish.critical => {
            hostile("an unknown critical extension")
        }
        ParsedExtension::SubjectAlternativeName(names) => Ok(names
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            })
            .collect()),
        _ => Ok(Vec::new()),
    }
}

fn check_size(what: &'static str, der: &[u8], max: ByteCount) -> Result<(), IdentityError> {
    match u64::try_from(der.len()) {
        Ok(length) if length <= max.0 => Ok(()),
        Ok(_) | Err(_) => Err(IdentityError::TooLarge { what, max }),
    }
}

#[cfg(test)]
mod tests;
