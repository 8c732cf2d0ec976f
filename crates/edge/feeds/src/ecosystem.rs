//! From OSV's ecosystem and package name to a package URL.
//!
//! In: an ecosystem such as `Debian:12` and a package name in its spelling. Out: the package URL. Refuses nothing that has
//! a letter in it: an ecosystem without a package URL type gets a type of its own name, which matches no component by
//! accident.

use warden_model::purl::Purl;

/// Where the parts of a package name go.
enum Form {
    /// In a fixed namespace: the distribution.
    In(&'static str),
    /// The last part is the name, what stands before it is the namespace.
    Split(char),
    /// The name is all there is.
    Plain,
}

/// Makes the package URL of a package; none when the ecosystem cannot be a type.
pub(crate) fn purl(ecosystem: &str, name: &str) -> Option<Purl> {
    let (base, _) = split(ecosystem);
    let (kind, form) =
        known(base).map_or_else(|| (own_kind(base), Form::Plain), |(kind, form)| (kind.to_owned(), form));
    if kind.is_empty() || name.is_empty() {
        return None;
    }
    let mut purl = match form {
        Form::In(namespace) => Purl::new(&kind, name, None).in_namespace(namespace),
        Form::Plain => Purl::new(&kind, name, None),
        Form::Split(separator) => match name.rsplit_once(separator) {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Purl::new(&kind, name, None).in_namespace(namespace)
            }
            Some(_) | None => Purl::new(&kind, name, None),
        },
    };
    if kind == "pypi" {
        // Package URL types, `pypi`: lower case, and `_` is `-`.
        purl.name = purl.name.to_ascii_lowercase().replace('_', "-");
    }
    Some(purl)
}

/// Adds what the ecosystem knows and a package URL may leave out: that distributions name source packages, and which
/// release the advisory is about.
pub(crate) fn qualify(purl: &mut Purl, ecosystem: &str) {
    let (base, suffix) = split(ecosystem);
    let Some((_, Form::In(distribution))) = known(base) else { return };
    if purl.namespace.as_deref() != Some(distribution) {
        return;
    }
    // OSV schema, "affected[].package field": Debian, Ubuntu and Alpine name the source package.
    if matches!(base, "Debian" | "Ubuntu" | "Alpine") {
        purl.qualifiers.entry("arch".to_owned()).or_insert_with(|| "source".to_owned());
    }
    // `Debian:12`, `Alpine:v3.19`, `Ubuntu:Pro:22.04:LTS`, `Red Hat:rhel_e4s:9.2::appstream`.
    let is_release = |part: &&str| part.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    if let Some(release) = suffix.split(':').find(is_release) {
        let distro = || format!("{distribution}-{}", release.trim_start_matches('v'));
        purl.qualifiers.entry("distro".to_owned()).or_insert_with(distro);
    }
}

fn split(ecosystem: &str) -> (&str, &str) {
    ecosystem.split_once(':').unwrap_or((ecosystem, ""))
}

/// The type and form of the ecosystems that the schema lists and package URLs know.
fn known(base: &str) -> Option<(&'static str, Form)> {
    use Form::{In, Plain, Split};
    Some(match base {
        "Debian" => ("deb", In("debian")),
        "Ubuntu" => ("deb", In("ubuntu")),
        "Echo" => ("deb", In("echo")),
        "Alpine" => ("apk", In("alpine")),
        "Wolfi" => ("apk", In("wolfi")),
        "Chainguard" => ("apk", In("chainguard")),
        "Alpaquita" => ("apk", In("alpaquita")),
        "MinimOS" => ("apk", In("minimos")),
        "Red Hat" => ("rpm", In("redhat")),
        "Rocky Linux" => ("rpm", In("rocky-linux")),
        "AlmaLinux" => ("rpm", In("almalinux")),
        "SUSE" => ("rpm", In("suse")),
        "openSUSE" => ("rpm", In("opensuse")),
        "openEuler" => ("rpm", In("openeuler")),
        "Mageia" => ("rpm", In("mageia")),
        "Photon OS" => ("rpm", In("photon")),
        "Azure Linux" => ("rpm", In("azure-linux")),
        "PyPI" => ("pypi", Plain),
        "npm" => ("npm", Split('/')),
        "crates.io" => ("cargo", Plain),
        "Go" => ("golang", Split('/')),
        "Maven" => ("maven", Split(':')),
        "Packagist" => ("composer", Split('/')),
        "SwiftURL" => ("swift", Split('/')),
        "GitHub Actions" => ("githubactions", Split('/')),
        "NuGet" => ("nuget", Plain),
        "RubyGems" => ("gem", Plain),
        "Hex" => ("hex", Plain),
        "Pub" => ("pub", Plain),
        "CRAN" => ("cran", Plain),
        "Hackage" => ("hackage", Plain),
        "Bitnami" => ("bitnami", Plain),
        "ConanCenter" => ("conan", Plain),
        "OSS-Fuzz" | "GIT" | "Linux" | "" => ("generic", Plain),
        _ => return None,
    })
}

/// Letters and digits of an unknown ecosystem, in lower case; empty when a type cannot start so.
fn own_kind(base: &str) -> String {
    let kind: String = base.chars().filter(char::is_ascii_alphanumeric).collect();
    if kind.starts_with(|c: char| c.is_ascii_digit()) { String::new() } else { kind.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::{purl, qualify};

    fn check(ecosystem: &str, name: &str, expected: &str) {
        let mut purl = purl(ecosystem, name).unwrap();
        qualify(&mut purl, ecosystem);
        assert_eq!(purl.to_string(), expected, "{ecosystem} {name}");
    }

    #[test]
    fn ecosystems_become_types_and_namespaces() {
        check("Debian:12", "busybox", "pkg:deb/debian/busybox?arch=source&distro=debian-12");
        check("Debian", "busybox", "pkg:deb/debian/busybox?arch=source");
        check("Ubuntu:Pro:22.04:LTS", "linux", "pkg:deb/ubuntu/linux?arch=source&distro=ubuntu-22.04");
        check("Alpine:v3.19", "busybox", "pkg:apk/alpine/busybox?arch=source&distro=alpine-3.19");
        check("Wolfi", "busybox", "pkg:apk/wolfi/busybox");
        check("Red Hat:rhel_e4s:9.2::appstream", "curl", "pkg:rpm/redhat/curl?distro=redhat-9.2");
        check("PyPI", "Foo_Bar", "pkg:pypi/foo-bar");
        check("npm", "@angular/core", "pkg:npm/%40angular/core");
        check("npm", "left-pad", "pkg:npm/left-pad");
        check("crates.io", "tokio", "pkg:cargo/tokio");
        check("Go", "golang.org/x/net", "pkg:golang/golang.org/x/net");
        check("Maven", "org.a:b", "pkg:maven/org.a/b");
        check("OSS-Fuzz", "harfbuzz", "pkg:generic/harfbuzz");
        check("", "busybox", "pkg:generic/busybox");
    }

    #[test]
    fn unknown_ecosystems_match_nothing_by_accident() {
        check("Amazon Linux:2023", "busybox", "pkg:amazonlinux/busybox");
        assert_eq!(purl("42", "busybox"), None);
        assert_eq!(
            purl("::", "busybox").map(|purl| purl.to_string()),
            Some("pkg:generic/busybox".to_owned())
        );
        assert_eq!(purl("Debian", ""), None);
    }
}
