//! Uploads of images: bytes in, an artifact under its digest out.
//!
//! In: a body of any size up to the limit of the settings. Out: an artifact that is complete and on disk, or nothing.
//! Refuses: bodies above the limit, empty bodies, bodies wrapped in a form, clients that stop sending; memory does not
//! grow with the image.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use warden_model::{ByteCount, Stage};
use warden_store::{ArtifactError, Artifacts, Stored, Write};
use warden_wire::problem::ProblemCode;
use warden_wire::rest::UploadReceipt;

use super::access::Caller;
use super::extract::too_large;
use super::record::event;
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure};

/// How many pieces may wait for the disk: a piece has some 16 KiB, so that an upload holds about 256 KiB in memory.
const PIECES_WAITING_MAX: usize = 16;
/// Longest silence of a client in the middle of an upload: a bad mobile link comes back within a minute.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What travels to the thread that writes.
enum Piece {
    Bytes(Bytes),
    /// The body came to its end; without this nothing is kept.
    End,
}

/// Takes an image.
///
/// The body is the image as it is, without a form around it. The digest in the answer is its name from now on; the same
/// bytes twice are one image.
#[utoipa::path(post, path = "/api/v1/images", tag = "releases",
    request_body(content = String, content_type = "application/octet-stream", description = "the bytes of the image"),
    responses((status = 201, body = UploadReceipt)))]
pub(super) async fn upload(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<UploadReceipt>)> {
    let limit = context.config.image_bytes_max;
    check_head(&headers, limit)?;
    let (pieces, received) = mpsc::channel(PIECES_WAITING_MAX);
    let artifacts = context.artifacts.clone();
    let writing = tokio::task::spawn_blocking(move || write(&artifacts, received));
    let outcome = receive(body, limit, pieces).await;
    let written = writing.await.map_err(|error| Failure::internal("write the image", &error))?;
    // A full disk makes the receiver end early: the writer's error is the one that counts.
    let stored = match written {
        Err(error) => return Err(not_written(&error)),
        Ok(stored) => outcome.map(|()| stored)?,
    };
    let Some(stored) = stored else {
        return Err(Failure::new(ProblemCode::Invalid, "the body ended before the image was complete"));
    };
    let reason = format!("{} of {}, by {caller}", stored.digest.short(), stored.size);
    let event = event(now(), Stage::Analyse, "image uploaded", reason);
    context.store.commit(&[Write::Event(event)]).await?;
    let receipt = UploadReceipt { image: stored.digest.to_string(), bytes: stored.size.0 };
    Ok((StatusCode::CREATED, Json(receipt)))
}

/// Refuses what the head of the request shows already, before gigabytes travel for nothing.
fn check_head(headers: &HeaderMap, limit: ByteCount) -> Answer<()> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit.0) {
        return Err(too_large(limit));
    }
    match text(header::CONTENT_TYPE) {
        None | Some("application/octet-stream") => Ok(()),
        // A form around the image would become part of it, and its digest that of nothing.
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            Err(Failure::new(
                ProblemCode::Invalid,
                format!("an image is application/octet-stream, not {other}"),
            )
            .with_hint("curl: -H 'Content-Type: application/octet-stream' --data-binary @IMAGE"))
        }
    }
}

async fn receive(body: Body, limit: ByteCount, pieces: mpsc::Sender<Piece>) -> Answer<()> {
    let mut stream = body.into_data_stream();
    let mut size = 0_u64;
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, stream.next()).await;
        let next = next.map_err(|_| {
            Failure::new(
                ProblemCode::Invalid,
                format!("nothing came for {} s in the middle of the image", SILENCE_MAX.as_secs()),
            )
            .with_hint("send the image again")
        })?;
        let Some(piece) = next else { break };
        let bytes = piece
            .map_err(|error| Failure::new(ProblemCode::Invalid, format!("the body broke off: {error}")))?;
        size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if size > limit.0 {
            return Err(too_large(limit));
        }
        if pieces.send(Piece::Bytes(bytes)).await.is_err() {
            // The writer has given up; its own error says why.
            return Ok(());
        }
    }
    if size == 0 {
        return Err(Failure::new(ProblemCode::Invalid, "the body is empty, and no image is"));
    }
    // As above: a writer that is gone says why itself.
    pieces.send(Piece::End).await.ok();
    Ok(())
}

/// Writes what comes; nothing is kept unless the end came too.
fn write(artifacts: &Artifacts, mut pieces: mpsc::Receiver<Piece>) -> Result<Option<Stored>, ArtifactError> {
    let mut writer = artifacts.create()?;
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => writer.write(&bytes)?,
            Piece::End => return writer.finish().map(Some),
        }
    }
    Ok(None)
}

fn not_written(error: &ArtifactError) -> Failure {
    match error {
        ArtifactError::StorageFull { .. } => {
            let failure = Failure::new(ProblemCode::NoSpace, "the image does not fit on the server's disk");
            failure.with_hint(error.hint().unwrap_or_default())
        }
        ArtifactError::TooLarge { limit } => too_large(*limit),
        ArtifactError::Unknown { .. } | ArtifactError::DamagedHashes { .. } | ArtifactError::Io { .. } => {
            Failure::internal("write the image", error)
        }
    }
}

#[cfg(test)]
mod tests {
    use warden_store::ArtifactError;

    use super::not_written;

    #[test]
    fn a_full_disk_is_said_to_be_one() {
        let problem = not_written(&ArtifactError::StorageFull { path: "/data".into() }).0;
        assert_eq!((problem.status, problem.code()), (507, "no-space"));
        assert!(problem.hint.is_some_and(|hint| hint.contains("free space")));
    }
}
