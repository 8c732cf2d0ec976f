//! A scanner's management protocol, against a stand-in that answers as gvmd does.

use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use warden_feeds::gmp::{Gmp, GmpError};
use warden_feeds::scan::{ScanLimits, read_scan};

const REPORT: &str = "<report id=\"r1\" format_id=\"x\"><task id=\"t1\"><name>weekly</name></task><report id=\"r1\">\
    <scan_run_status>Done</scan_run_status><task id=\"t1\"><name>weekly</name></task>\
    <results start=\"1\" max=\"-1\"><result id=\"x\"><host>10.0.0.1<asset asset_id=\"\"/></host><port>443/tcp</port>\
    <nvt oid=\"1.2.3\"><name>TLS</name><refs><ref type=\"cve\" id=\"CVE-2014-3566\"/></refs></nvt>\
    <threat>High</threat><severity>7.5</severity><qod><value>99</value></qod></result></results>\
    <host><ip>10.0.0.1</ip><start>2026-11-22T08:00:00Z</start><end>2026-11-22T09:00:00Z</end></host>\
    <scan_end>2026-11-22T09:00:00Z</scan_end></report></report>";

/// Answers as gvmd does: commands before the login are refused, and an answer comes in pieces.
fn serve(line: &mut (impl Read + Write)) {
    let mut is_known = false;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = line.read(&mut buffer).unwrap_or(0);
        if length == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let answer = if text.contains("<get_version/>") {
            "<get_version_response status=\"200\" status_text=\"OK\"><version>22.7</version></get_version_response>".to_owned()
        } else if text.contains("</authenticate>") {
            is_known = text.contains("<username>a&amp;b</username><password>s&lt;3</password>");
            let status =
                if is_known { "200\" status_text=\"OK" } else { "400\" status_text=\"Authentication failed" };
            format!("<authenticate_response status=\"{status}\"/>")
        } else if !text.ends_with('>') {
            continue;
        } else if !is_known {
            "<gmp_response status=\"400\" status_text=\"Only command GET_VERSION is allowed before AUTHENTICATE\"/>".to_owned()
        } else if text.contains("report_id=\"r1\"") || text.contains("details=\"0\"") {
            format!("<get_reports_response status=\"200\" status_text=\"OK\">{REPORT}</get_reports_response>")
        } else {
            "<get_reports_response status=\"404\" status_text=\"Failed to find report\"/>".to_owned()
        };
        request.clear();
        for piece in answer.as_bytes().chunks(700) {
            if line.write_all(piece).and_then(|()| line.flush()).is_err() {
                return;
            }
        }
    }
}

/// Goes the whole way: version, login, list, report, and the report's items.
fn check(mut gmp: Gmp) {
    assert_eq!(gmp.version().unwrap(), "22.7");
    let refused = gmp.reports().unwrap_err();
    assert!(refused.to_string().contains("400 Only command GET_VERSION"), "{refused}");
    let refused = gmp.authenticate("a&b", "wrong").unwrap_err();
    assert!(refused.to_string().contains("refused the login: 400 Authentication failed"), "{refused}");
    gmp.authenticate("a&b", "s<3").unwrap();
    let reports = gmp.reports().unwrap();
    let told: Vec<_> = reports
        .iter()
        .map(|entry| (entry.id.as_str(), entry.task_name.as_str(), entry.status.as_str()))
        .collect();
    assert_eq!(told, [("r1", "weekly", "Done")]);
    assert!(reports[0].ended.is_some());
    let mut bytes = Vec::new();
    let size = gmp.report("r1", &mut bytes).unwrap();
    assert_eq!(size.0, bytes.len() as u64);
    let mut cves = Vec::new();
    let report =
        read_scan(&mut Cursor::new(bytes), &ScanLimits::default(), &mut |item| cves.extend(item.cves))
            .unwrap();
    assert_eq!((report.counts.items, cves[0].as_str()), (1, "CVE-2014-3566"));
    assert_eq!((report.label.as_str(), report.profile.as_deref()), ("weekly", Some("task t1")));
    assert!(report.hosts["10.0.0.1"].1.complete);
    // A report that is not there is an answer too, and the reader tells what it says.
    let mut bytes = Vec::new();
    gmp.report("other", &mut bytes).unwrap();
    let refused = read_scan(&mut Cursor::new(bytes), &ScanLimits::default(), &mut |_| {}).unwrap_err();
    assert_eq!(refused.to_string(), "the scanner answered: 404 Failed to find report");
}

#[test]
fn a_socket_on_this_machine_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gvmd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || serve(&mut listener.accept().unwrap().0));
    check(Gmp::connect_socket(&path).unwrap());
    server.join().unwrap();
    let error = Gmp::connect_socket(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error, GmpError::Connect { .. }) && error.hint().contains("9390"), "{error:?}");
}

/// Starts a stand-in behind TLS, and returns its address and certificate.
fn over_tls(name: &str) -> (String, String, thread::JoinHandle<()>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let pem = made.cert.pem();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (line, _) = listener.accept().unwrap();
        serve(&mut StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), line));
    });
    (address, pem, server)
}

#[test]
fn tls_is_spoken_only_with_whom_the_authority_knows() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (address, pem, server) = over_tls("localhost");
    std::fs::write(&ca, pem).unwrap();
    check(Gmp::connect_tls(&address, &ca).unwrap());
    server.join().unwrap();
    let (address, _, server) = over_tls("localhost");
    let error = Gmp::connect_tls(&address, &ca).unwrap().version().unwrap_err();
    assert!(matches!(error, GmpError::Broken { .. }), "{error:?}");
    server.join().unwrap();
    std::fs::write(&ca, "no certificate").unwrap();
    assert!(matches!(Gmp::connect_tls(&address, &ca), Err(GmpError::Authority { .. })));
}

#[test]
fn an_answer_that_breaks_off_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gvmd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let mut request = [0; "<get_version/>".len()];
        line.read_exact(&mut request).unwrap();
        line.write_all(b"<get_version_response status=\"200\"><version>22").unwrap();
    });
    let error = Gmp::connect_socket(&path).unwrap().version().unwrap_err();
    assert!(matches!(error, GmpError::Ended { doing: "asking for the version" }), "{error:?}");
    server.join().unwrap();
}

#[test]
#[ignore = "for a person: serves one connection, so that Greenbone's own client (python-gvm) can judge the stand-in"]
fn the_stand_in_serves_a_person() {
    let path = std::env::var_os("FLEETWARDEN_GVMD_SOCKET").unwrap();
    serve(&mut UnixListener::bind(path).unwrap().accept().unwrap().0);
}
