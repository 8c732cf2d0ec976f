//! Handshakes in memory: who gets in, who does not, and that nothing is resumed.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, PeerIncompatible, RootCertStore, ServerConfig,
    ServerConnection,
};
use warden_keys::{
    CertificateAuthority, ClientIdentity, DeviceCertificates, DeviceKey, client_config, server_config,
};
use warden_model::{Seconds, Timestamp};
use warden_trust::identity::device_of_certificate;

use crate::setup::{Setup, device, domain, now};

struct Ends {
    client: ClientConnection,
    server: ServerConnection,
}

/// Lets two ends talk in memory until both are silent; fails as soon as one of them refuses.
fn talk(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Ends, Error> {
    let name = "localhost".try_into().unwrap();
    let mut ends =
        Ends { client: ClientConnection::new(client, name)?, server: ServerConnection::new(server)? };
    while ends.client.wants_write() || ends.server.wants_write() {
        let mut wire = Vec::new();
        while ends.client.wants_write() {
            ends.client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            ends.server.read_tls(&mut rest).unwrap();
            ends.server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while ends.server.wants_write() {
            ends.server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            ends.client.read_tls(&mut rest).unwrap();
            ends.client.process_new_packets()?;
        }
    }
    assert!(!ends.client.is_handshaking() && !ends.server.is_handshaking());
    Ok(ends)
}

fn server(setup: &Setup, names: &[&str]) -> ServerConfig {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let identity = setup.authority.issue_server(&names, now(), Seconds::days(30)).unwrap();
    let ca = setup.authority.certificate_der().clone();
    server_config(identity, DeviceCertificates::Optional { ca }).unwrap()
}

fn client(authority: &CertificateAuthority, identity: Option<ClientIdentity>) -> ClientConfig {
    client_config(authority.certificate_der(), identity).unwrap()
}

fn connect(client: ClientConfig, server: ServerConfig) -> Result<Ends, Error> {
    talk(Arc::new(client), Arc::new(server))
}

#[test]
fn a_device_and_its_server_know_each_other() {
    let setup = Setup::new();
    let ends =
        connect(client(&setup.authority, Some(setup.identity())), server(&setup, &["localhost"])).unwrap();
    let certificate = &ends.server.peer_certificates().unwrap()[0];
    assert_eq!(device_of_certificate(certificate, &domain()).unwrap().0, device());
    assert_eq!(ends.server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(ends.client.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_client_without_a_certificate_gets_in_and_is_nobody() {
    let setup = Setup::new();
    let ends = connect(client(&setup.authority, None), server(&setup, &["localhost"])).unwrap();
    assert!(ends.server.peer_certificates().is_none());

    let identity = setup.authority.issue_server(&["localhost".into()], now(), Seconds::days(1)).unwrap();
    let silent = server_config(identity, DeviceCertificates::NotAsked).unwrap();
    let ends = connect(client(&setup.authority, Some(setup.identity())), silent).unwrap();
    assert!(ends.server.peer_certificates().is_none(), "it was not asked");
}

#[test]
fn another_authority_is_refused_by_both_ends() {
    let (ours, other) = (Setup::new(), Setup::new());
    let stranger = connect(client(&ours.authority, Some(other.identity())), server(&ours, &["localhost"]));
    assert!(matches!(stranger, Err(Error::InvalidCertificate(_))));
    let impostor = connect(client(&ours.authority, Some(ours.identity())), server(&other, &["localhost"]));
    assert!(matches!(impostor, Err(Error::InvalidCertificate(_))));
    let misnamed = connect(client(&ours.authority, None), server(&ours, &["elsewhere.example", "127.0.0.1"]));
    assert!(matches!(misnamed, Err(Error::InvalidCertificate(_))));
}

#[test]
fn a_certificate_is_good_for_its_time_and_its_use_only() {
    let setup = Setup::new();
    let refused = |chain, key| {
        let identity = ClientIdentity { chain: vec![chain], key };
        let outcome = connect(client(&setup.authority, Some(identity)), server(&setup, &["localhost"]));
        assert!(matches!(outcome, Err(Error::InvalidCertificate(_))), "{:?}", outcome.map(|_| ()));
    };
    let expired = setup.certificate(Timestamp(now().0 - 2_000), Seconds(1));
    refused(expired, setup.key.to_tls());
    let mut server_identity =
        setup.authority.issue_server(&["localhost".into()], now(), Seconds::days(1)).unwrap();
    refused(server_identity.chain.remove(0), server_identity.key);
}

#[test]
fn no_ticket_is_ever_sent_and_nothing_is_resumed() {
    let setup = Setup::new();
    // A client that would love to resume.
    let mut roots = RootCertStore::empty();
    roots.add(setup.authority.certificate_der().clone()).unwrap();
    let ClientIdentity { chain, key } = setup.identity();
    let eager = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let eager = Arc::new(eager);

    let ours = Arc::new(server(&setup, &["localhost"]));
    for _ in 0..2 {
        let ends = talk(Arc::clone(&eager), Arc::clone(&ours)).unwrap();
        assert_eq!(ends.client.tls13_tickets_received(), 0);
        assert_eq!(ends.server.handshake_kind(), Some(HandshakeKind::Full));
    }

    // The same with the defaults of rustls: this is the trap.
    let mut careless = server(&setup, &["localhost"]);
    careless.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    careless.send_tls13_tickets = 2;
    let careless = Arc::new(careless);
    assert_eq!(talk(Arc::clone(&eager), Arc::clone(&careless)).unwrap().client.tls13_tickets_received(), 2);
    let again = talk(Arc::clone(&eager), careless.clone()).unwrap();
    assert_eq!(again.server.handshake_kind(), Some(HandshakeKind::Resumed));

    // Our own client does not take part in it either.
    let modest = Arc::new(client(&setup.authority, Some(setup.identity())));
    for _ in 0..2 {
        let ends = talk(Arc::clone(&modest), Arc::clone(&careless)).unwrap();
        assert_eq!(ends.server.handshake_kind(), Some(HandshakeKind::Full));
    }
}

/// The first message of a TLS 1.2 client: one cipher suite, one curve, no `supported_versions`.
fn tls12_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session, ECDHE-ECDSA with AES-128-GCM, no compression.
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let extensions = [
        // supported_groups: secp256r1; signature_algorithms: ecdsa_secp256r1_sha256; ec_point_formats: uncompressed.
        &[0, 0x0a, 0, 4, 0, 2, 0, 0x17][..],
        &[0, 0x0d, 0, 4, 0, 2, 4, 3],
        &[0, 0x0b, 0, 2, 1, 0],
    ]
    .concat();
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn tls_1_2_is_refused() {
    let setup = Setup::new();
    let mut server = ServerConnection::new(Arc::new(server(&setup, &["localhost"]))).unwrap();
    server.read_tls(&mut tls12_hello().as_slice()).unwrap();
    let outcome = server.process_new_packets().map(|_| ());
    assert!(
        matches!(outcome, Err(Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired))),
        "{outcome:?}"
    );
    let mut alert = Vec::new();
    server.write_tls(&mut alert).unwrap();
    // RFC 8446 §6: fatal (2), protocol_version (70).
    assert_eq!(alert[5..], [2, 70]);
}

#[test]
fn an_authority_of_nonsense_is_refused() {
    assert!(client_config(b"junk", None).is_err());
    let setup = Setup::new();
    let other = DeviceKey::load_or_create(&setup.folder.path().join("other.key")).unwrap();
    let identity = ClientIdentity { key: other.to_tls(), ..setup.identity() };
    assert!(
        client_config(setup.authority.certificate_der(), Some(identity)).is_err(),
        "a key of another certificate"
    );
}
