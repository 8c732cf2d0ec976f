//! Facts about the words of scans.

use super::{Mac, Port, PortProtocol, PortScope, ScanSeverity, Score};

#[test]
fn scores_are_read_in_tenths() {
    let check = |text: &str, expected: Option<(u8, ScanSeverity)>| {
        let read = text.parse::<Score>().ok().map(|score| (score.tenths(), score.severity()));
        assert_eq!(read, expected, "{text:?}");
    };
    check("7.5", Some((75, ScanSeverity::High)));
    check("10", Some((100, ScanSeverity::Critical)));
    check(" 9.04 ", Some((90, ScanSeverity::Critical)));
    check("0.0", Some((0, ScanSeverity::Info)));
    check("3.9", Some((39, ScanSeverity::Low)));
    for wrong in ["", "10.1", "-1.0", "7,5", "7.5.1", "1e1", "99999999999999999999", "."] {
        check(wrong, None);
    }
}

#[test]
fn hardware_addresses_come_in_many_forms() {
    let check = |text: &str, expected: Option<&str>| {
        let read = text.parse::<Mac>().ok().map(|mac| mac.to_string());
        assert_eq!(read.as_deref(), expected, "{text:?}");
    };
    for text in
        ["00:11:22:AA:bb:cc", "00-11-22-aa-bb-cc", "0011.22aa.bbcc", "001122AABBCC", " 00:11:22:aa:bb:cc "]
    {
        check(text, Some("00:11:22:aa:bb:cc"));
    }
    for wrong in ["", "00:11:22", "00:11:22:aa:bb:cg", "00:11:22:aa:bb:cc:dd", "::::::::::::"] {
        check(wrong, None);
    }
    assert!(!"ff:ff:ff:ff:ff:ff".parse::<Mac>().unwrap().is_individual());
    assert!(!"00:00:00:00:00:00".parse::<Mac>().unwrap().is_individual());
    assert!("02:00:00:00:00:01".parse::<Mac>().unwrap().is_individual());
}

#[test]
fn a_scope_holds_its_ranges_and_what_it_names() {
    let port = |protocol, number| Port { protocol, number };
    let scope = PortScope {
        ranges: [(PortProtocol::Tcp, 1, 1024)].into(),
        named: [port(PortProtocol::Udp, 53)].into(),
    };
    for (held, place) in [
        (true, port(PortProtocol::Tcp, 1)),
        (true, port(PortProtocol::Tcp, 1024)),
        (false, port(PortProtocol::Tcp, 1025)),
        (false, port(PortProtocol::Udp, 80)),
        (true, port(PortProtocol::Udp, 53)),
        (true, Port::HOST),
    ] {
        assert_eq!(scope.holds(place), held, "{place}");
    }
    assert_eq!(Port::HOST.to_string(), "host/ip");
}
