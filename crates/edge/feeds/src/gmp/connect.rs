//! Ways to a scanner: a Unix socket, or TLS.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Gmp, GmpError};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Longest silence of the scanner: it makes a large report whole before the first byte comes.
const SILENCE_MAX: Duration = Duration::from_mins(10);

impl Gmp {
    /// Connects to the Unix socket of a scanner on this machine.
    pub fn connect_socket(path: &Path) -> Result<Self, GmpError> {
        let place = path.display().to_string();
        let failed = |source| GmpError::Connect { place: place.clone(), source };
        let line = UnixStream::connect(path).map_err(failed)?;
        line.set_read_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        line.set_write_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        Ok(Self { line: Box::new(line) })
    }

    /// Connects with TLS to `host:port`; the scanner's certificate must come from an authority in the file `ca` (PEM).
    pub fn connect_tls(address: &str, ca: &Path) -> Result<Self, GmpError> {
        let failed = |source| GmpError::Connect { place: address.to_owned(), source };
        let invalid = || failed(std::io::Error::from(std::io::ErrorKind::InvalidInput));
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(ca).into_iter().flatten();
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        if roots.is_empty() {
            return Err(GmpError::Authority { path: ca.to_owned() });
        }
        let (host, _) = address.rsplit_once(':').ok_or_else(invalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| invalid())?;
        let tls = |source| GmpError::Tls { place: address.to_owned(), source };
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), name).map_err(tls)?;
        let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
        for to in address.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&to, CONNECT_TIME) {
                Ok(line) => {
                    line.set_read_timeout(Some(SILENCE_MAX)).map_err(failed)?;
                    line.set_write_timeout(Some(SILENCE_MAX)).map_err(failed)?;
                    return Ok(Self { line: Box::new(StreamOwned::new(connection, line)) });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }
}
