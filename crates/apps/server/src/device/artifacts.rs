//! Files for devices: signed metadata by name, artifacts by digest or as DDI wants them, with ranges.

use std::io::SeekFrom;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use tracing::warn;
use warden_model::Sha256Digest;
use warden_store::StoreError;
use warden_trust::repository::TargetEntry;

use super::identify::Asking;
use crate::context::Shared;

/// How much of a file is read at a time: large enough for the disk, small enough for ten thousand downloads at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// `GET …/fleetwarden/metadata/{file}`.
pub(super) async fn metadata(
    State(context): State<Shared>,
    Path((_, _, file)): Path<(String, String, String)>,
) -> Response {
    match context.repository.read(&file) {
        Some(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `GET …/fleetwarden/artifacts/{digest}`: what the signed metadata lists, and nothing else.
pub(super) async fn by_digest(
    State(context): State<Shared>,
    Path((_, _, digest)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let Ok(digest) = digest.parse::<Sha256Digest>() else { return StatusCode::NOT_FOUND.into_response() };
    match is_signed(&context, &digest).await {
        Ok(true) => file(&context, &digest, &headers).await,
        Ok(false) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            warn!(artifact = %digest, error = %crate::problem::chain(&error), "whose artifact it is cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Says whether the signed metadata lists an artifact: as a target, as the head of an image's index, or as a part that
/// such a head names.
async fn is_signed(context: &Shared, digest: &Sha256Digest) -> Result<bool, StoreError> {
    let Some(listing) = context.repository.listing() else { return Ok(false) };
    let is_head = |entry: &TargetEntry| entry.about.index.is_some_and(|pin| pin.sha256 == *digest);
    if listing.entries.iter().any(|entry| entry.sha256 == *digest || is_head(entry)) {
        return Ok(true);
    }
    let Some(image) = crate::turn::image_of_part(context, digest).await? else { return Ok(false) };
    Ok(listing.entries.iter().any(|entry| entry.sha256 == image && entry.about.index.is_some()))
}

/// `GET …/softwaremodules/{module}/artifacts/{file}`: the image of the device's own order. The module is the number of
/// the order, the file `<digest>.img`; `<digest>.img.MD5SUM` answers with its MD5 sum.
pub(super) async fn of_module(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((_, _, module, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let (plain, wants_sum) = match name.strip_suffix(".MD5SUM") {
        Some(plain) => (plain, true),
        None => (name.as_str(), false),
    };
    let digest = plain.strip_suffix(".img").and_then(|hex| hex.parse::<Sha256Digest>().ok());
    let Some(digest) = digest else { return StatusCode::NOT_FOUND.into_response() };
    let own = match super::ddi::own_directive(&context, &asking, &module).await {
        Ok(own) => own,
        Err(refusal) => return refusal,
    };
    if own.image != digest {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut response = if wants_sum {
        match context.artifacts.hashes(&digest) {
            Ok(hashes) => format!("{}  {plain}", hashes.md5).into_response(),
            Err(_) => return StatusCode::NOT_FOUND.into_response(),
        }
    } else {
        file(&context, &digest, &headers).await
    };
    insert(&mut response, header::CONTENT_DISPOSITION, &format!("attachment;filename={name}"));
    response
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// First and last byte, both included.
    Range(u64, u64),
    Unsatisfiable,
}

/// Reads a `Range` header (RFC 9110 §14.2). One range is served; several are answered with the whole file, which the
/// norm allows and no device asks for.
fn part(range: Option<&HeaderValue>, bytes: u64) -> Part {
    let Some(range) = range.and_then(|range| range.to_str().ok()) else { return Part::Whole };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    if range.contains(',') {
        return Part::Whole;
    }
    let end = bytes.saturating_sub(1);
    match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), Some(last)) if first <= last && first < bytes => Part::Range(first, last.min(end)),
        (Some(first), None) if last.is_empty() && first < bytes => Part::Range(first, end),
        (None, Some(count)) if first.is_empty() && count > 0 && bytes > 0 => {
            Part::Range(bytes.saturating_sub(count), end)
        }
        _ => Part::Unsatisfiable,
    }
}

async fn file(context: &Shared, digest: &Sha256Digest, headers: &HeaderMap) -> Response {
    let (file, size) = match context.artifacts.open_read(digest) {
        Ok((file, size)) => (tokio::fs::File::from_std(file), size.0),
        Err(error) => {
            warn!(artifact = %digest, error = %crate::problem::chain(&error), "an artifact cannot be read");
            return StatusCode::NOT_FOUND.into_response();
        }
    };
    let tag = format!("\"{digest}\"");
    // If-Match (RFC 9110 §13.1.1): a client that wants another file than this one gets none.
    let wanted = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| wanted.split(',').all(|one| one.trim() != tag && one.trim() != "*")) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    // If-Range (RFC 9110 §13.1.5): another file than the one that was begun is sent whole.
    let same_file = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    let range = headers.get(header::RANGE).filter(|_| same_file);
    let mut response = match part(range, size) {
        Part::Whole => body(file, 0, size).await,
        Part::Range(first, last) => {
            let mut response = body(file, first, last - first + 1).await;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
            response
        }
        Part::Unsatisfiable => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    insert(&mut response, header::ETAG, &tag);
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

async fn body(mut file: tokio::fs::File, first: u64, count: u64) -> Response {
    if let Err(error) = file.seek(SeekFrom::Start(first)).await {
        warn!(%error, "an artifact cannot be read");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let stream = ReaderStream::with_capacity(file.take(count), CHUNK_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    insert(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut response, header::CONTENT_LENGTH, &count.to_string());
    response
}

fn insert(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::{Part, part};

    #[test]
    fn ranges_are_those_of_the_norm() {
        let check = |range: &'static str, expected: Part| {
            assert_eq!(part(Some(&HeaderValue::from_static(range)), 100), expected, "{range}");
        };
        check("bytes=0-9", Part::Range(0, 9));
        check("bytes=90-", Part::Range(90, 99));
        check("bytes=90-1000", Part::Range(90, 99));
        check("bytes=-10", Part::Range(90, 99));
        check("bytes=-1000", Part::Range(0, 99));
        check("bytes=0-1,5-6", Part::Whole);
        check("items=0-1", Part::Whole);
        check("bytes=100-", Part::Unsatisfiable);
        check("bytes=9-3", Part::Unsatisfiable);
        check("bytes=-0", Part::Unsatisfiable);
        check("bytes=a-b", Part::Unsatisfiable);
        assert_eq!(part(None, 100), Part::Whole);
    }
}
