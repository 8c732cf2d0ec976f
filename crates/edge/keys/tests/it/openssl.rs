//! An independent reader: OpenSSL, where it is installed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use warden_keys::{FileSigner, KeyFileError};
use warden_model::Seconds;
use warden_trust::{Signer as _, est};

use crate::setup::{Setup, device, domain, now};

/// Runs OpenSSL and returns what it prints; nothing, and a word about it, when it is not installed.
fn openssl(folder: &Path, args: &[&str]) -> Option<String> {
    let Ok(output) = Command::new("openssl").args(args).current_dir(folder).output() else {
        writeln!(std::io::stderr(), "skipped: openssl is not installed").unwrap();
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &error)
}

#[test]
fn openssl_reads_our_certificates_only_message_and_we_read_its_own() {
    let setup = Setup::new();
    let folder = setup.folder.path();
    let certificate = setup.certificate(now(), Seconds::days(7));
    let message = est::certs_only(&[&certificate, setup.authority.certificate_der()]);
    fs::write(folder.join("certs.p7"), &message).unwrap();
    let args = ["pkcs7", "-inform", "DER", "-in", "certs.p7", "-print_certs"];
    let Some(text) = openssl(folder, &args) else { return };
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{text}");
    assert!(text.contains("Test CA"), "{text}");

    let args = ["crl2pkcs7", "-nocrl", "-certfile", "ca/ca.crt", "-outform", "DER", "-out", "theirs.p7"];
    openssl(folder, &args).unwrap();
    let theirs = est::read_certs_only(&fs::read(folder.join("theirs.p7")).unwrap()).unwrap();
    assert_eq!(theirs, [setup.authority.certificate_der().to_vec()]);

    fs::write(folder.join("framed"), est::to_base64(&message)).unwrap();
    openssl(folder, &["base64", "-d", "-in", "framed", "-out", "plain"]).unwrap();
    assert_eq!(fs::read(folder.join("plain")).unwrap(), message);
}

#[test]
fn openssl_believes_our_requests_and_certificates() {
    let setup = Setup::new();
    let folder = setup.folder.path();
    fs::write(folder.join("csr"), setup.key.csr(&device(), &domain()).unwrap()).unwrap();
    let args = ["req", "-inform", "DER", "-in", "csr", "-noout", "-verify", "-text"];
    let Some(text) = openssl(folder, &args) else { return };
    assert!(text.contains("URI:spiffe://fleet.example/device/cam-01"), "{text}");

    fs::write(folder.join("device.der"), setup.certificate(now(), Seconds::days(7))).unwrap();
    openssl(folder, &["x509", "-inform", "DER", "-in", "device.der", "-out", "device.pem"]).unwrap();
    let args = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca/ca.crt", "device.pem"];
    assert!(openssl(folder, &args).unwrap().contains("OK"));
}

#[test]
fn keys_that_openssl_made_can_be_used() -> Result<(), KeyFileError> {
    let folder = tempfile::tempdir().unwrap();
    let args = |algorithm: &[&'static str]| {
        let mut args = vec!["genpkey", "-out", "key"];
        args.extend_from_slice(algorithm);
        args
    };
    for algorithm in
        [&["-algorithm", "ed25519"][..], &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]]
    {
        if openssl(folder.path(), &args(algorithm)).is_none() {
            return Ok(());
        }
        let key = FileSigner::open(&folder.path().join("key"))?;
        let signature = key.sign(b"message").unwrap();
        key.public_key().verify(b"message", &signature).unwrap();
    }
    Ok(())
}
