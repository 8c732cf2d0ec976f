//! The real listener on loopback: versions, resumption, certificates, limits of time.

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use warden_keys::tls::{ClientIdentity, DeviceCertificates, client_config, server_config};
use warden_keys::{CertificateAuthority, DeviceKey};
use warden_model::{DeviceId, Seconds};
use warden_trust::TrustDomain;
use warden_trust::identity::check_csr;

use super::{Peer, run};
use crate::clock::now;

struct Site {
    folder: TempDir,
    authority: CertificateAuthority,
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    tls: watch::Sender<Arc<rustls::ServerConfig>>,
    running: JoinHandle<()>,
}

fn server_tls(authority: &CertificateAuthority) -> Arc<rustls::ServerConfig> {
    let identity = authority.issue_server(&["localhost".to_owned()], now(), Seconds::days(1)).unwrap();
    let devices = DeviceCertificates::Optional { ca: authority.certificate_der().clone() };
    Arc::new(server_config(identity, devices).unwrap())
}

async fn who(Extension(peer): Extension<Peer>) -> String {
    format!("{} bytes", peer.certificate.map_or(0, |certificate| certificate.len()))
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::create(&folder.path().join("ca"), "test", now()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let (tls, configurations) = watch::channel(server_tls(&authority));
    let router = Router::new().route("/", get(who));
    let running = tokio::spawn(run(listener, configurations, router, stopping));
    Site { folder, authority, address, stop, tls, running }
}

impl Site {
    fn identity(&self, authority: &CertificateAuthority) -> ClientIdentity {
        let key = DeviceKey::load_or_create(&self.folder.path().join("device.pem")).unwrap();
        let (device, domain): (DeviceId, _) =
            ("cam-1".parse().unwrap(), TrustDomain::new("fleet.test").unwrap());
        let csr = check_csr(&key.csr(&device, &domain).unwrap()).unwrap();
        let certificate = authority.issue_device(&csr, &device, &domain, now(), Seconds::days(1)).unwrap();
        ClientIdentity { chain: vec![certificate], key: key.to_tls() }
    }

    fn client(&self, identity: Option<ClientIdentity>) -> ClientConfig {
        client_config(self.authority.certificate_der(), identity).unwrap()
    }

    /// Asks once, and returns the answer and how hands were shaken.
    async fn ask(&self, client: &Arc<ClientConfig>) -> std::io::Result<(String, Option<HandshakeKind>)> {
        let socket = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, socket).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok((answer, stream.get_ref().1.handshake_kind()))
    }
}

#[tokio::test]
async fn a_certificate_reaches_the_request() {
    let site = site().await;
    let nobody = site.ask(&Arc::new(site.client(None))).await.unwrap().0;
    assert!(nobody.ends_with("0 bytes"), "{nobody}");
    let device = site.ask(&Arc::new(site.client(Some(site.identity(&site.authority))))).await.unwrap().0;
    assert!(device.starts_with("HTTP/1.1 200") && !device.ends_with("\r\n0 bytes"), "{device}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_does_not_get_in() {
    let site = site().await;
    let other = CertificateAuthority::create(&site.folder.path().join("other"), "other", now()).unwrap();
    let refused = site.ask(&Arc::new(site.client(Some(site.identity(&other))))).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(site.ask(&Arc::new(site.client(None))).await.is_ok(), "the listener goes on");
}

#[tokio::test]
async fn nobody_resumes() {
    let site = site().await;
    let mut client = site.client(Some(site.identity(&site.authority)));
    client.resumption = Resumption::in_memory_sessions(8);
    let client = Arc::new(client);
    for _ in 0..3 {
        assert_eq!(site.ask(&client).await.unwrap().1, Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn tls_1_2_is_refused_by_name() {
    let site = site().await;
    // A ClientHello of RFC 5246 §7.4.1.2 without the extension `supported_versions`: TLS 1.2 is all that it offers.
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: secp256r1
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms: ecdsa_secp256r1_sha256
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
    ];
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    socket.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    // A fatal alert (21, level 2): protocol_version (70).
    assert_eq!((answer.first(), &answer[answer.len() - 2..]), (Some(&21), &[2, 70][..]), "{answer:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on() {
    let site = site().await;
    let client = Arc::new(site.client(None));
    site.ask(&client).await.unwrap();
    let other = CertificateAuthority::create(&site.folder.path().join("other"), "other", now()).unwrap();
    site.tls.send_replace(server_tls(&other));
    assert!(site.ask(&client).await.is_err(), "the old authority does not vouch for the new certificate");
    site.tls.send_replace(server_tls(&site.authority));
    site.ask(&client).await.unwrap();
}

#[tokio::test]
async fn an_order_to_stop_is_carried_out_with_connections_open() {
    let site = site().await;
    let socket = TcpStream::connect(site.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut idle = TlsConnector::from(Arc::new(site.client(None))).connect(name, socket).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    site.stop.send_replace(true);
    tokio::time::timeout(std::time::Duration::from_secs(3), site.running).await.unwrap().unwrap();
}
