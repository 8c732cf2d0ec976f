//! Package URLs: what is read, what is written, and what is refused.

use super::Purl;

fn check(text: &str, canonical: &str) {
    assert_eq!(text.parse::<Purl>().unwrap().to_string(), canonical);
}

#[test]
fn reads_what_the_specification_shows() {
    check(
        "pkg:deb/debian/curl@7.50.3-1?distro=jessie&arch=i386",
        "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
    );
    check("pkg:DEB/debian/libstdc%2B%2B6@12.2.0-14", "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14");
    check("pkg:npm/%40angular/animation@12.3.1", "pkg:npm/%40angular/animation@12.3.1");
    check("pkg:npm/@angular/animation", "pkg:npm/%40angular/animation");
    check("pkg:generic/busybox", "pkg:generic/busybox");
    check(
        "pkg:golang/google.golang.org/genproto#/googleapis/api/",
        "pkg:golang/google.golang.org/genproto#googleapis/api",
    );
}

#[test]
fn the_rules_of_the_types_are_kept() {
    check("pkg:PYPI/Django_package@1.11.1.dev1", "pkg:pypi/django-package@1.11.1.dev1");
    check("pkg:github/Package-url/purl-Spec", "pkg:github/package-url/purl-spec");
    check("pkg:rpm/Fedora/NetworkManager@1", "pkg:rpm/fedora/NetworkManager@1");
    check("pkg:brew/node@20@20.10.0", "pkg:brew/node%4020@20.10.0");
    check(
        "pkg:hex/bar@1?repository_url=https://a.example",
        "pkg:hex/bar@1?repository_url=https:%2F%2Fa.example",
    );
    check("pkg:huggingface/a/B@7975AB", "pkg:huggingface/a/B@7975ab");
    let made = Purl::new("pypi", "Typing_Extensions", Some("4")).canonical().unwrap();
    assert_eq!(made.to_string(), "pkg:pypi/typing-extensions@4");
    for text in
        ["pkg:swift/Alamofire@5", "pkg:vcpkg/boost/asio", "pkg:julia/Dates", "pkg:cpan/LWP::UserAgent"]
    {
        assert!(text.parse::<Purl>().is_err(), "{text:?}");
    }
    for made in [Purl::new("3x", "a", None), Purl::new("swid", "a", None), Purl::new("npm", "", None)] {
        assert!(made.canonical().is_err());
    }
}

#[test]
fn refuses_with_the_cause() {
    for text in
        ["", "deb/curl", "pkg:", "pkg:deb", "pkg:deb/", "pkg:1x/a", "pkg:a/b?c", "pkg:a/%zz", "pkg:a/%ff"]
    {
        assert!(text.parse::<Purl>().is_err(), "{text:?}");
    }
}
