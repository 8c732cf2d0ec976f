//! What each type of package asks of its URLs: "Known purl types" of the specification.
//!
//! In: a URL that was read or made. Out: the same in its canonical form. Refuses: what the type forbids, and what it
//! cannot do without. Types that are not here have no rules of their own.

use super::Purl;

/// Brings a URL to its canonical form, by the rules of its type.
pub(super) fn canonical(mut purl: Purl) -> Result<Purl, &'static str> {
    lower(&mut purl);
    match purl.kind.as_str() {
        "pypi" => purl.name = purl.name.replace('_', "-"),
        "huggingface" => purl.version = purl.version.map(|version| version.to_lowercase()),
        "mlflow" if is_databricks(&purl) => purl.name = purl.name.to_lowercase(),
        _ => {}
    }
    needs(&purl)?;
    Ok(purl)
}

/// Names whose case does not count are written in lower case.
fn lower(purl: &mut Purl) {
    let (is_namespace_lower, is_name_lower) = match purl.kind.as_str() {
        "alpm" | "apk" | "bitbucket" | "brew" | "composer" | "deb" | "git" | "github" | "gitlab" | "hex"
        | "vscode-extension" => (true, true),
        "bitnami" | "oci" | "otp" | "pub" | "pypi" => (false, true),
        "qpkg" | "rpm" => (true, false),
        _ => (false, false),
    };
    if is_namespace_lower {
        purl.namespace = purl.namespace.as_ref().map(|namespace| namespace.to_lowercase());
    }
    if is_name_lower {
        purl.name = purl.name.to_lowercase();
    }
}

/// Databricks' registry knows no case, Azure's does.
fn is_databricks(purl: &Purl) -> bool {
    purl.qualifiers.get("repository_url").is_some_and(|url| url.contains("azuredatabricks.net"))
}

fn needs(purl: &Purl) -> Result<(), &'static str> {
    match (purl.kind.as_str(), &purl.namespace) {
        ("swift" | "vscode-extension", None) => Err("this type needs a namespace"),
        ("otp" | "vcpkg", Some(_)) => Err("this type has no namespace"),
        ("cpan", _) if purl.name.contains("::") => {
            Err("this type names distributions (URI-PackageURL), not modules (URI::PackageURL)")
        }
        ("julia", _) if !purl.qualifiers.contains_key("uuid") => Err("this type needs the qualifier uuid"),
        ("swid", _) if !purl.qualifiers.contains_key("tag_id") => Err("this type needs the qualifier tag_id"),
        ("chrome-extension", _) => chrome_extension(purl),
        (_, _) => Ok(()),
    }
}

/// Extensions are named by 32 letters from a to p; a version has one to four numbers.
fn chrome_extension(purl: &Purl) -> Result<(), &'static str> {
    if purl.name.len() != 32 || !purl.name.bytes().all(|byte| (b'a'..=b'p').contains(&byte)) {
        return Err("this type needs a name of 32 letters from a to p");
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_fit = |version: &String| version.split('.').count() <= 4 && version.split('.').all(is_number);
    if purl.version.as_ref().is_none_or(is_fit) {
        Ok(())
    } else {
        Err("this type needs a version of up to four numbers")
    }
}
