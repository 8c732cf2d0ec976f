//! Connections from an address of choice: so that devices on one machine can be told apart.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// Connects to a server from a local address.
pub fn connect_from(address: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(address, 0))?;
    connect(&socket, &server)?;
    Ok(TcpStream::from(socket))
}
