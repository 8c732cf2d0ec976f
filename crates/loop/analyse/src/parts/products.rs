//! The products that are told by a text in their binaries.
//!
//! In: nothing. Out: [`PRODUCTS`]. A row is data: to teach another product, add a row and a sample to the tests.

use super::version::{Before, Shape, Suffix, Then};

/// A product and the text that tells its version.
#[derive(Debug)]
pub struct Product {
    /// The name in `pkg:generic/name@version`.
    pub name: &'static str,
    /// Vendor and product of its CPE 2.3 name, separated by a colon.
    pub cpe: &'static str,
    /// The text right before the version.
    pub(crate) prefix: &'static [u8],
    /// What the version looks like.
    pub(crate) shape: Shape,
    /// Another text that must stand in the same file, where the prefix alone says little.
    pub(crate) also: Option<&'static [u8]>,
}

const fn text(name: &'static str, cpe: &'static str, prefix: &'static [u8], numbers: (u8, u8)) -> Product {
    let shape = Shape { numbers, suffix: Suffix::None, before: Before::NoWord, then: Then::Anything };
    Product { name, cpe, prefix, shape, also: None }
}

impl Product {
    const fn suffix(mut self, suffix: Suffix) -> Self {
        self.shape.suffix = suffix;
        self
    }

    const fn then(mut self, then: Then) -> Self {
        self.shape.then = then;
        self
    }

    /// The version is a line of its own, so that another text of the file must say what it is the version of.
    const fn alone_beside(mut self, also: &'static [u8]) -> Self {
        self.shape.before = Before::LineStart;
        self.shape.then = Then::LineEnd;
        self.also = Some(also);
        self
    }

    const fn at_line_start(mut self) -> Self {
        self.shape.before = Before::LineStart;
        self
    }

    const fn beside(mut self, also: &'static [u8]) -> Self {
        self.also = Some(also);
        self
    }
}

/// All products, sorted by name; a product may have several rows.
pub const PRODUCTS: &[Product] = &[
    text("apache-httpd", "apache:http_server", b"Apache/", (3, 3)),
    text("avahi", "avahi:avahi", b"avahi ", (2, 3)),
    text("bash", "gnu:bash", b"Bash version ", (2, 3)),
    text("busybox", "busybox:busybox", b"BusyBox v", (2, 3)),
    text("cups", "openprinting:cups", b"CUPS v", (2, 3)),
    text("curl", "haxx:curl", b"libcurl/", (3, 3)),
    text("curl", "haxx:curl", b"CLIENT libcurl ", (3, 3)),
    text("curl", "haxx:curl", b"curl ", (3, 3)).at_line_start().then(Then::Text(b" (")),
    text("dnsmasq", "thekelleys:dnsmasq", b"dnsmasq-", (2, 2)),
    text("dropbear", "dropbear_ssh_project:dropbear_ssh", b"SSH-2.0-dropbear_", (2, 2)),
    text("dropbear", "dropbear_ssh_project:dropbear_ssh", b"Dropbear v", (2, 2)),
    text("dropbear", "dropbear_ssh_project:dropbear_ssh", b"20", (2, 2)).alone_beside(b"SSH-2.0-dropbear"),
    text("e2fsprogs", "e2fsprogs_project:e2fsprogs", b"EXT2FS Library version ", (2, 3)),
    text("expat", "libexpat_project:libexpat", b"expat_", (3, 3)),
    text("freeradius", "freeradius:freeradius", b"FreeRADIUS Version ", (3, 3)),
    text("glibc", "gnu:glibc", b"release version ", (2, 3)).beside(b"GNU C Library"),
    text("gnutls", "gnu:gnutls", b"Enabled GnuTLS ", (3, 3)),
    text("haproxy", "haproxy:haproxy", b"HAProxy version ", (2, 3)),
    text("hostapd", "w1.fi:hostapd", b"hostapd v", (2, 3)),
    text("iptables", "netfilter:iptables", b"1.", (2, 2)).at_line_start().then(Then::Text(b" (legacy)")),
    text("iptables", "netfilter:iptables", b"1.", (2, 2)).at_line_start().then(Then::Text(b" (nf_tables)")),
    text("keepalived", "keepalived:keepalived", b"Keepalived v", (3, 3)),
    text("libjpeg-turbo", "libjpeg-turbo:libjpeg-turbo", b"libjpeg-turbo version ", (3, 3)),
    text("libmicrohttpd", "gnu:libmicrohttpd", b"0.9.", (1, 1)).alone_beside(b"libmicrohttpd"),
    text("libpcap", "tcpdump:libpcap", b"libpcap version ", (3, 3)),
    text("libpng", "libpng:libpng", b"libpng version ", (3, 3)),
    text("libssh", "libssh:libssh", b"SSH-2.0-libssh_", (3, 3)),
    text("libssh2", "libssh2:libssh2", b"SSH-2.0-libssh2_", (3, 3)),
    text("libupnp", "pupnp_project:pupnp", b"Portable SDK for UPnP devices/", (3, 3)),
    text("lighttpd", "lighttpd:lighttpd", b"lighttpd/", (3, 3)),
    text("linux", "linux:linux_kernel", b"Linux version ", (2, 3)),
    text("lua", "lua:lua", b"$LuaVersion: Lua ", (3, 3)),
    text("lua", "lua:lua", b"$Lua: Lua ", (3, 3)),
    text("lua", "lua:lua", b"Lua ", (3, 3)).at_line_start().then(Then::Text(b"  Copyright")),
    text("lwip", "lwip_project:lwip", b"lwIP/", (3, 3)),
    text("mbedtls", "arm:mbed_tls", b"mbed TLS ", (3, 3)),
    text("mbedtls", "arm:mbed_tls", b"Mbed TLS ", (3, 3)),
    text("memcached", "memcached:memcached", b"memcached ", (3, 3)),
    text("miniupnpd", "miniupnp_project:miniupnpd", b"MiniUPnPd/", (2, 3)),
    text("mosquitto", "eclipse:mosquitto", b"mosquitto version ", (3, 3)),
    text("musl", "musl-libc:musl", b"1.", (2, 2)).alone_beside(b"musl libc"),
    text("nginx", "f5:nginx", b"nginx/", (3, 3)),
    text("ntp", "ntp:ntp", b"ntpd ", (3, 3)).suffix(Suffix::Patch),
    text("openssh", "openbsd:openssh", b"OpenSSH_", (2, 3)).suffix(Suffix::Patch),
    // Every program names the OpenSSL that it was built with; only the library itself holds its own directory.
    text("openssl", "openssl:openssl", b"OpenSSL ", (3, 3))
        .suffix(Suffix::Letters)
        .then(Then::Date)
        .beside(b"OPENSSLDIR"),
    text("openvpn", "openvpn:openvpn", b"OpenVPN ", (3, 3)),
    text("php", "php:php", b"X-Powered-By: PHP/", (3, 3)),
    text("polarssl", "arm:polarssl", b"PolarSSL ", (3, 3)),
    text("polarssl", "arm:polarssl", b"polarssl-", (3, 3)),
    text("ppp", "samba:ppp", b"pppd ", (3, 3)),
    text("proftpd", "proftpd:proftpd", b"ProFTPD Version ", (3, 3)).suffix(Suffix::Letters),
    text("pure-ftpd", "pureftpd:pure-ftpd", b"pure-ftpd v", (3, 3)),
    text("samba", "samba:samba", b"SAMBA_", (3, 3)),
    text("sqlite", "sqlite:sqlite", b"3.", (2, 3)).alone_beside(b"SQLite format 3"),
    text("squid", "squid-cache:squid", b"squid/", (2, 3)),
    text("strongswan", "strongswan:strongswan", b"Starting strongSwan ", (3, 3)),
    text("stunnel", "stunnel:stunnel", b"stunnel ", (2, 2)),
    text("systemd", "systemd_project:systemd", b"systemd ", (1, 1)).beside(b"/usr/lib/systemd/"),
    text("thttpd", "acme:thttpd", b"thttpd/", (2, 2)),
    text("u-boot", "denx:u-boot", b"U-Boot ", (2, 3)).suffix(Suffix::Candidate),
    text("u-boot", "denx:u-boot", b"U-Boot SPL ", (2, 3)).suffix(Suffix::Candidate),
    text("uclibc", "uclibc:uclibc", b"libuClibc-", (2, 4)),
    text("vsftpd", "vsftpd_project:vsftpd", b"vsftpd: version ", (3, 3)),
    text("wget", "gnu:wget", b"Wget/", (2, 3)),
    text("wolfssl", "wolfssl:wolfssl", b"wolfSSL ", (3, 3)),
    text("wpa_supplicant", "w1.fi:wpa_supplicant", b"wpa_supplicant v", (2, 3)),
    text("xz", "tukaani:xz", b"xz (XZ Utils) ", (3, 3)),
    text("zlib", "zlib:zlib", b"deflate ", (3, 4)).then(Then::Text(b" Copyright")),
    text("zlib", "zlib:zlib", b"inflate ", (3, 4)).then(Then::Text(b" Copyright")),
];
