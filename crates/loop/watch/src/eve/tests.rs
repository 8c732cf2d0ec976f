//! Lines of Suricata 5 to 8, as they are and as they should not be.

use proptest::prelude::*;

use super::read_eve;
use crate::line::{LINE_BYTES_MAX, LineError};
use crate::observed::{NameSource, Observed, Outcome, Transport};

const FLOW: &str = r#"{"timestamp":"2021-06-06T15:57:37.272281+0200","flow_id":18446744073709551615,"event_type":"flow","src_ip":"192.168.1.132","src_port":1900,"dest_ip":"192.168.1.129","dest_port":44232,"proto":"UDP","app_proto":"failed","flow":{"pkts_toserver":12,"state":"new","alerted":false},"host":"x"}"#;
const DNS_2: &str = r#"{"timestamp":"2021-06-06T16:26:27.442512+0200","flow_id":1567838537225881,"event_type":"dns","src_ip":"192.168.1.129","src_port":35790,"dest_ip":"192.168.1.1","dest_port":53,"proto":"UDP","dns":{"version":2,"type":"answer","id":2,"rrname":"www.Google.com","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"www.google.com","rrtype":"A","ttl":91,"rdata":"172.217.23.196"}]}}"#;
const DNS_3: &str = r#"{"timestamp":"2005-07-04T09:32:52.842609+0000","flow_id":1,"event_type":"dns","src_ip":"192.168.1.1","src_port":53,"dest_ip":"192.168.1.2","dest_port":2714,"proto":"UDP","dns":{"version":3,"type":"response","queries":[{"rrname":"a.example","rrtype":"A"}],"answers":[{"rrname":"a.example","rrtype":"CNAME","rdata":"b.example"},{"rrname":"b.example","rrtype":"AAAA","rdata":"2001:db8::1"},{"rrname":"b.example","rrtype":"SOA","soa":{"mname":"x"}},{"rrname":"c","rrtype":"A","rdata":{"odd":1}}]}}"#;
const ALERT: &str = r#"{"timestamp":"2026-11-22T09:09:57.425657+0000","flow_id":7,"event_type":"alert","src_ip":"198.51.100.1","src_port":4,"dest_ip":"10.9.0.7","dest_port":80,"proto":"TCP","alert":{"action":"blocked","gid":1,"signature_id":1500400,"rev":3,"signature":"FW virtual patch\u0007","category":"x","severity":1,"metadata":{"fw_cve":["CVE-2099-0001"],"fw_vp":["vp-100"],"cve":["CVE_2099_0002"],"tag":["x"]}}}"#;
const TLS: &str = r#"{"timestamp":"2021-06-06T16:54:00.074627+0200","flow_id":26,"event_type":"tls","src_ip":"0000:0000:0000:0000:0000:0000:0000:0001","src_port":60316,"dest_ip":"122.248.252.67","dest_port":55443,"proto":"TCP","tls":{"sni":"www.myedimax.com","version":"TLS 1.1"}}"#;

fn read(line: &str) -> Observed {
    read_eve(line).unwrap().unwrap()
}

#[test]
fn a_flow_keeps_its_whole_number() {
    let Observed::Flow(flow) = read(FLOW) else { panic!() };
    assert_eq!(flow.uid, "18446744073709551615");
    assert_eq!((flow.port, flow.protocol, flow.name, flow.app), (44232, Transport::Udp, None, None));
    assert_eq!(flow.at.to_string(), "2021-06-06T13:57:37.272Z");
}

#[test]
fn answers_of_both_versions_name_the_client() {
    let check = |line: &str, client: &str, name: &str, address: &str| {
        let Observed::Names(names) = read(line) else { panic!("{line}") };
        assert_eq!((names.client.to_string().as_str(), names.name.as_str()), (client, name));
        assert_eq!(names.addresses, [address.parse::<std::net::IpAddr>().unwrap()]);
    };
    check(DNS_2, "192.168.1.129", "www.google.com", "172.217.23.196");
    check(DNS_3, "192.168.1.2", "a.example", "2001:db8::1");
}

#[test]
fn a_server_name_is_only_a_claim() {
    let Observed::Flow(flow) = read(TLS) else { panic!() };
    let name = flow.name.unwrap();
    assert_eq!((name.text.as_str(), name.source), ("www.myedimax.com", NameSource::Claimed));
    assert_eq!((flow.source.to_string().as_str(), flow.app.as_deref()), ("::1", Some("tls")));
}

#[test]
fn a_rule_hit_leads_back_to_its_advisory() {
    let Observed::Rule(hit) = read(ALERT) else { panic!() };
    assert_eq!((hit.sid, hit.severity, hit.outcome), (1_500_400, 1, Outcome::Blocked));
    assert_eq!(hit.cves, ["CVE-2099-0001", "CVE-2099-0002"]);
    assert_eq!(hit.virtual_patches, ["vp-100"]);
    assert_eq!(hit.signature, "FW virtual patch\u{fffd}");
}

#[test]
fn what_is_not_used_is_told_by_its_kind() {
    let check = |line: &str, kind: &str| assert_eq!(read(line), Observed::Other(kind.to_owned()));
    check(
        r#"{"timestamp":"2026-11-22T09:09:57+0000","event_type":"stats","stats":{"a":{"b":[1]}}}"#,
        "stats",
    );
    check(r#"{"timestamp":"2026-11-22T09:09:57+0000","event_type":"of-tomorrow"}"#, "of-tomorrow");
    check(r#"{"timestamp":"2026-11-22T09:09:57+0000","event_type":"flow","ether":{}}"#, "flow");
    check(r#"{"timestamp":"2026-11-22T09:09:57+0000","event_type":"dns","dns":{"type":"query"}}"#, "dns");
    assert_eq!(read_eve("  \r\n"), Ok(None));
}

#[test]
fn malformed_lines_are_errors_with_their_place() {
    let column = |line: &str, column: usize| match read_eve(line) {
        Err(LineError::Json { column: found, .. }) => assert_eq!(found, column, "{line}"),
        other => panic!("{line}: {other:?}"),
    };
    column("{", 1);
    column("not json", 2);
    column(r#"{"timestamp":1}"#, 14);
    column(r#"{"timestamp":"2026-11-22T09:09:57+0000"}"#, 40);
    column(FLOW.split_at(100).0, 100);
    let field = |line: &str, field: &str| match read_eve(line) {
        Err(LineError::Field { field: found, .. }) => assert_eq!(found, field),
        other => panic!("{line}: {other:?}"),
    };
    field(&FLOW.replace("192.168.1.132", "192.168.1.332"), "src_ip");
    field(&FLOW.replace("2021-06-06T15", "2021-13-06T15"), "timestamp");
    let long = format!("{}{FLOW}", " ".repeat(LINE_BYTES_MAX));
    assert_eq!(read_eve(&long), Err(LineError::TooLong { bytes: long.len() }));
    let deep = format!(r#"{{"timestamp":"x","event_type":"a","b":{}"#, "[".repeat(100_000));
    assert!(matches!(read_eve(&deep), Err(LineError::Json { .. })), "depth has a limit");
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_panic(text in any::<String>()) {
        drop(read_eve(&text));
    }

    #[test]
    fn a_cut_or_changed_line_never_makes_it_panic(which in 0..5_usize, at in 0..900_usize, with in any::<char>()) {
        let line = [FLOW, DNS_2, DNS_3, ALERT, TLS][which];
        let at = at.min(line.len());
        let changed = format!("{}{with}{}", line.get(..at).unwrap(), line.get(at + 1..).unwrap_or(""));
        drop((read_eve(&changed), read_eve(line.get(..at).unwrap())));
    }
}
