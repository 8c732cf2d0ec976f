//! A network of its own for each device: a proxy that connects from the device's address, and may be bad on purpose.
//!
//! In: the server's address, the device's address (within 127.0.0.0/8, so that the server can tell devices apart on one
//! machine), how bad the network is. Out: an address to connect to. Refuses nothing; it copies bytes and knows no TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How a network behaves.
#[derive(Debug, Clone, Copy)]
pub enum Quality {
    /// All bytes pass.
    Good,
    /// Each connection is cut after some bytes from the server, and stalls once before.
    DropsAndStalls {
        /// How many bytes pass before the cut.
        bytes: u64,
    },
}

/// A running proxy; it ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where the device connects.
    pub address: SocketAddr,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts a proxy for the device with a number (1 to 200).
    pub fn start(server: SocketAddr, number: u8, quality: Quality) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let cuts = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    // A connection that cannot be made looks to the device like a network that is down.
                    let _ended = pass(client, server, number, quality, &counter);
                });
            }
        });
        Ok(Self { address, cuts })
    }

    /// Returns how many connections were cut so far.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Returns the address that the device with a number connects from.
pub fn device_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, number))
}

fn pass(
    client: TcpStream,
    server: SocketAddr,
    number: u8,
    quality: Quality,
    cuts: &AtomicU64,
) -> io::Result<()> {
    let upstream = warden_kit::net::connect_from(device_address(number), server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || {
        // Either side may end the connection at any time; that is no failure of the proxy.
        let _copied = io::copy(&mut from_client, &mut to_server);
        let _closed = to_server.shutdown(std::net::Shutdown::Write);
    });
    let limit = match quality {
        Quality::Good => None,
        Quality::DropsAndStalls { bytes } => Some(bytes),
    };
    copy_down(upstream, client, limit, cuts)
}

fn copy_down(
    mut server: TcpStream,
    mut client: TcpStream,
    limit: Option<u64>,
    cuts: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    let mut stalled = false;
    loop {
        let count = server.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return client.shutdown(std::net::Shutdown::Write);
        };
        client.write_all(bytes)?;
        passed += u64::try_from(count).unwrap_or(u64::MAX);
        let Some(limit) = limit else { continue };
        if passed > limit / 2 && !stalled {
            stalled = true;
            thread::sleep(Duration::from_millis(700));
        }
        if passed > limit {
            cuts.fetch_add(1, Ordering::Relaxed);
            server.shutdown(std::net::Shutdown::Both)?;
            return client.shutdown(std::net::Shutdown::Both);
        }
    }
}
