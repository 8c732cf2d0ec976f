//! Scan reports: uploads, what became of them, and what was seen on devices.
//!
//! In: a report of any size up to the limit of the readers; it goes to a file without a name, and never into memory. Refuses: what the
//! readers refuse, with their hint; bodies above the limit; clients that stop sending.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use warden_feeds::scan::{ScanError, ScanLimits};
use warden_model::{DeviceId, ScanId, Sha256Digest};
use warden_store::ScanHost;
use warden_wire::problem::ProblemCode;
use warden_wire::rest::{Items, ScanBody, ScanHostBody, ScanReceipt, SightingBody};

use super::access::Caller;
use super::extract::{Asked, Named, Paging, cut, items, too_large};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::{Answer, Failure, chain};
use crate::scan::{ImportError, import as import_report};

/// Longest silence of a client in the middle of a report.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// The folder for reports on their way, in the data directory.
const FOLDER: &str = "incoming";

/// Takes a scan report: Nessus (XML version 2, CSV), OpenVAS (XML, CSV), Nmap XML, nuclei JSON, SARIF 2.1.0.
///
/// The body is the report as it is. Which form it has is told by its content. The same report twice is one.
#[utoipa::path(post, path = "/api/v1/scans", tag = "scans",
    request_body(content = String, content_type = "application/octet-stream", description = "the bytes of the report"),
    responses((status = 200, body = ScanReceipt)))]
pub(super) async fn import(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Answer<Json<ScanReceipt>> {
    let file = nameless_file(&context.config.data_dir).map_err(|error| not_kept(&error))?;
    let (file, digest) = receive(body, file).await?;
    let imported = import_report(&context, file, digest, now(), &caller.to_string()).await;
    let imported = imported.map_err(|error| refused(&error))?;
    Ok(Json(ScanReceipt {
        scan: ScanBody::from(&imported.scan),
        matched: imported.matched,
        unmatched: imported.unmatched,
        opened: imported.opened,
        still_there: imported.still_there,
        closed: imported.closed,
    }))
}

/// Makes a file that is gone as soon as nobody has it open: a server that is killed leaves nothing behind.
fn nameless_file(data_dir: &Path) -> std::io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let folder = data_dir.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("scan-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn receive(body: Body, mut file: File) -> Answer<(File, Sha256Digest)> {
    let limit = ScanLimits::default().report;
    let mut stream = body.into_data_stream();
    let mut hasher = Sha256::new();
    let mut size = 0_u64;
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, stream.next()).await;
        let next = next.map_err(|_| {
            let text = format!("nothing came for {} s in the middle of the report", SILENCE_MAX.as_secs());
            Failure::new(ProblemCode::Invalid, text).with_hint("send the report again")
        })?;
        let Some(piece) = next else { return Ok((file, Sha256Digest(hasher.finalize().into()))) };
        let bytes = piece
            .map_err(|error| Failure::new(ProblemCode::Invalid, format!("the body broke off: {error}")))?;
        size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if size > limit.0 {
            return Err(too_large(limit));
        }
        hasher.update(&bytes);
        let written = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await;
        let written = written.map_err(|error| Failure::internal("write the report", &error))?;
        file = written.map_err(|error| not_kept(&error))?;
    }
}

fn not_kept(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Failure::new(ProblemCode::NoSpace, "the report does not fit on the server's disk")
            .with_hint("free space on the disk of the data directory, and send the report again");
    }
    Failure::internal("write the report", error)
}

fn refused(error: &ImportError) -> Failure {
    match error {
        ImportError::Refused(ScanError::Read { source }) => Failure::internal("read the report", source),
        ImportError::Refused(error) => {
            Failure::new(ProblemCode::Invalid, chain(error)).with_hint(error.hint())
        }
        ImportError::Store(_) | ImportError::Broken(_) | ImportError::Again(_) | ImportError::Id(_) => {
            Failure::internal("import the report", error)
        }
    }
}

/// Lists the scans, the newest first.
#[utoipa::path(get, path = "/api/v1/scans", tag = "scans", params(Paging),
    responses((status = 200, body = Items<ScanBody>)))]
pub(super) async fn list(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ScanBody>>> {
    let page = cut(context.store.scans().await?, "scans", &paging.request()?, |scan| scan.id.as_str())?;
    Ok(items(page, |scan| ScanBody::from(&scan)))
}

/// Returns a scan.
#[utoipa::path(get, path = "/api/v1/scans/{id}", tag = "scans", params(("id" = String, Path)),
    responses((status = 200, body = ScanBody)))]
pub(super) async fn get(State(context): State<Shared>, Named(id): Named<ScanId>) -> Answer<Json<ScanBody>> {
    let stored = context.store.scan(&id).await?.ok_or_else(|| Failure::not_found("scan", &id))?;
    Ok(Json(ScanBody::from(&stored.scan)))
}

/// Lists the hosts of a scan: which device each is, or why none.
#[utoipa::path(get, path = "/api/v1/scans/{id}/hosts", tag = "scans", params(("id" = String, Path), Paging),
    responses((status = 200, body = Items<ScanHostBody>)))]
pub(super) async fn hosts(
    State(context): State<Shared>,
    Named(id): Named<ScanId>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ScanHostBody>>> {
    if context.store.scan(&id).await?.is_none() {
        return Err(Failure::not_found("scan", &id));
    }
    host_page(context.store.scan_hosts(&id).await?, &paging)
}

/// Lists the hosts that are no known device, by the newest scan that names them.
#[utoipa::path(get, path = "/api/v1/scan-hosts/unmatched", tag = "scans", params(Paging),
    responses((status = 200, body = Items<ScanHostBody>)))]
pub(super) async fn unmatched(
    State(context): State<Shared>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Items<ScanHostBody>>> {
    host_page(context.store.unmatched_hosts().await?, &paging)
}

fn host_page(rows: Vec<ScanHost>, paging: &Paging) -> Answer<Json<Items<ScanHostBody>>> {
    // The names of hosts are longer than a cursor may be; their place in the list is not.
    let rows: Vec<(String, ScanHost)> =
        rows.into_iter().enumerate().map(|(place, host)| (place.to_string(), host)).collect();
    let page = cut(rows, "scan-hosts", &paging.request()?, |(key, _)| key.as_str())?;
    Ok(items(page, |(_, host)| body(host)))
}

fn body(host: ScanHost) -> ScanHostBody {
    let because = host.device.as_ref().map_or(host.why_not, |(_, tie)| tie.to_string());
    ScanHostBody {
        scan: host.scan.to_string(),
        name: host.name,
        addresses: host.addresses,
        macs: host.macs,
        names: host.names,
        items: host.items,
        device: host.device.map(|(device, _)| device.to_string()),
        because,
        complete: host.scope.complete,
    }
}

/// Lists what scanners saw on a device, also what has ended.
#[utoipa::path(get, path = "/api/v1/devices/{id}/sightings", tag = "scans", params(("id" = String, Path)),
    responses((status = 200, body = Items<SightingBody>)))]
pub(super) async fn sightings(
    State(context): State<Shared>,
    Named(id): Named<DeviceId>,
) -> Answer<Json<Items<SightingBody>>> {
    if context.store.device(&id).await?.is_none() {
        return Err(Failure::not_found("device", &id));
    }
    let rows = context.store.sightings_of(&id).await?;
    Ok(Json(Items { items: rows.iter().map(SightingBody::from).collect(), next: None }))
}
