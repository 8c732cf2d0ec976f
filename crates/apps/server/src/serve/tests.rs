//! A whole server: it starts once on a directory, and stops at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;
use warden_keys::tls::client_config;

use super::*;
use crate::setup;

async fn config() -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    setup::prepare(folder.path(), now()).await.unwrap();
    let mut config = Config::new(folder.path().to_owned());
    config.device_address.set_port(0);
    config.console_address.set_port(0);
    (folder, config)
}

#[tokio::test]
async fn a_stop_waits_for_no_stream_and_a_directory_has_one_server() {
    let (folder, config) = config().await;
    let (stop, stopping) = watch::channel(false);
    let (listening, addresses) = oneshot::channel();
    let running = tokio::spawn(serve(config.clone(), |_| Router::new(), listening, stopping));
    let addresses = addresses.await.unwrap();

    let (_never, never) = watch::channel(false);
    let second = serve(config.clone(), |_| Router::new(), oneshot::channel().0, never).await.unwrap_err();
    assert!(second.to_string().contains("another server uses"), "{second}");

    let layout = Layout::new(folder.path());
    let token = std::fs::read_to_string(layout.admin_token()).unwrap();
    let authority = CertificateAuthority::open(&layout.authority()).unwrap();
    let client = client_config(authority.certificate_der(), None).unwrap();
    let socket = TcpStream::connect(addresses.console).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, socket).await.unwrap();
    let request = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    let began = Instant::now();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ends as HTTP wants it");

    // The directory is free again.
    let (stop, stopping) = watch::channel(false);
    let (listening, addresses) = oneshot::channel();
    let running = tokio::spawn(serve(config, |_| Router::new(), listening, stopping));
    addresses.await.unwrap();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_directory_that_was_not_set_up_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().to_owned());
    config.device_address.set_port(0);
    config.console_address.set_port(0);
    let (_stop, stopping) = watch::channel(false);
    let refused = serve(config, |_| Router::new(), oneshot::channel().0, stopping).await.unwrap_err();
    assert!(refused.to_string().contains("fleetwarden setup"), "{refused:#}");
}
