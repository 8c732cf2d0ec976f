//! Real logs, from the file system to alerts: Suricata 5 to 8, Zeek in all its spellings, a Mirai capture.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use warden_model::{AlertId, DeviceId, ProductId};
use warden_net::{Reached, Tail};
use warden_watch::{Baseline, Class, Flow, Names, Observed, Phase, Tally, ZeekLog, ZeekReader, read_eve};

/// Finds the real logs; without them the tests say so and pass.
fn corpus(part: &str) -> Option<PathBuf> {
    let set = std::env::var_os("FLEETWARDEN_CORPUS").map(PathBuf::from);
    let folder =
        set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus"));
    let path = folder.join("network").join(part);
    if path.exists() {
        return Some(path);
    }
    drop(writeln!(std::io::stderr(), "skipped: no corpus at {}", path.display()));
    None
}

fn lines(path: &Path) -> Vec<String> {
    let mut tail = Tail::open(path, None).unwrap();
    let mut lines = Vec::new();
    loop {
        let batch = tail.read_lines(997).unwrap();
        assert_eq!((batch.too_long, batch.lost_files), (0, 0));
        lines.extend(batch.lines);
        if batch.reached == Reached::End {
            return lines;
        }
    }
}

fn zeek(path: &Path) -> (Vec<Observed>, Tally) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let log = name.trim_start_matches("ORIGINAL").split('.').find(|part| !part.starts_with("hue")).unwrap();
    let mut reader = ZeekReader::new(Some(ZeekLog::of(log)));
    let mut tally = Tally::default();
    let observed = lines(path).iter().filter_map(|line| tally.count(reader.feed(line))).collect();
    (observed, tally)
}

fn flows(observed: Vec<Observed>) -> Vec<Flow> {
    let flow = |observed| match observed {
        Observed::Flow(flow) => Some(flow),
        Observed::Names(_) | Observed::Rule(_) | Observed::Other(_) => None,
    };
    observed.into_iter().filter_map(flow).collect()
}

#[test]
fn every_line_of_suricata_is_read() {
    let Some(folder) = corpus("suricata") else { return };
    let mut logs = vec![
        folder.join("slips-test6.first1500.eve.json"),
        folder.join("eve-from-pcaps/test12-icmp-portscan.eve.json"),
    ];
    let cases = std::fs::read_dir(folder.join("verify")).unwrap().map(|entry| entry.unwrap().path());
    logs.extend(cases.map(|case| case.join("eve.suricata-8.0.6.json")).filter(|log| log.exists()));
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for log in logs {
        let mut tally = Tally::default();
        for line in lines(&log) {
            tally.count(read_eve(&line));
        }
        assert_eq!(tally.malformed, 0, "{}: {:?}", log.display(), tally.last_malformed);
        for (kind, count) in tally.kinds {
            *kinds.entry(kind).or_default() += count;
        }
    }
    assert_eq!(kinds["rule"], 782);
    assert_eq!(kinds["flow"], 335 + 12 + 3, "flow, http and tls");
    assert!(kinds["names"] > 100, "{kinds:?}");
    assert_eq!((kinds["stats"], kinds["modbus"], kinds["mqtt"]), (7, 18, 6));
}

#[test]
fn every_line_of_zeek_is_read() {
    for (log, kind, least) in [
        ("zeek/iot23-benign/hue-CTU-Honeypot-4-1.conn.log", "flow", 1_209),
        ("zeek/iot23-labeled/CTU-34-1.first3000.conn.log.labeled", "flow", 3_000),
        ("zeek/slips-test10-mixed-tsv/conn.log", "flow", 141),
        ("zeek/slips-test10-mixed-tsv/dns.log", "names", 30),
        ("zeek/slips-test10-mixed-tsv/ssl.log", "flow", 13),
        ("zeek/slips-test10-mixed-tsv/notice.log", "rule", 5),
        ("zeek/slips-test9-mixed-json/conn.log", "flow", 576),
        ("zeek/slips-test9-mixed-json/dns.log", "names", 100),
        ("zeek/slips-test9-mixed-json/http.log", "flow", 516),
        ("zeek/slips-test9-mixed-json/ssl.log", "flow", 205),
        ("zeek/slips-test9-mixed-json/x509.log", "x509", 154),
        ("zeek/slips-test9-mixed-json/dhcp.log", "dhcp", 5),
        ("zeek/slips-portscan-tsv/horizontal/conn.log", "flow", 40),
        ("zeek/slips-portscan-tsv/vertical/conn.log", "flow", 50),
        ("zeek/rita-json/conn.log", "flow", 29),
        ("zeek/rita-json/open_conn.log", "flow", 59),
        ("zeek/rita-json/ORIGINALdns.log", "dns", 10),
    ] {
        let Some(path) = corpus(log) else { return };
        let (_, tally) = zeek(&path);
        // That one file has a line of another version of Zeek, three columns short.
        let malformed = u64::from(kind == "rule");
        assert_eq!(tally.malformed, malformed, "{log}: {:?}", tally.last_malformed);
        let found = tally.kinds.get(kind).copied().unwrap_or(0);
        assert!(found >= least, "{log}: {found} of {kind}, in {:?}", tally.kinds);
    }
}

#[test]
fn masked_times_are_errors_and_stop_nothing() {
    let Some(path) = corpus("zeek/btest-headers/conn.from.scripts.base.protocols.ftp.gridftp.log") else {
        return;
    };
    let (observed, tally) = zeek(&path);
    assert_eq!((observed.len(), tally.malformed), (0, 2));
}

#[test]
fn a_mirai_bot_raises_few_alerts_for_all_of_its_flows() {
    let Some(path) = corpus("zeek/iot23-labeled/CTU-34-1.first3000.conn.log.labeled") else { return };
    let malicious: BTreeSet<String> = lines(&path)
        .iter()
        .filter(|line| line.contains("   Malicious   "))
        .filter_map(|line| line.split('\t').nth(1).map(str::to_owned))
        .collect();
    let (product, device) = (ProductId::new("camera").unwrap(), DeviceId::new("camera-34").unwrap());
    let mut baseline = Baseline::default();
    let (observed, _) = zeek(&path);
    let flows = flows(observed);
    // What the camera does when it is well: time and names. The capture holds no day without the bot.
    for flow in flows.iter().filter(|flow| matches!(flow.port, 53 | 67 | 123)) {
        baseline.learn(&product, flow).unwrap();
    }
    baseline.enter(&product, Phase::Watching, flows[0].at);
    let mut alerts: BTreeSet<AlertId> = BTreeSet::new();
    let mut missed = 0;
    for flow in &flows {
        match baseline.judge(&product, &device, flow) {
            Some(alert) => drop(alerts.insert(alert.id)),
            None if malicious.contains(&flow.uid) => missed += 1,
            None => {}
        }
    }
    assert_eq!((malicious.len(), missed), (2_446, 0));
    assert!((1..=20).contains(&alerts.len()), "{} alerts", alerts.len());
}

/// Learns from the first half of what a device did, and counts the alerts of the second.
fn alerts_after_half(flows: &[Flow], device: &str) -> (usize, usize) {
    let (product, id) = (ProductId::new("benign").unwrap(), DeviceId::new(device).unwrap());
    let mut own: Vec<&Flow> = flows.iter().filter(|flow| flow.source.to_string() == device).collect();
    own.sort_by_key(|flow| flow.at);
    let (learned, watched) = own.split_at(own.len() / 2);
    let mut baseline = Baseline::default();
    for flow in learned {
        baseline.learn(&product, flow).unwrap();
    }
    baseline.enter(&product, Phase::Watching, watched[0].at);
    let alerts: BTreeSet<AlertId> =
        watched.iter().filter_map(|flow| baseline.judge(&product, &id, flow)).map(|alert| alert.id).collect();
    (alerts.len(), watched.len())
}

#[test]
fn a_benign_device_does_not_drown_anybody() {
    let Some(path) = corpus("zeek/iot23-benign/hue-CTU-Honeypot-4-1.conn.log") else { return };
    let flows = flows(zeek(&path).0);
    for device in ["192.168.1.132", "192.168.100.118"] {
        let (alerts, watched) = alerts_after_half(&flows, device);
        assert!(alerts <= 3, "{device}: {alerts} alerts of {watched} flows");
    }
}

#[test]
fn names_of_a_real_resolver_reach_the_flows() {
    let (Some(dns), Some(conn)) =
        (corpus("zeek/slips-test9-mixed-json/dns.log"), corpus("zeek/slips-test9-mixed-json/conn.log"))
    else {
        return;
    };
    let mut names = Names::default();
    for observed in zeek(&dns).0 {
        if let Observed::Names(answer) = observed {
            names.learn(&answer);
        }
    }
    let mut flows = flows(zeek(&conn).0);
    for flow in &mut flows {
        names.name(flow);
    }
    let outside: Vec<&Flow> = flows
        .iter()
        .filter(|flow| Class::of(flow.destination) == Class::Internet && flow.port == 443)
        .collect();
    let with_name = outside.iter().filter(|flow| flow.name.is_some()).count();
    assert!(with_name * 10 >= outside.len() * 7, "{with_name} of {} have a name", outside.len());
}
