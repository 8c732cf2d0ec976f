//! Requests and certificates that OpenSSL made, honest and hostile.

mod samples;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use warden_model::DeviceId;

use super::{IdentityError, TrustDomain, check_csr, device_of_certificate, spiffe_uri};
use crate::hex;
use crate::sign::{KeyScheme, PublicKey};
use crate::testing::P256_SPKI_HEX;

fn der(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

fn domain() -> TrustDomain {
    TrustDomain::new("fleet.example").unwrap()
}

fn key() -> PublicKey {
    PublicKey::from_spki(&hex::decode(P256_SPKI_HEX).unwrap()).unwrap()
}

const URI: &str = "spiffe://fleet.example/device/cam-01";

#[test]
fn a_trust_domain_is_a_plain_lower_case_name() {
    for bad in ["", "Fleet", "a/b", "a b", "a:1", &"x".repeat(256)] {
        assert!(TrustDomain::new(bad).is_err(), "{bad:?}");
    }
    assert_eq!(spiffe_uri(&domain(), &DeviceId::new("cam-01").unwrap()), URI);
}

fn request(base64: &str, expected: Result<(KeyScheme, &[&str]), IdentityError>) {
    let outcome = check_csr(&der(base64)).map(|csr| (csr.public_key.scheme(), csr.uris));
    let expected = expected.map(|(scheme, uris)| (scheme, uris.iter().map(ToString::to_string).collect()));
    assert_eq!(outcome, expected);
}

#[test]
fn a_request_gives_its_key_and_its_wish_and_no_more() {
    let what = "certification request";
    request(samples::CSR_GOOD, Ok((KeyScheme::EcdsaP256, &[URI])));
    request(samples::CSR_ED, Ok((KeyScheme::Ed25519, &[])));
    request(samples::CSR_RSA, Err(IdentityError::Key { what }));
    request(samples::CSR_CA, Err(IdentityError::Hostile { wish: "being an authority" }));
    request(
        samples::CSR_SIGN,
        Err(IdentityError::Hostile { wish: "signing certificates or revocation lists" }),
    );
    request(samples::CSR_CRIT, Err(IdentityError::Hostile { wish: "an unknown critical extension" }));
    assert_eq!(check_csr(&der(samples::CSR_GOOD)).unwrap().public_key, key());
}

#[test]
fn no_changed_byte_of_a_request_goes_unnoticed() {
    let good = der(samples::CSR_GOOD);
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        // The name of the signature algorithm is outside of what is signed; the key's own scheme counts.
        if let Ok(csr) = check_csr(&bad) {
            assert_eq!((csr.public_key, csr.uris), (key(), vec![URI.to_owned()]), "byte {place}");
        }
        assert!(check_csr(&good[..place]).is_err());
    }
    assert!(check_csr(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(matches!(check_csr(&[0x30; 9000]), Err(IdentityError::TooLarge { .. })));
}

fn certificate(base64: &str, expected: Result<&str, IdentityError>) {
    let outcome = device_of_certificate(&der(base64), &domain());
    assert_eq!(outcome, expected.map(|id| (DeviceId::new(id).unwrap(), key())));
}

#[test]
fn a_certificate_names_exactly_one_device() {
    let other = |uri: &str| IdentityError::OtherDomain { uri: uri.into(), domain: domain() };
    let not = |reason| Err(IdentityError::NotForDevices { reason });
    certificate(samples::CERTIFICATE_GOOD, Ok("cam-01"));
    certificate(samples::CERTIFICATE_CA, not("it may sign other certificates"));
    certificate(samples::CERTIFICATE_SERVER, not("it is not for TLS clients"));
    certificate(samples::CERTIFICATE_TWO, Err(IdentityError::NotOneUri));
    certificate(samples::CERTIFICATE_DNS, Err(IdentityError::NotOneUri));
    certificate(samples::CERTIFICATE_NOSAN, Err(IdentityError::NotOneUri));
    certificate(samples::CERTIFICATE_DEEP, Err(other("spiffe://fleet.example/device/cam-01/x")));
    let elsewhere = TrustDomain::new("fleet.example.org").unwrap();
    let good = der(samples::CERTIFICATE_GOOD);
    assert!(matches!(device_of_certificate(&good, &elsewhere), Err(IdentityError::OtherDomain { .. })));
    assert!(device_of_certificate(&good[..good.len() - 1], &domain()).is_err());
    assert!(device_of_certificate(&[good.as_slice(), &[0]].concat(), &domain()).is_err());
    assert!(matches!(
        device_of_certificate(&vec![0; 20_000], &domain()),
        Err(IdentityError::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_csr(&bytes).ok();
        device_of_certificate(&bytes, &domain()).ok();
    }
}
