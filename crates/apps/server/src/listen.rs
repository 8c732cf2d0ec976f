//! TLS listeners: accept, shake hands within a time limit, serve HTTP/1.1, end cleanly.
//!
//! In: a bound socket, a TLS configuration, a router. Out: each request carries a [`Peer`] with the address and, where
//! the peer showed one, the certificate that the handshake has verified. Refuses: more connections than
//! [`CONNECTIONS_MAX`], and peers that take longer than [`HANDSHAKE_TIME`] to shake hands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Most connections at a time on one listener: at about 30 KiB each they take 300 MiB, which the smallest server has.
const CONNECTIONS_MAX: usize = 10_000;
/// Longest time for a TLS handshake: ten round trips of a bad satellite link.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);
/// Longest time to send the head of a request: the same link, once more.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long open requests may go on after the order to stop; downloads are resumed by their devices.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address that it connects from.
    pub address: SocketAddr,
    /// Its certificate in DER form, verified against the device CA by the handshake.
    pub certificate: Option<Arc<[u8]>>,
}

/// Serves a router on a listener until `stop` turns true; each connection gets the TLS configuration of its time.
pub(crate) async fn run(
    listener: TcpListener,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let cut = CancellationToken::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: let some connections end first.
                warn!(%error, "cannot accept a connection, waiting a moment");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            warn!(%address, limit = CONNECTIONS_MAX, "too many connections, turned one away");
            continue;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let served = connection(socket, address, acceptor, router.clone(), graceful.watcher(), permit);
        let cut = cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = served => {}
                () = cut.cancelled() => debug!(%address, "cut a request off"),
            }
        });
    }
    if tokio::time::timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
        warn!("requests were still open after {STOP_TIME:?}, cut them off");
        cut.cancel();
    }
}

async fn connection(
    socket: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    watcher: Watcher,
    permit: OwnedSemaphorePermit,
) {
    let stream = match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            debug!(%address, %error, "TLS handshake refused");
            return;
        }
        Err(_) => {
            debug!(%address, "TLS handshake took too long");
            return;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer { address, certificate: certificate.map(|certificate| Arc::from(certificate.as_ref())) };
    let service = TowerToHyperService::new(router.layer(axum::Extension(peer)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%address, %error, "connection ended early");
    }
    drop(permit);
}

#[cfg(test)]
mod tests;
