//! What is read from each form.

use warden_model::scan::{Exploit, Mac, Port, PortProtocol, ScanSeverity, Scanner};
use warden_model::{Seconds, Timestamp};

use super::super::text::{cves_in, loose_moment, port};
use super::{lines, read};

#[test]
fn nessus_tells_hosts_plugins_and_its_policy() {
    let (report, items) = read(
        r#"<?xml version="1.0"?><NessusClientData_v2><Policy><policyName>weekly</policyName><Preferences>
        <ServerPreferences><preference><name>plugin_set</name><value>10;20;30;</value></preference>
        <preference><name>port_range</name><value>1-1024,U:53,8080</value></preference></ServerPreferences>
        </Preferences></Policy><Report name="site A"><ReportHost name="10.0.0.7"><HostProperties>
        <tag name="mac-address">00:11:22:33:44:55
00:11:22:33:44:56</tag><tag name="host-fqdn">Cam.Example.</tag><tag name="Credentialed_Scan">true</tag>
        <tag name="HOST_START_TIMESTAMP">1700000000</tag><tag name="HOST_END_TIMESTAMP">1700000600</tag>
        </HostProperties><ReportItem port="443" protocol="tcp" severity="3" pluginID="20" pluginName="A &amp; B">
        <cve>CVE-2014-3566</cve><cve>CVE-2015-0204</cve><cvss_base_score>4.3</cvss_base_score>
        <cvss3_base_score>6.8</cvss3_base_score><exploit_available>true</exploit_available>
        <plugin_output><![CDATA[x < y]]></plugin_output></ReportItem>
        <ReportItem port="0" protocol="tcp" severity="0" pluginID="10" pluginName="i"/></ReportHost></Report>
        </NessusClientData_v2>"#,
    );
    assert_eq!(
        lines(&items),
        ["10.0.0.7 443/tcp 20 high 6.8 CVE-2014-3566,CVE-2015-0204", "10.0.0.7 host/tcp 10 info - "]
    );
    assert_eq!((items[0].title.as_str(), items[0].text.as_str()), ("A & B", "x < y"));
    assert_eq!(items[0].exploit, Exploit::Known);
    assert_eq!((report.label.as_str(), report.counts.cves), ("site A", 2));
    assert_eq!(report.plugins.listed.iter().cloned().collect::<Vec<_>>(), ["10", "20", "30"]);
    let (host, scope) = &report.hosts["10.0.0.7"];
    assert_eq!((host.macs.len(), host.names.first().map(String::as_str)), (2, Some("cam.example")));
    assert_eq!(host.seen, Some((Timestamp(1_700_000_000_000), Timestamp(1_700_000_600_000))));
    assert!(scope.complete && scope.credentialed);
    let holds = |protocol, number| scope.ports.holds(Port { protocol, number });
    assert!(holds(PortProtocol::Tcp, 80) && holds(PortProtocol::Udp, 53) && holds(PortProtocol::Tcp, 8080));
    assert!(!holds(PortProtocol::Tcp, 9000) && !holds(PortProtocol::Udp, 80));
}

#[test]
fn the_csv_of_tenable_s_products_means_the_same() {
    let check = |text: &str, expected: &[&str]| {
        let (report, items) = read(text);
        assert_eq!(report.scanner, Scanner::Nessus);
        assert_eq!(lines(&items), expected, "{text}");
    };
    check(
        "\u{feff}Plugin ID,CVE,CVSS,Risk,Host,Protocol,Port,Name,Plugin Output\r\n\"1\",\"CVE-2014-3566\",\"4.3\",\"Medium\",\
         \"10.0.0.7\",\"tcp\",\"443\",\"a \"\"b\"\"\",\"x\r\ny\"\r\n,,,,,,,,\r\n2,,,None,10.0.0.7,udp,0,n,\r\n",
        &["10.0.0.7 443/tcp 1 medium 4.3 CVE-2014-3566", "10.0.0.7 host/udp 2 info - "],
    );
    check(
        "definition.id;definition.name;severity;definition.cve;asset.display_ipv4_address;asset.name;port;protocol\n\
         7;x;Critical;CVE-2024-0001,CVE-2024-0002;10.0.0.9;cam;22;TCP\n",
        &["10.0.0.9 22/tcp 7 critical - CVE-2024-0001,CVE-2024-0002"],
    );
    let (report, _) = read(
        "Plugin,Plugin Name,Severity,IP Address,Protocol,Port,MAC Address,DNS Name,Last Observed\n\
         9,x,High,10.0.0.1,TCP,1433,9c:8e:99:1b:8b:dc,Db.Example,\"Aug 4, 2021 12:00:00 UTC\"",
    );
    let (host, _) = &report.hosts["10.0.0.1"];
    assert!(
        host.macs.contains(&"9c:8e:99:1b:8b:dc".parse::<Mac>().unwrap()) && host.names.contains("db.example")
    );
    assert_eq!(host.seen.map(|(_, to)| to.to_string()).as_deref(), Some("2021-08-04T12:00:00Z"));
}

fn openvas(term: &str, results: &str, end: &str) -> String {
    format!(
        "<report id=\"r\" format_id=\"f\"><task id=\"t\"><name>weekly</name></task><report id=\"r\"><filters>\
         <term>{term}</term></filters><scan_run_status>Done</scan_run_status><ports><port>80/tcp<host>10.0.0.9\
         </host></port></ports><results start=\"1\" max=\"-1\">{results}</results><host><ip>10.0.0.1</ip>\
         <start>2026-11-22T08:00:00Z</start>{end}<detail><name>MAC</name><value>02:00:00:00:00:01</value></detail>\
         </host><errors><count>0</count></errors></report></report>"
    )
}

const END: &str = "<end>2026-11-22T09:00:00Z</end>";

#[test]
fn openvas_is_read_in_both_generations() {
    let old = "<result><subnet>x</subnet><host>10.0.0.1</host><port>distcc (3632/tcp)</port><nvt oid=\"1.2\">\
        <name>d</name><cvss_base>9.3</cvss_base><cve>CVE-2004-2687, CVE-2004-2688</cve></nvt><threat>High</threat></result>";
    let new = "<result><host>10.0.0.1<asset asset_id=\"\"/><hostname>cam</hostname></host><port>general/tcp</port>\
        <nvt oid=\"1.3\"><refs><ref type=\"cve\" id=\"CVE-2023-1\"/><ref type=\"cve\" id=\"CVE-2023-4573\"/>\
        <ref type=\"url\" id=\"https://x/CVE-2000-0001\"/></refs></nvt><threat/><severity>9.8</severity>\
        <qod><value>30</value></qod></result>";
    let (report, items) = read(&openvas("levels=hml min_qod=30 rows=-1", &format!("{old}{new}"), END));
    assert_eq!(
        lines(&items),
        [
            "10.0.0.1 3632/tcp 1.2 high 9.3 CVE-2004-2687,CVE-2004-2688",
            "10.0.0.1 host/tcp 1.3 critical 9.8 CVE-2023-4573 30%"
        ]
    );
    assert_eq!((report.profile.as_deref(), report.label.as_str()), (Some("task t"), "weekly"));
    assert_eq!(report.filter.qod_min, 30);
    assert!(!report.filter.severities.contains(&ScanSeverity::Info));
    let (host, scope) = &report.hosts["10.0.0.1"];
    assert!(scope.complete && host.names.contains("cam") && host.macs.len() == 1);
    assert_eq!(report.hosts.len(), 1, "lists of ports are no hosts");
    let wrapped =
        format!("<get_reports_response status=\"200\">{}</get_reports_response>", openvas("", new, END));
    assert_eq!(read(&wrapped).0.counts.items, 1);
}

#[test]
fn a_part_of_openvas_results_closes_nothing() {
    let check = |term: &str, end: &str, expected: bool| {
        let (report, _) = read(&openvas(term, "", end));
        assert_eq!(report.hosts["10.0.0.1"].1.complete, expected, "{term:?} {end:?}");
    };
    check("apply_overrides=0 levels=chml rows=-1 min_qod=0 first=1 sort-reverse=severity", END, true);
    check("levels=hml rows=100", END, false);
    check("levels=hml rows=-1 host=10.0.0.1", END, false);
    check("rows=-1", "", false);
}

#[test]
fn the_csv_of_openvas_has_one_or_two_columns_more_over_time() {
    let (report, items) = read(
        "IP,Hostname,Port,Port Protocol,CVSS,Severity,QoD,Solution Type,NVT Name,Specific Result,NVT OID,CVEs,Task ID,Task Name,Timestamp\n\
         10.0.0.1,cam,443,tcp,7.5,High,80,VendorFix,TLS,\"a\nb\",1.2.3,\"CVE-2014-3566,CVE-2015-0204\",t-1,weekly,2026-11-22T08:00:00Z\n",
    );
    assert_eq!(lines(&items), ["10.0.0.1 443/tcp 1.2.3 high 7.5 CVE-2014-3566,CVE-2015-0204 80%"]);
    assert_eq!((report.scanner, report.profile.as_deref()), (Scanner::OpenVas, Some("task t-1")));
    assert_eq!(items[0].text, "a\nb");
}

fn nmap(args: &str, rest: &str, ports: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE nmaprun><nmaprun scanner=\"nmap\" args=\"{args}\" start=\"1700000000\">\
         <scaninfo type=\"syn\" protocol=\"tcp\" services=\"22,80-90\"/><host starttime=\"1700000000\" endtime=\"1700000009\">\
         <status state=\"up\"/><address addr=\"10.0.0.1\" addrtype=\"ipv4\"/><address addr=\"02:00:00:00:00:01\" addrtype=\"mac\"/>\
         <hostnames><hostname name=\"cam\"/></hostnames><ports>{rest}{ports}</ports></host><host><status state=\"down\"/>\
         <address addr=\"10.0.0.2\" addrtype=\"ipv4\"/></host><runstats><finished time=\"1700000010\" exit=\"success\"/>\
         </runstats></nmaprun>"
    )
}

#[test]
fn nmap_s_scripts_tell_what_they_tried_and_what_they_suppose() {
    let state = |id: &str, state: &str| {
        format!(
            "<script id=\"{id}\" output=\"x\"><table key=\"CVE-2014-6271\"><elem key=\"title\">Shellshock</elem>\
             <elem key=\"state\">{state}</elem><table key=\"ids\"><elem>CVE:CVE-2014-6271</elem></table></table></script>"
        )
    };
    let ports = format!(
        "<port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/><service name=\"http\" product=\"x\" version=\"1\">\
         <cpe>cpe:/a:x:x:1</cpe></service>{}{}{}</port><port protocol=\"tcp\" portid=\"81\"><state state=\"closed\"/></port>\
         <port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/><script id=\"vulners\" output=\"o\"><table key=\"cpe\"><table>\
         <elem key=\"id\">CVE-2019-6111</elem><elem key=\"cvss\">5.8</elem></table><table><elem key=\"id\">EDB-ID:1</elem>\
         <elem key=\"cvss\">5.0</elem></table></table></script></port>",
        state("http-shellshock", "VULNERABLE (Exploitable)"),
        state("other", "LIKELY VULNERABLE"),
        state("third", "NOT VULNERABLE"),
    );
    let rest = "<extraports state=\"filtered\" count=\"9\"/>";
    let (report, items) =
        read(&nmap("nmap -oX a.xml --script http-shellshock,vuln -p 22,80-90 10.0.0.1", rest, &ports));
    assert_eq!(
        lines(&items),
        [
            "10.0.0.1 80/tcp service info - ",
            "10.0.0.1 80/tcp http-shellshock high - CVE-2014-6271 99%",
            "10.0.0.1 80/tcp other high - CVE-2014-6271 60%",
            "10.0.0.1 80/tcp third info - ",
            "10.0.0.1 22/tcp service info - ",
            "10.0.0.1 22/tcp vulners medium 5.8 CVE-2019-6111 30%",
        ]
    );
    assert_eq!(items[1].exploit, Exploit::Known);
    assert_eq!(report.profile.as_deref(), Some("nmap --script http-shellshock,vuln -p 22,80-90 10.0.0.1"));
    assert!(report.plugins.listed.contains("http-shellshock"));
    assert_eq!(report.hosts.len(), 1, "a host that was down was not looked at");
}

#[test]
fn only_ports_that_answered_were_looked_at() {
    let open = "<port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/></port>";
    let check = |rest: &str, number: u16, expected: bool| {
        let (report, _) = read(&nmap("nmap", rest, open));
        let scope = &report.hosts["10.0.0.1"].1;
        assert!(scope.complete);
        assert_eq!(
            scope.ports.holds(Port { protocol: PortProtocol::Tcp, number }),
            expected,
            "{rest} {number}"
        );
    };
    check("<extraports state=\"closed\"/>", 85, true);
    check("<extraports state=\"closed\"/>", 91, false);
    check("<extraports state=\"filtered\"/>", 85, false);
    check("<extraports state=\"filtered\"/>", 80, true);
    check("<extraports state=\"closed\"/><extraports state=\"filtered\"/>", 85, false);
}

#[test]
fn nuclei_is_read_line_by_line_and_as_an_array() {
    let new = r#"{"template-id":"CVE-2018-15473","info":{"name":"x","severity":"medium","classification":{"cve-id":["cve-2018-15473"],"cvss-score":5.3}},"host":"https://cam.example:8443","matched-at":"cam.example:22","ip":"10.0.0.1","timestamp":"2026-11-22T08:00:00.123456789-03:00"}"#;
    let old = r#"{"templateID":"tech","info":{"name":"y","severity":"info","tags":"a,b"},"matched":"https://10.0.0.2/x","host":"https://10.0.0.2","matcher_name":"php"}"#;
    let silent = r#"{"template-id":"quiet","matcher-status":false,"info":{"severity":"high"},"host":"http://10.0.0.3"}"#;
    for text in [format!("{new}\n{old}\n\n{silent}"), format!("[{new},{old},{silent}]")] {
        let (report, items) = read(&text);
        assert_eq!(
            lines(&items),
            ["10.0.0.1 22/tcp CVE-2018-15473 medium 5.3 CVE-2018-15473", "10.0.0.2 443/tcp tech:php info - "]
        );
        assert!(report.plugins.listed.contains("quiet") && report.hosts["10.0.0.3"].1.complete);
        assert_eq!(report.hosts["10.0.0.1"].0.names.first().map(String::as_str), Some("cam.example"));
    }
}

#[test]
fn sarif_finds_its_rules_wherever_they_stand() {
    let results = r#""results":[{"ruleId":"R1","message":{"id":"m","arguments":["z"]}},
        {"ruleIndex":1,"level":"error","message":{"text":"t"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.c"},"region":{"startLine":3}}}]},
        {"ruleId":"R1/sub","kind":"pass","message":{"text":"fine"}},
        {"ruleId":"none","message":{"text":"?"},"suppressions":[{"kind":"inSource"}]},
        {"ruleId":"none","message":{"text":"?"},"suppressions":[{"kind":"external","status":"rejected"}]}]"#;
    let tool = r#""tool":{"driver":{"name":"T","rules":[{"id":"R1","name":"CVE-2021-44228-log4j","defaultConfiguration":{"level":"note"},
        "messageStrings":{"m":{"text":"uses {0}"}},"properties":{"security-severity":"9.8"}},{"id":"R2","properties":{"tags":["CWE-79"]}}]}}"#;
    for run in [format!("{tool},{results}"), format!("{results},{tool}")] {
        let (report, items) = read(&format!(
            "{{\"version\":\"2.1.0\",\"runs\":[{{{run}}},{{\"tool\":{{\"driver\":{{}}}},\"results\":null}}]}}"
        ));
        assert_eq!(
            lines(&items),
            [
                " host/ip R1 low 9.8 CVE-2021-44228",
                " host/ip R2 high - ",
                " host/ip R1/sub info 9.8 CVE-2021-44228",
                " host/ip none medium - ",
                " host/ip none medium - ",
            ]
        );
        assert_eq!((items[0].text.as_str(), items[1].text.as_str()), ("uses z", "a.c:3 t"));
        assert_eq!((items[3].dismissed, items[4].dismissed), (true, false));
        assert_eq!((report.label.as_str(), report.hosts.len()), ("T", 0));
    }
}

#[test]
fn words_are_read_in_the_forms_that_scanners_write() {
    let ids = |text: &str| cves_in(text).map(|id| id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        ids("xCVE-2014-3566, cve-2015-02041;CVE-20-1234 CVE-2015-123 CVE-2014-"),
        ["CVE-2014-3566", "CVE-2015-02041"]
    );
    assert_eq!(ids(&format!("CVE-2015-{}", "1".repeat(20))), [""; 0]);
    for (text, expected) in [
        ("443/tcp", Some("443/tcp")),
        ("general/tcp", Some("host/tcp")),
        ("https (443/tcp)", Some("443/tcp")),
        ("general/CPE-T", Some("host/ip")),
        ("70000/tcp", None),
    ] {
        assert_eq!(port(text).map(|port| port.to_string()).as_deref(), expected, "{text}");
    }
    // Without a time zone a moment is a span that is wide enough for all of them.
    let (from, to) = loose_moment("Tue Jan  7 08:19:25 2014").unwrap();
    assert_eq!((to.since(from), from.to_string().as_str()), (Seconds::hours(28), "2014-01-06T18:19:25Z"));
    assert_eq!(loose_moment("yesterday"), None);
}
