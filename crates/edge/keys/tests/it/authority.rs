//! What the authority issues, and what it refuses to issue.

use rustls_pki_types::CertificateDer;
use warden_keys::authority::{BACKDATED, LIFETIME_MAX};
use warden_keys::{AuthorityError, CertificateAuthority};
use warden_model::{DeviceId, Seconds, Timestamp};
use warden_trust::identity::{check_csr, device_of_certificate};
use warden_trust::{Signer as _, sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::setup::{Setup, device, domain, now};

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

#[test]
fn a_device_certificate_says_who_and_nothing_else() {
    let setup = Setup::new();
    let issued_at = now();
    let der = setup.certificate(issued_at, Seconds::days(7));
    let (id, key) = device_of_certificate(&der, &domain()).unwrap();
    assert_eq!((id, key), (device(), setup.key.public_key()));

    let certificate = parse(&der);
    assert_eq!(certificate.subject().iter().count(), 0);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert!(names.critical && names.value.general_names.len() == 1);
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let validity = certificate.validity();
    let begin = issued_at.unix_seconds() - i64::try_from(BACKDATED.0).unwrap();
    assert_eq!(validity.not_before.timestamp(), begin, "it begins a little earlier, for clocks that lag");
    assert_eq!(validity.not_after.timestamp(), issued_at.plus(Seconds::days(7)).unix_seconds());
    assert_ne!(
        certificate.raw_serial(),
        parse(&setup.certificate(issued_at, Seconds::days(7))).raw_serial(),
        "serial numbers are random"
    );
}

#[test]
fn the_authority_signs_leaves_only() {
    let setup = Setup::new();
    let der = setup.authority.certificate_der();
    assert_eq!(setup.authority.fingerprint(), sha256(der));
    let certificate = parse(der);
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(device_of_certificate(der, &domain()).is_err(), "an authority is no device");
}

fn refused(outcome: Result<CertificateDer<'static>, AuthorityError>, words: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn nothing_is_issued_beyond_the_rules() {
    let setup = Setup::new();
    let csr = check_csr(&setup.key.csr(&device(), &domain()).unwrap()).unwrap();
    let issue = |id: &str, now: Timestamp, lifetime| {
        setup.authority.issue_device(&csr, &DeviceId::new(id).unwrap(), &domain(), now, lifetime)
    };
    let week = Seconds::days(7);
    refused(issue("cam-02", now(), week), "asks for \"spiffe://fleet.example/device/cam-01\"");
    refused(issue("cam-01", now(), Seconds(0)), "cannot be valid for 0 s");
    refused(issue("cam-01", now(), Seconds(LIFETIME_MAX.0 + 1)), "cannot be valid for");
    refused(issue("cam-01", Timestamp(0), week), "no certificate can be issued at 1970");
    refused(issue("cam-01", now().plus(Seconds::days(4000)), week), "no certificate can be issued at");
    let end = parse(setup.authority.certificate_der()).validity().not_after.timestamp();
    let last = issue("cam-01", now().plus(Seconds::days(3650)), week).unwrap();
    assert_eq!(parse(&last).validity().not_after.timestamp(), end, "no certificate outlives its authority");

    let server = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        setup.authority.issue_server(&names, now(), week).map(|identity| identity.chain[0].clone())
    };
    refused(server(&[]), "1 to 32 names");
    refused(server(&["x"; 33]), "1 to 32 names");
    refused(server(&["a b"]), "no DNS name");
    refused(server(&["*.example"]), "no DNS name");
    refused(server(&[""]), "no DNS name");
    let names = server(&["localhost", "127.0.0.1", "::1"]).unwrap();
    assert_eq!(parse(&names).subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
    assert!(device_of_certificate(&names, &domain()).is_err(), "a server is no device");
}

#[test]
fn an_authority_has_a_name_and_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str, now| CertificateAuthority::create(folder.path(), name, now).map(|_| ());
    assert!(matches!(create("", now()), Err(AuthorityError::AuthorityName { .. })));
    assert!(matches!(create(&"x".repeat(65), now()), Err(AuthorityError::AuthorityName { .. })));
    assert!(matches!(create("CA", Timestamp(i64::MAX)), Err(AuthorityError::Moment { .. })));
    create("CA", Timestamp(0)).unwrap();
}
