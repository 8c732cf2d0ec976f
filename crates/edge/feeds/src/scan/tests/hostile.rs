//! What is refused, and how the refusal sounds.

use proptest::prelude::*;
use warden_model::ByteCount;

use super::super::{ScanError, ScanLimits};
use super::read_within;

#[track_caller]
fn refused(text: &[u8], limits: &ScanLimits, expected: &str) {
    let error = read_within(text, limits).unwrap_err();
    let said = format!("{error} ({})", error.hint());
    assert!(said.contains(expected), "{said}");
}

#[test]
fn what_is_no_report_is_refused_with_the_next_step() {
    let check = |text: &str, expected: &str| refused(text.as_bytes(), &ScanLimits::default(), expected);
    check("", "the report is empty");
    check(" \n\t", "the report is empty");
    check("<NessusClientData><Report/></NessusClientData>", "that is version 1 of Nessus' reports");
    check("<!-- x --><ReportHost name=\"a\"/>", "a piece of a Nessus report");
    check("<result/>", "a piece of an OpenVAS report");
    check("<html><body/></html>", "XML whose first element is <html> (Nessus");
    check("<report name=\"jacoco\"><counter/></report>", "first element is <report>");
    check("hello, world\n1,2", "text without the header");
    check("{\"bomFormat\":\"CycloneDX\"}", "a software bill of materials");
    check("{\"@context\":\"https://openvex.dev\"}", "an OpenVEX document");
    check("{\"document\":{\"csaf_version\":\"2.0\"}}", "`fleetwarden advisory import`");
    check("[]", "JSON without any item");
    check("{\"a\":1,\"b\":2}", "JSON with a, b");
    check("{\"runs\":{}}", "SARIF without runs");
    check("{\"runs\":[[]]}", "an array where an object is expected");
    check(
        "{\"template-id\":\"x\",\"info\":{\"severity\":\"bad\"},\"host\":\"h\"}",
        "the severity of item 1 is \"bad\"",
    );
    check("{\"template-id\":\"x\"", "ends in the middle");
    check("Plugin ID,Risk,Host\n1,High,\"a", "record 2 of the CSV ends inside of quotes");
    check("Plugin ID,Risk,Host\n1,Odd,a", "the risk of item 1 is \"Odd\"");
    check("<get_reports_response status=\"404\" status_text=\"none\"/>", "the scanner answered: 404 none");
    check("<nmaprun><host><status state=\"up\"/>", "ends in the middle of");
    let two = "<report id=\"a\" format_id=\"b\"/>";
    check(
        &format!("<get_reports_response status=\"200\">{two}{two}</get_reports_response>"),
        "several reports",
    );
    refused(b"\xff\xfe<\0", &ScanLimits::default(), "UTF-16");
}

#[test]
fn entities_are_never_followed() {
    let check = |text: &str| {
        refused(
            text.as_bytes(),
            &ScanLimits::default(),
            "an XML entity of its own (no scanner writes such a thing",
        );
    };
    check(
        "<?xml version=\"1.0\"?><!DOCTYPE nmaprun [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><nmaprun args=\"&b;\"/>",
    );
    check("<!DOCTYPE nmaprun [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><nmaprun>&e;</nmaprun>");
    check("<!DOCTYPE nmaprun [<!ENTITY % p SYSTEM \"http://x/\">%p;]><nmaprun/>");
    check("<nmaprun args=\"&e;\"/>");
    check(
        "<NessusClientData_v2><Report><ReportHost name=\"a\"><ReportItem><cve>&e;</cve></ReportItem></ReportHost></Report></NessusClientData_v2>",
    );
    // The five of XML itself, and characters by number, are no entities of anybody's own.
    let fine = "<!DOCTYPE nmaprun><nmaprun args=\"&amp;&#10;&#x1;\"/>";
    assert!(read_within(fine.as_bytes(), &ScanLimits::default()).is_ok());
}

fn item(text: &str) -> String {
    format!("<ReportItem port=\"1\" severity=\"1\" pluginID=\"{text}\"><cve>CVE-2014-3566</cve></ReportItem>")
}

fn nessus(inside: &str) -> Vec<u8> {
    format!("<NessusClientData_v2><Report><ReportHost name=\"a\">{inside}</ReportHost></Report></NessusClientData_v2>")
        .into_bytes()
}

#[test]
fn every_limit_has_a_name() {
    let check = |text: &[u8], change: &dyn Fn(&mut ScanLimits), expected: &str| {
        let mut limits = ScanLimits::default();
        change(&mut limits);
        refused(text, &limits, expected);
    };
    let big = nessus(&item(&"9".repeat(200_000)));
    check(&big, &|limits| limits.item = ByteCount::kib(64), "an item of more bytes, more than the 64.0 KiB");
    check(&big, &|limits| limits.report = ByteCount::kib(64), "more bytes, more than the 64.0 KiB");
    check(&nessus(&item("1").repeat(3)), &|limits| limits.items = 2, "more items, more than the 2");
    check(&nessus(&"<a>".repeat(100)), &|_| {}, "XML elements nested deeper, more than the 64");
    let wide = format!("<ReportItem>{}</ReportItem>", "<a/>".repeat(50));
    check(&nessus(&wide), &|limits| limits.nodes = 40, "an item of more XML elements, more than the 40");
    let many = |count: u32, one: &dyn Fn(u32) -> String| (0..count).map(one).collect::<Vec<_>>().concat();
    let attributes = many(300, &|number| format!(" a{number}=\"\""));
    check(
        &nessus(&format!("<x{attributes}/>")),
        &|_| {},
        "an XML element of more attributes, more than the 256",
    );
    let hosts = many(5, &|number| format!("<ReportHost name=\"h{number}\"/>"));
    check(&nessus(&hosts), &|limits| limits.hosts = 3, "more hosts, more than the 3");
    check(
        &nessus(&(item("1") + &item("2"))),
        &|limits| limits.plugins = 1,
        "more different checks, more than the 1",
    );
    let cves = many(10, &|number| format!("<cve>CVE-2014-{}</cve>", 1_000 + number));
    let crowded = format!("<ReportItem port=\"1\" severity=\"1\" pluginID=\"1\">{cves}</ReportItem>");
    check(&nessus(&crowded), &|limits| limits.cves = 5, "an item of more CVE ids, more than the 5");
    check(
        format!("Plugin ID{}\n", ",x".repeat(600)).as_bytes(),
        &|_| {},
        "a record of more columns, more than the 512",
    );
    check(&b" ".repeat(100_000), &|limits| limits.report = ByteCount::kib(8), "more bytes");
    let deep = format!("{{\"template-id\":\"x\",\"a\":{}", "[".repeat(1000));
    check(deep.as_bytes(), &|_| {}, "recursion limit");
    let long = format!("{{\"template-id\":\"{}\"}}", "x".repeat(100_000));
    check(long.as_bytes(), &|limits| limits.item = ByteCount::kib(8), "an item of more bytes");
}

#[test]
fn older_encodings_are_read_as_latin_1() {
    let mut bytes = nessus("");
    let at = bytes.windows(3).position(|three| three == b"\"a\"").unwrap() + 1;
    bytes[at] = 0xe9;
    let (report, _) = read_within(&bytes, &ScanLimits::default()).unwrap();
    assert!(report.hosts.contains_key("é"), "{:?}", report.hosts.keys());
}

const SEEDS: [&str; 5] = [
    "<NessusClientData_v2><Report name=\"r\"><ReportHost name=\"a\"><HostProperties><tag name=\"host-ip\">10.0.0.1</tag></HostProperties><ReportItem port=\"1\" severity=\"1\" pluginID=\"1\"><cve>CVE-2014-3566</cve></ReportItem></ReportHost></Report></NessusClientData_v2>",
    "<report id=\"r\" format_id=\"f\"><report id=\"r\"><results><result><host>10.0.0.1</host><port>1/tcp</port><nvt oid=\"1\"><cve>CVE-2014-3566</cve></nvt></result></results></report></report>",
    "<nmaprun args=\"nmap -p 1\"><host><address addr=\"10.0.0.1\" addrtype=\"ipv4\"/><ports><port protocol=\"tcp\" portid=\"1\"><state state=\"open\"/><script id=\"vulners\" output=\"CVE-2014-3566 5.0\"/></port></ports></host></nmaprun>",
    "{\"template-id\":\"t\",\"info\":{\"severity\":\"high\"},\"host\":\"https://[::1]:8443/x\",\"port\":\"1\"}",
    "{\"runs\":[{\"tool\":{\"driver\":{\"rules\":[{\"id\":\"a\"}]}},\"results\":[{\"ruleIndex\":0,\"message\":{\"text\":\"x\"}}]}]}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn broken_reports_never_harm(
        seed in 0..SEEDS.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let outcome = read_within(&bytes, &ScanLimits::default());
        prop_assert!(!matches!(outcome, Err(ScanError::Read { .. })), "{outcome:?}");
    }

    #[test]
    fn any_text_after_a_header_is_read_or_refused(text in "(\"|,|\n|a|1|High){0,60}") {
        let csv = format!("Plugin ID,Risk,Host\n{text}");
        let outcome = read_within(csv.as_bytes(), &ScanLimits::default());
        prop_assert!(!matches!(outcome, Err(ScanError::Read { .. })), "{outcome:?}");
    }
}
