//! The style sheet, the script and the icon: our own, with a hash of the content in the name.
//!
//! In: a name. Out: the asset, which browsers may keep for ever. Refuses: all other names.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// Digits of the hash in a name: 32 bits tell versions of one file apart.
const HASH_DIGITS: usize = 8;

/// A file that pages refer to.
pub(crate) struct Asset {
    /// Its path on the server.
    pub(crate) path: String,
    media_type: &'static str,
    content: String,
}

/// The style sheet.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    asset("console", "css", "text/css; charset=utf-8", squeezed(include_str!("../assets/console.css")))
});

/// The script.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js").to_owned())
});

/// The icon.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg").to_owned()));

fn asset(stem: &str, ending: &str, media_type: &'static str, content: String) -> Asset {
    let mut hash = String::new();
    for byte in Sha256::digest(content.as_bytes()).iter().take(HASH_DIGITS / 2) {
        // Writing to a string cannot fail.
        write!(hash, "{byte:02x}").ok();
    }
    Asset { path: format!("/assets/{stem}-{hash}.{ending}"), media_type, content }
}

/// Takes the spaces out of a style sheet that are there for those who read its source, and comments that fill a line.
fn squeezed(style: &str) -> String {
    let lines = style.lines().map(str::trim).filter(|line| !line.starts_with("/*"));
    let text: String = lines.collect();
    let spaces = [
        (" { ", "{"),
        (" {", "{"),
        ("{ ", "{"),
        ("; ", ";"),
        (";}", "}"),
        (" }", "}"),
        (": ", ":"),
        (", ", ","),
    ];
    spaces.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// Serves an asset.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let all: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    let found = all.into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(name.as_str()));
    let Some(asset) = found else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.content.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::squeezed;

    #[test]
    fn a_squeezed_style_sheet_means_the_same() {
        let style = "/* Why. */\na, b { color: red; margin: 0 auto; }\n@media (width < 9rem) {\n  c d { top: 0; }\n}\n";
        assert_eq!(squeezed(style), "a,b{color:red;margin:0 auto}@media (width < 9rem){c d{top:0}}");
        let whole = include_str!("../assets/console.css");
        for mark in ['{', '}', '"', '('] {
            assert_eq!(squeezed(whole).matches(mark).count(), whole.matches(mark).count(), "{mark}");
        }
    }
}
