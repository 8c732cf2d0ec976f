//! Components: what each product's text looks like, what is no version, and what the databases say.

use super::build::{Item, program, tar};
use super::{analysed, purls};
use crate::PRODUCTS;

fn found(texts: &[&str]) -> Vec<String> {
    purls(&analysed(&tar(&[Item::File("usr/bin/x", program(texts))])).unwrap())
}

#[test]
fn tells_products_by_their_texts() {
    let check = |text: &str, purl: &str| assert_eq!(found(&[text]), [purl], "{text:?}");
    check("BusyBox v1.35.0 (2022-08-01)", "pkg:generic/busybox@1.35.0");
    check("SSH-2.0-dropbear_2022.83\r\n", "pkg:generic/dropbear@2022.83");
    check("curl 7.88.1 CLIENT libcurl 7.88.1", "pkg:generic/curl@7.88.1");
    check("dnsmasq-2.80", "pkg:generic/dnsmasq@2.80");
    check("wpa_supplicant v2.10\nCopyright", "pkg:generic/wpa_supplicant@2.10");
    check("U-Boot 2021.10-rc3 (Sep 01 2021)", "pkg:generic/u-boot@2021.10-rc3");
    check("Linux version 5.10.0-21-amd64 (debian-kernel@x)", "pkg:generic/linux@5.10.0");
    check(" deflate 1.2.11 Copyright 1995-2017", "pkg:generic/zlib@1.2.11");
    check("OpenSSH_8.4p1 Debian-5", "pkg:generic/openssh@8.4p1");
    check("lwIP/1.4.1 (http://savannah.nongnu.org)", "pkg:generic/lwip@1.4.1");
    check("mbed TLS 2.28.0", "pkg:generic/mbedtls@2.28.0");
    check("libuClibc-0.9.33.2.so", "pkg:generic/uclibc@0.9.33.2");
    check("nginx/1.18.0 (Ubuntu)", "pkg:generic/nginx@1.18.0");
}

#[test]
fn texts_that_are_no_version_give_nothing() {
    let check = |texts: &[&str]| assert_eq!(found(texts), [""; 0], "{texts:?}");
    check(&["BusyBox v%s"]);
    check(&["BusyBox v1.35.0beta"]);
    check(&["NotBusyBox v1.35.0"]);
    check(&["OpenSSL 1.1.1 or later is needed", "OPENSSLDIR"]);
    check(&["nginx/1.18"]);
    check(&["nginx/1.18.0.5"]);
    check(&["dnsmasq-999999999999.1"]);
    check(&["OpenSSH_7.4*,OpenSSH_6.6.1p1*", "OpenSSH_9.2"]);
    check(&["3.40.1"]);
    // Two versions that stand alone: neither is sure.
    check(&["SQLite format 3", "3.40.1", "3.8.2"]);
}

#[test]
fn a_version_alone_counts_beside_its_product() {
    assert_eq!(found(&["SQLite format 3", "3.40.1"]), ["pkg:generic/sqlite@3.40.1"]);
    assert_eq!(found(&["musl libc (x86_64)", "1.2.3"]), ["pkg:generic/musl@1.2.3"]);
    for (text, purl) in [
        ("OpenSSL 1.1.1n  15 Mar 2022", "pkg:generic/openssl@1.1.1n"),
        ("OpenSSL 3.0.11 19 Sep 2023", "pkg:generic/openssl@3.0.11"),
        ("OpenSSL 1.0.2zg  7 Feb 2023", "pkg:generic/openssl@1.0.2zg"),
    ] {
        assert_eq!(found(&[text, "OPENSSLDIR: \"/usr/lib/ssl\""]), [purl]);
        // What a program was built with is not what it runs with.
        assert_eq!(found(&[text]), [""; 0]);
    }
    assert_eq!(found(&["SSH-2.0-dropbear\r\n", "2019.78"]), ["pkg:generic/dropbear@2019.78"]);
    let glibc = "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright";
    assert_eq!(found(&[glibc]), ["pkg:generic/glibc@2.36"]);
}

#[test]
fn texts_across_chunks_are_found_once() {
    for shift in [0, 1, 7, 100, 250, 255, 256, 257, 300] {
        let mut bytes = vec![0x7f, b'E', b'L', b'F'];
        bytes.resize(256 * 1024 - shift, 0x90);
        bytes.extend(b"\0BusyBox v1.35.0 (x)\0");
        bytes.resize(600 * 1024, 0x90);
        let analysis = analysed(&tar(&[Item::File("busybox", bytes)])).unwrap();
        assert_eq!(purls(&analysis), ["pkg:generic/busybox@1.35.0"], "{shift}");
        assert_eq!(analysis.components[0].evidence.len(), 1);
    }
}

#[test]
fn components_name_cpe_and_evidence() {
    let binary = program(&["OpenSSH_8.4p1 Debian-5+deb11u1"]);
    let items = [Item::File("usr/bin/ssh", binary.clone()), Item::File("usr/sbin/sshd", binary)];
    let analysis = analysed(&tar(&items)).unwrap();
    let component = &analysis.components[0];
    assert_eq!(component.cpe.as_deref(), Some("cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*"));
    let evidence: Vec<(&str, &str)> = component
        .evidence
        .iter()
        .map(|evidence| (evidence.path.as_str(), evidence.detail.as_str()))
        .collect();
    let text = "OpenSSH_8.4p1 Debian-5+deb11u1";
    assert_eq!(evidence, [("usr/bin/ssh", text), ("usr/sbin/sshd", text)]);
}

#[test]
fn reads_the_other_databases() {
    let opkg = "Package: busybox\nVersion: 1.36.1-1\nStatus: install user installed\nArchitecture: mipsel_24kc\n\
        CPE-ID: cpe:/a:busybox:busybox\n";
    let apk =
        "C:Q1\nP:musl\nV:1.2.4-r2\nA:aarch64\no:musl\n\nP:libcrypto3\nV:3.1.4-r5\nA:aarch64\no:openssl\n";
    let one = "Package: base-files\nVersion: 12.4\nArchitecture: arm64\n";
    let items = [
        Item::File("usr/lib/opkg/status", opkg.as_bytes().to_vec()),
        Item::File("lib/apk/db/installed", apk.as_bytes().to_vec()),
        Item::File("var/lib/dpkg/status.d/base", one.as_bytes().to_vec()),
        Item::File("var/lib/dpkg/status.d/base.md5sums", b"Package: x\nVersion: 1\n".to_vec()),
    ];
    let analysis = analysed(&tar(&items)).unwrap();
    let wanted = [
        "pkg:deb/debian/base-files@12.4?arch=arm64",
        "pkg:opkg/busybox@1.36.1-1?arch=mipsel_24kc",
        "pkg:apk/alpine/libcrypto3@3.1.4-r5?arch=aarch64&upstream=openssl",
        "pkg:apk/alpine/musl@1.2.4-r2?arch=aarch64",
    ];
    assert_eq!(purls(&analysis), wanted);
    let cpe = "cpe:2.3:a:busybox:busybox:1.36.1:*:*:*:*:*:*:*";
    assert_eq!(analysis.components[1].cpe.as_deref(), Some(cpe));
}

#[test]
fn the_table_is_sorted_and_wide_enough() {
    assert!(PRODUCTS.windows(2).all(|pair| pair[0].name <= pair[1].name));
    let mut names: Vec<&str> = PRODUCTS.iter().map(|product| product.name).collect();
    names.dedup();
    assert!(names.len() >= 25);
    assert!(PRODUCTS.iter().all(|product| product.prefix.len() >= 2 && product.cpe.split(':').count() == 2));
}
