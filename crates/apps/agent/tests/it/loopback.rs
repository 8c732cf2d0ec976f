//! A small DDI server on loopback: real mutual TLS, real signed metadata, EST; and a cut connection where wanted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use warden_agent::driver::now;
use warden_keys::{CertificateAuthority, DeviceCertificates, FileSigner, server_config};
use warden_model::report::StateReport;
use warden_model::{DeviceId, Seconds};
use warden_trust::repository::{KeySet, MetaPin, RoleKeys, TargetEntry, root, snapshot, targets, timestamp};
use warden_trust::{Envelope, KeyScheme, Role, Signer, TrustDomain};
use warden_wire::report::PAYLOAD_TYPE;

/// What the server knows and saw.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) deployment: Option<Vec<u8>>,
    pub(crate) requests: Vec<String>,
    pub(crate) reports: Vec<StateReport>,
    pub(crate) closed: Vec<String>,
    /// After so many bytes the connection of the next download is cut.
    pub(crate) cuts: Vec<usize>,
}

pub(crate) struct Loopback {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) authority: Arc<CertificateAuthority>,
}

pub(crate) const TOKEN: &str = "one-time";

impl Loopback {
    pub(crate) fn start(dir: &Path) -> Self {
        let authority = Arc::new(CertificateAuthority::create(&dir.join("ca"), "test", now()).unwrap());
        let identity = authority.issue_server(&["localhost".to_owned()], now(), Seconds::days(1)).unwrap();
        let devices = DeviceCertificates::Optional { ca: authority.certificate_der().clone() };
        let config = Arc::new(server_config(identity, devices).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(Mutex::new(State::default()));
        let loopback =
            Self { url: url.clone(), state: Arc::clone(&state), authority: Arc::clone(&authority) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, state, authority) =
                    (Arc::clone(&config), Arc::clone(&state), Arc::clone(&authority));
                let url = url.clone();
                std::thread::spawn(move || serve(stream, config, &state, &authority, &url));
            }
        });
        loopback
    }

    /// Signs targets and puts the whole repository up; returns the root to pin.
    pub(crate) fn publish(&self, dir: &Path, entries: &[TargetEntry]) -> Vec<u8> {
        let signer = FileSigner::create(&dir.join("tuf.key"), KeyScheme::Ed25519).unwrap();
        let set = KeySet { keys: vec![signer.public_key()], threshold: 1 };
        let keys =
            RoleKeys { root: set.clone(), targets: set.clone(), snapshot: set.clone(), timestamp: set };
        let until = now().plus(Seconds::days(30));
        let signers: [&dyn Signer; 1] = [&signer];
        let root = root(1, until, &keys, &signers).unwrap();
        let targets = targets(1, until, entries, &signers).unwrap();
        let snapshot = snapshot(1, until, &MetaPin::of(1, &targets), &signers).unwrap();
        let timestamp = timestamp(1, until, &MetaPin::of(1, &snapshot), &signers).unwrap();
        let mut state = self.state.lock().unwrap();
        state.files.insert(Role::Targets.file_name(1), targets);
        state.files.insert(Role::Snapshot.file_name(1), snapshot);
        state.files.insert("timestamp.json".to_owned(), timestamp);
        root
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    state: &Mutex<State>,
    authority: &CertificateAuthority,
    url: &str,
) {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(request) = read(&mut stream) {
        let certificate =
            stream.get_ref().conn.peer_certificates().and_then(|chain| Some(chain.first()?.to_vec()));
        let cut = request.path.contains("/artifacts/").then(|| state.lock().unwrap().cuts.pop()).flatten();
        let (status, extra, body) = answer(&request, certificate.as_deref(), state, authority, url);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{extra}\r\n", body.len());
        let body = &body[..cut.unwrap_or(body.len()).min(body.len())];
        let sent =
            stream.get_mut().write_all(head.as_bytes()).and_then(|()| stream.get_mut().write_all(body));
        if sent.and_then(|()| stream.get_mut().flush()).is_err() || cut.is_some() {
            return;
        }
    }
}

struct Request {
    method: String,
    path: String,
    /// First byte, and the one behind the last.
    range: Option<(usize, Option<usize>)>,
    authorization: Option<String>,
    body: Vec<u8>,
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, range: None, authorization: None, body: Vec::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "range" => {
                let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((first.parse().ok()?, last.parse::<usize>().ok().map(|last| last + 1)));
            }
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

type Answer = (u16, String, Vec<u8>);

fn answer(
    request: &Request,
    certificate: Option<&[u8]>,
    state: &Mutex<State>,
    authority: &CertificateAuthority,
    url: &str,
) -> Answer {
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{} {}", request.method, request.path));
    if request.path.starts_with("/.well-known/est/") {
        return est(request, authority);
    }
    let Some(certificate) = certificate else { return (401, String::new(), vec![]) };
    let own = "/DEFAULT/controller/v1/cam-01";
    let rest = request.path.strip_prefix(own).unwrap().split('?').next().unwrap();
    let plain = |body: Vec<u8>| (200, String::new(), body);
    match rest {
        "" => plain(base(&format!("{url}{own}"), state.deployment.is_some())),
        "/deploymentBase/10" => plain(state.deployment.clone().unwrap()),
        "/configData" => plain(vec![]),
        "/state" => {
            let envelope: Envelope = serde_json::from_slice(&request.body).unwrap();
            let domain = TrustDomain::new("fleet.local").unwrap();
            let (_, key) = warden_trust::identity::device_of_certificate(certificate, &domain).unwrap();
            let payload = warden_trust::envelope::open(&envelope, PAYLOAD_TYPE, &key).unwrap();
            state.reports.push(warden_wire::report::read(payload.get()).unwrap());
            plain(vec![])
        }
        _ if rest.ends_with("/feedback") => {
            let text = String::from_utf8(request.body.clone()).unwrap();
            if text.contains("closed") {
                state.closed.push(text);
                state.deployment = None;
            }
            plain(vec![])
        }
        _ => file(state.files.get(rest.rsplit('/').next().unwrap()), request.range),
    }
}

fn est(request: &Request, authority: &CertificateAuthority) -> Answer {
    use warden_trust::est::{certs_only, from_base64, to_base64};
    let certificates = |list: &[Vec<u8>]| (200, String::new(), to_base64(&certs_only(list)).into_bytes());
    if request.path.ends_with("cacerts") {
        return certificates(&[authority.certificate_der().to_vec()]);
    }
    // "enrol:one-time"
    let token = "Basic ZW5yb2w6b25lLXRpbWU=";
    if request.path.ends_with("simpleenroll") && request.authorization.as_deref() != Some(token) {
        return (401, String::new(), b"the enrolment token is not known".to_vec());
    }
    let csr = warden_trust::identity::check_csr(&from_base64(&request.body).unwrap()).unwrap();
    let device: DeviceId = "cam-01".parse().unwrap();
    let domain = TrustDomain::new("fleet.local").unwrap();
    let issued = authority.issue_device(&csr, &device, &domain, now(), Seconds::days(7)).unwrap();
    certificates(&[issued.to_vec()])
}

fn base(own: &str, deploys: bool) -> Vec<u8> {
    let link = |path: &str| serde_json::json!({ "href": format!("{own}{path}") });
    let mut links = serde_json::json!({
        "fleetwardenMetadata": link("/metadata/"),
        "fleetwardenArtifacts": link("/artifacts/"),
        "fleetwardenState": link("/state"),
        "configData": link("/configData"),
    });
    if deploys {
        links["deploymentBase"] = link("/deploymentBase/10?c=1");
    }
    let config = serde_json::json!({ "polling": { "sleep": "00:00:01" } });
    serde_json::json!({ "config": config, "_links": links }).to_string().into_bytes()
}

fn file(bytes: Option<&Vec<u8>>, range: Option<(usize, Option<usize>)>) -> Answer {
    match (bytes, range) {
        (Some(bytes), Some((from, end))) => {
            let end = end.unwrap_or(bytes.len());
            let extra = format!("content-range: bytes {from}-{}/{}\r\n", end - 1, bytes.len());
            (206, extra, bytes[from..end].to_vec())
        }
        (Some(bytes), None) => (200, String::new(), bytes.clone()),
        (None, _) => (404, String::new(), vec![]),
    }
}
