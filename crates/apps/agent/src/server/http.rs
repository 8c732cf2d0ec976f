//! HTTP with limits: every call has a time, every body a size.
//!
//! In: addresses, bodies. Out: a status and at most so many bytes. Refuses: plain HTTP, redirections, proxies.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::ClientConfig;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

use super::tls::TlsConnector;

/// How long to wait for a name and a connection: a satellite link with a few lost packets.
const CONNECT: Duration = Duration::from_secs(15);
/// How long to wait for the next bytes in either direction: longer than a mobile handover, shorter than patience.
const PIECE: Duration = Duration::from_secs(10);
/// How long a whole small exchange may take, so that a server that trickles cannot hold the device.
const CALL: Duration = Duration::from_mins(1);
/// Largest answer header, in bytes: ours take a tenth.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, cut one byte after the limit of the call.
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the start of the body as one line, for messages.
    pub(super) fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
    }
}

/// A body to send.
pub(super) struct Send<'a> {
    /// POST or PUT.
    pub method: Method,
    /// The media type.
    pub content_type: &'a str,
    /// The value of the authorization header, where there is one.
    pub authorization: Option<&'a str>,
    /// The bytes.
    pub body: &'a [u8],
}

/// How to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Post,
    Put,
}

/// The answer to a request for an artifact.
pub(super) struct Stream {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Range`.
    pub content_range: Option<String>,
    /// The value of `Content-Length`, where it is known.
    pub length: Option<u64>,
    /// The body.
    pub body: Box<dyn Read + std::marker::Send>,
}

/// A client for one server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    calls: Agent,
    loads: Agent,
}

impl Client {
    /// Makes a client that trusts and shows what the configuration says.
    pub(super) fn new(tls: ClientConfig) -> Self {
        let agent = |config: Config, tls: ClientConfig| {
            let connector = ().chain(TcpConnector::default()).chain(TlsConnector::new(tls));
            Agent::with_parts(config, connector, DefaultResolver::default())
        };
        Self { calls: agent(calls(), tls.clone()), loads: agent(loads(), tls) }
    }

    /// Makes a client that believes any server: for one call only, whose answer is pinned by its digest.
    pub(super) fn believing_anybody() -> Self {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = ureq::tls::TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(ureq::tls::RootCerts::Specific(std::sync::Arc::new(Vec::new())))
            .disable_verification(true)
            .build();
        let config = base().timeout_global(Some(CALL)).tls_config(tls).build();
        let agent = Agent::new_with_config(config);
        Self { calls: agent.clone(), loads: agent }
    }

    /// Gets a small body of at most `bytes_max` bytes (and one more, which shows that there are more).
    pub(super) fn get(&self, url: &str, bytes_max: u64) -> Result<Answer> {
        let response = self
            .calls
            .get(url)
            .header("accept", "application/json, */*;q=0.5")
            .call()
            .with_context(|| format!("get {url}"))?;
        read(response, url, bytes_max)
    }

    /// Sends a small body and gets a small answer.
    pub(super) fn send(&self, url: &str, send: &Send<'_>, bytes_max: u64) -> Result<Answer> {
        let request = match send.method {
            Method::Post => self.calls.post(url),
            Method::Put => self.calls.put(url),
        };
        let request = request.header("content-type", send.content_type).header("accept", "*/*");
        let request = match send.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let response = request.send(send.body).with_context(|| format!("send to {url}"))?;
        read(response, url, bytes_max)
    }

    /// Opens an artifact from a byte on.
    pub(super) fn open(&self, url: &str, offset: u64) -> Result<Stream> {
        self.open_part(url, (offset > 0).then(|| format!("bytes={offset}-")))
    }

    /// Opens an artifact from a byte to another one, both included.
    pub(super) fn open_range(&self, url: &str, first: u64, last: u64) -> Result<Stream> {
        self.open_part(url, Some(format!("bytes={first}-{last}")))
    }

    fn open_part(&self, url: &str, range: Option<String>) -> Result<Stream> {
        let request = self.loads.get(url).header("accept", "application/octet-stream");
        let request = match range {
            Some(range) => request.header("range", range),
            None => request,
        };
        let response = request.call().with_context(|| format!("get {url}"))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        // Transformed bytes are not the signed bytes.
        if header("content-encoding").is_some_and(|encoding| encoding != "identity") {
            bail!("the server encodes the artifact in a way that was not asked for");
        }
        let content_range = header("content-range").map(str::to_owned);
        let length = header("content-length").and_then(|text| text.parse().ok());
        let status = response.status().as_u16();
        Ok(Stream { status, content_range, length, body: Box::new(response.into_body().into_reader()) })
    }
}

fn base() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Config::builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("fleetwarden-agent/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(HEADER_BYTES_MAX)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(PIECE))
        .timeout_per_write(Some(PIECE))
        .timeout_recv_response(Some(PIECE))
}

fn calls() -> Config {
    base().timeout_global(Some(CALL)).build()
}

fn loads() -> Config {
    base().build()
}

fn read(response: ureq::http::Response<ureq::Body>, url: &str, bytes_max: u64) -> Result<Answer> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut body)
        .with_context(|| format!("read the answer of {url}"))?;
    Ok(Answer { status, body })
}
