//! Lines of Zeek logs in both forms, as they are and as they should not be.

use proptest::prelude::*;

use super::{ZeekLog, ZeekReader, unescape};
use crate::line::{LineError, Tally};
use crate::observed::{NameSource, Observed, Transport};

const HEADER: [&str; 6] = [
    "\t#separator \\x09",
    "#set_separator\t,",
    "#empty_field\t(empty)",
    "#unset_field\t-",
    "#path\tconn",
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\ttunnel_parents   label",
];
const CONN: &str =
    "1545403816.962094\tCrDn63\t192.168.1.195\t41040\t185.244.25.235\t6667\ttcp\tirc\t-   Malicious";

fn reader() -> ZeekReader {
    let mut reader = ZeekReader::default();
    for line in HEADER {
        assert_eq!(reader.feed(line), Ok(None));
    }
    reader
}

#[test]
fn columns_are_found_by_name() {
    let Observed::Flow(flow) = reader().feed(CONN).unwrap().unwrap() else { panic!() };
    assert_eq!((flow.port, flow.protocol, flow.app.as_deref()), (6667, Transport::Tcp, Some("irc")));
    assert_eq!((flow.at.0, flow.uid.as_str()), (1_545_403_816_962, "CrDn63"));
    let mut moved = ZeekReader::default();
    moved.feed("#path\tconn").unwrap();
    moved.feed("#fields\t_node_name\tproto\tdst_port\tdst\tsrc\tts").unwrap();
    let Observed::Flow(flow) = moved.feed("n\tudp\t53\t10.0.0.1\tfe80::1\t1.5").unwrap().unwrap() else {
        panic!()
    };
    assert_eq!((flow.port, flow.source.to_string().as_str()), (53, "fe80::1"));
}

#[test]
fn a_reader_can_go_on_in_the_middle_of_a_file() {
    assert_eq!(ZeekReader::default().feed(CONN), Err(LineError::NoHeader));
    let before = reader();
    let mut after = ZeekReader::default();
    for line in before.header() {
        after.feed(line).unwrap();
    }
    assert!(matches!(after.feed(CONN), Ok(Some(Observed::Flow(_)))));
}

#[test]
fn a_new_header_after_rotation_takes_over() {
    let mut reader = reader();
    for line in
        ["#close\t2026", "#separator \\x20", "#path dns", "#fields ts id.orig_h id.resp_h query answers"]
    {
        assert_eq!(reader.feed(line), Ok(None));
    }
    let Observed::Names(names) =
        reader.feed("1.0 10.0.0.9 10.0.0.1 A.example b.example,10.1.1.1").unwrap().unwrap()
    else {
        panic!()
    };
    assert_eq!((names.name.as_str(), names.addresses.len()), ("a.example", 1));
}

#[test]
fn json_is_told_by_its_path_its_file_or_its_fields() {
    let check = |log: Option<ZeekLog>, line: &str, kind: &str| {
        assert_eq!(ZeekReader::new(log).feed(line).unwrap().unwrap().kind(), kind, "{line}");
    };
    let ends = r#""ts":95.03,"id.orig_h":"10.0.2.15","id.resp_h":"1.2.3.4","id.resp_p":443"#;
    check(None, &format!(r#"{{"_path":"conn",{ends}}}"#), "flow");
    check(Some(ZeekLog::Conn), &format!("{{{ends}}}"), "flow");
    check(None, &format!(r#"{{{ends},"conn_state":"SF"}}"#), "flow");
    check(None, &format!(r#"{{{ends},"cipher":"x"}}"#), "flow");
    check(None, &format!(r#"{{{ends},"query":"a.example","answers":["1.2.3.4"]}}"#), "names");
    check(None, &format!(r#"{{{ends},"query":"a.example"}}"#), "dns");
    check(None, &format!(r#"{{{ends},"note":"Scan::Port_Scan","src":"10.0.2.15"}}"#), "rule");
    check(Some(ZeekLog::of("x509")), r#"{"ts":1.0,"id":"F"}"#, "x509");
}

#[test]
fn times_come_in_all_their_spellings() {
    let check = |ts: &str, millis: i64| {
        let line = format!(r#"{{"ts":{ts},"id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","proto":"udp"}}"#);
        let Observed::Flow(flow) = ZeekReader::new(Some(ZeekLog::Conn)).feed(&line).unwrap().unwrap() else {
            panic!()
        };
        assert_eq!(flow.at.0, millis, "{ts}");
    };
    check("1517336042.090842", 1_517_336_042_091);
    check("12", 12_000);
    check("-1.5", -1_500);
    check("\"1969-12-31T23:59:59.600000Z\"", -400);
}

#[test]
fn a_host_with_a_port_is_a_claimed_name() {
    let line = r#"{"_path":"http","ts":1.0,"id.orig_h":"10.0.0.1","id.resp_h":"1.2.3.4","id.resp_p":8080,"host":"Cloud.Example:8080"}"#;
    let Observed::Flow(flow) = ZeekReader::default().feed(line).unwrap().unwrap() else { panic!() };
    let name = flow.name.unwrap();
    assert_eq!((name.text.as_str(), name.source), ("cloud.example", NameSource::Claimed));
}

#[test]
fn icmp_has_no_ports() {
    let line = CONN.replace("\ttcp\t", "\ticmp\t").replace("\t6667\t", "\t136\t");
    let Observed::Flow(flow) = reader().feed(&line).unwrap().unwrap() else { panic!() };
    assert_eq!((flow.port, flow.protocol), (0, Transport::Icmp));
}

#[test]
fn malformed_lines_are_errors_and_the_next_line_is_read() {
    let mut reader = reader();
    let mut tally = Tally::default();
    let lines = [
        CONN.to_owned(),
        "a\tb".to_owned(),
        CONN.replace("1545403816", "XXXXXXXXXX"),
        CONN.replace("185.244", "185.344"),
        CONN.replace("6667", "66670"),
        CONN.replace("1545403816.962094", "-"),
        "{\"ts\":}".to_owned(),
        String::new(),
        CONN.to_owned(),
    ];
    let flows = lines.iter().filter_map(|line| tally.count(reader.feed(line))).count();
    assert_eq!((flows, tally.lines, tally.silent, tally.malformed), (2, 9, 1, 6));
    let (line, error) = tally.last_malformed.unwrap();
    assert_eq!(line, 7);
    assert!(matches!(error, LineError::Json { column: 7, .. }), "{error:?}");
}

#[test]
fn escapes_are_undone() {
    let check = |text: &str, plain: &str| assert_eq!(unescape(text), plain);
    check("plain", "plain");
    check("a\\x09b", "a\tb");
    check("\\xc3\\xb1", "ñ");
    check("\\x", "\\x");
    check("\\xé", "\\xé");
    check("\\xff\\xz1", "\u{fffd}\\xz1");
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_panic(lines in prop::collection::vec("(#[a-z]{0,9})?[\\PC\t]{0,80}", 0..20)) {
        let mut fresh = ZeekReader::default();
        let mut warm = reader();
        for line in &lines {
            drop((fresh.feed(line), warm.feed(line)));
        }
    }

    #[test]
    fn a_changed_line_never_makes_it_panic(at in 0..100_usize, with in any::<char>()) {
        let at = at.min(CONN.len());
        let changed = format!("{}{with}{}", CONN.get(..at).unwrap(), CONN.get(at + 1..).unwrap_or(""));
        drop(reader().feed(&changed));
    }
}
