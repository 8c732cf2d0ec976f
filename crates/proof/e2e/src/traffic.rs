//! What the sensors would see: lines of a Suricata `eve.json` and of a Zeek `conn.log`.
//!
//! No Suricata and no Zeek runs here; the lines have the form that they write (see the references in `warden-watch`).

use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use warden_model::Timestamp;

fn append(path: &Path, lines: &[String]) -> Result<()> {
    let shown = || format!("write {}", path.display());
    let mut file = File::options().create(true).append(true).open(path).with_context(shown)?;
    file.write_all(lines.join("\n").as_bytes()).and_then(|()| file.write_all(b"\n")).with_context(shown)
}

/// Adds a flow to a Suricata log.
pub fn suricata_flow(path: &Path, at: Timestamp, from: IpAddr, to: &str, port: u16) -> Result<()> {
    // Suricata writes the offset without a colon.
    let stamp = at.to_string().replace('Z', "+0000");
    let line = json!({
        "timestamp": stamp, "flow_id": at.0, "event_type": "flow", "src_ip": from, "src_port": 40_000,
        "dest_ip": to, "dest_port": port, "proto": "TCP", "app_proto": "tls",
        "flow": { "pkts_toserver": 8, "pkts_toclient": 7, "bytes_toserver": 900, "bytes_toclient": 4_000,
                  "start": stamp, "end": stamp, "state": "closed" },
    });
    append(path, &[line.to_string()])
}

/// Adds connections to a Zeek log, with its header when the log is new.
pub fn zeek_connection(path: &Path, at: Timestamp, from: IpAddr, to: &str, port: u16) -> Result<()> {
    let mut lines = Vec::new();
    if !path.exists() {
        lines.extend(
            [
                "#separator \\x09",
                "#set_separator\t,",
                "#empty_field\t(empty)",
                "#unset_field\t-",
                "#path\tconn",
            ]
            .map(str::to_owned),
        );
        lines.push(
            "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state"
                .to_owned(),
        );
    }
    let (seconds, millis) = (at.0.div_euclid(1000), at.0.rem_euclid(1000));
    lines.push(format!(
        "{seconds}.{millis:03}000\tC{}{}\t{from}\t40001\t{to}\t{port}\ttcp\tssl\t0.5\t900\t4000\tSF",
        at.0, port
    ));
    append(path, &lines)
}
