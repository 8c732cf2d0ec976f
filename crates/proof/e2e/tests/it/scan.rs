//! A real scanner: Nmap finds a weakness on a device, a case opens, the device is mended, the rescan closes the case.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use warden_e2e::binaries::Binaries;
use warden_e2e::fleet::{Device, Fate, Profile, wait_for_first_reports};
use warden_e2e::process::{run, wait_for};
use warden_e2e::server::Server;
use warden_kit::image::RootFs;

/// The number of the device's address: 127.0.1.9.
const NUMBER: u8 = 9;
const ADDRESS: &str = "127.0.1.9";
const WEAKNESS: &str = "CVE-2014-6271";

#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Answers one request as the web page of a device whose scripts an old shell runs: what stands in a header after a function
/// definition is carried out (here: `echo`, which is all that the scanner tries).
fn answer(mut line: TcpStream, is_weak: bool) -> std::io::Result<()> {
    line.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    while !request.ends_with(b"\r\n\r\n") {
        let length = line.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let command =
        text.lines().find_map(|line| line.split_once("() { :;}; echo; echo -n ")).map(|(_, rest)| rest);
    let page = match command.filter(|_| is_weak).and_then(|command| command.split_once("; echo ")) {
        Some((first, second)) => format!("{first}{}\n", second.trim()),
        None => "<html>camera</html>".to_owned(),
    };
    write!(line, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len())
}

/// Starts the device's web page; it stops being weak when the device is mended.
fn web_page(is_weak: &Arc<AtomicBool>) -> Result<u16> {
    let listener = TcpListener::bind((ADDRESS, 0)).context("listen at the device's address")?;
    let port = listener.local_addr()?.port();
    let is_weak = Arc::clone(is_weak);
    std::thread::spawn(move || {
        for line in listener.incoming().flatten() {
            // A scanner that goes away in the middle is no failure of the page.
            answer(line, is_weak.load(Ordering::Relaxed)).ok();
        }
    });
    Ok(port)
}

/// Scans the device as a person would, and imports the report; returns the receipt.
fn scan(server: &Server, port: u16, file: &Path) -> Result<serde_json::Value> {
    let mut nmap = Command::new("nmap");
    nmap.args(["-n", "-Pn", "-sT", "-p", &port.to_string(), "--script", "+http-shellshock", "-oX"]);
    run(nmap.arg(file).arg(ADDRESS)).context("run nmap")?;
    let output = server.cli(&["--json", "scan", "import"]).arg(file).output().context("import the report")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).context("read the receipt")?;
    all.pointer("/scans/0").cloned().context("a receipt without scan")
}

/// Waits until the case on the device stands so, and returns why it was opened.
fn case(server: &Server, protected_by: Option<&str>) -> Result<String> {
    wait_for("the case", Duration::from_secs(10), || {
        let cases = server.api.cases()?;
        let case = cases.into_iter().find(|case| case.advisory == WEAKNESS && case.device == "cam-1");
        Ok(case.filter(|case| case.protected_by.as_deref() == protected_by).map(|case| case.reason))
    })
}

#[test]
fn nmap_finds_a_weakness_and_its_rescan_closes_the_case() -> Result<()> {
    if Command::new("nmap").arg("--version").output().is_err() {
        skipped("no nmap");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let binaries = Binaries::find()?;
    let mut server = Server::start(&binaries, folder.path())?;
    let product = json!({ "id": "cam", "name": "Camera", "boards": ["v1"], "exposure": "open" });
    server.api.put("/api/v1/products/cam", &product)?;
    let image = folder.path().join("1.0.squashfs");
    std::fs::write(&image, RootFs::new().file("etc/os-release", 0o644, "ID=demo\n").squashfs()?)?;
    let profile = Profile {
        id: "cam-1",
        product: "cam",
        board: "v1",
        criticality: "standard",
        sensitivity: "internal",
        fate: Fate::Healthy,
    };
    let mut devices = vec![Device::start(&binaries, &server, folder.path(), NUMBER, profile, &image)?];
    wait_for_first_reports(&server, &mut devices)?;

    let is_weak = Arc::new(AtomicBool::new(true));
    let port = web_page(&is_weak)?;
    let first = scan(&server, port, &folder.path().join("first.xml"))?;
    assert_eq!(
        (&first["matched"], &first["opened"], &first["closed"]),
        (&json!(1), &json!(1), &json!(0)),
        "{first}"
    );
    let reason = case(&server, None)?;
    assert!(
        reason.starts_with(&format!("nmap saw it at {port}/tcp (http-shellshock, 99 % sure)")),
        "{reason}"
    );

    // The device is mended; nothing but another look closes the case.
    is_weak.store(false, Ordering::Relaxed);
    // Nmap tells time in whole seconds, and only a later look closes what an earlier one saw.
    std::thread::sleep(Duration::from_millis(1100));
    let again = scan(&server, port, &folder.path().join("second.xml"))?;
    assert_eq!((&again["opened"], &again["closed"]), (&json!(0), &json!(1)), "{again}");
    case(&server, Some("patched"))?;
    let seen = server.api.get("/api/v1/devices/cam-1/sightings")?;
    assert_eq!(seen["items"][0]["closed_by"], again["scan"]["id"], "{seen}");
    server.stop()
}
