//! Orders as DDI shows them: `deploymentBase` for what is to be done, `installedBase` for what was.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use warden_model::rollout::Order;
use warden_store::{DirectiveState, StoredDirective};
use warden_wire::ddi::{
    Artifact, Chunk, Deployment, DeploymentBase, Handling, Hashes, Link, META_GENERATION, META_IMAGE,
    META_ORDER, Metadata, Window,
};

use super::answer::{answer, broken, not_found};
use super::{is_offered, own_directive, own_url};
use crate::clock::now;
use crate::context::Shared;
use crate::device::identify::Asking;
use crate::turn::window_of;

type OfAction = Path<(String, String, String)>;

/// `GET …/deploymentBase/{action}`.
pub(in crate::device) async fn deployment_base(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device, action)): OfAction,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let own = own_directive(&context, &asking, &action).await?;
        if !is_offered(&context, &own).await.map_err(|cause| broken(&cause))? {
            return Err(not_found());
        }
        let window = window_of(&context, &own, now()).await.map_err(|cause| broken(&cause))?;
        deployment(&context, &own, &own_url(&context, &headers, &tenant, &device), window).await
    };
    found.await.map_or_else(|refusal| refusal, |found| answer(&headers, &found))
}

/// `GET …/installedBase/{action}`: an order that is closed and whose image the device runs, by its own report.
pub(in crate::device) async fn installed_base(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device, action)): OfAction,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let own = own_directive(&context, &asking, &action).await?;
        let confirmed = asking.device.confirmed.as_ref().map(|running| running.image);
        if own.state != DirectiveState::Closed || confirmed != Some(own.image) {
            return Err(not_found());
        }
        deployment(&context, &own, &own_url(&context, &headers, &tenant, &device), None).await
    };
    found.await.map_or_else(|refusal| refusal, |found| answer(&headers, &found))
}

/// `GET …/softwaremodules/{module}/artifacts`.
pub(in crate::device) async fn artifacts(
    State(context): State<Shared>,
    Extension(asking): Extension<Asking>,
    Path((tenant, device, module)): OfAction,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let own = own_directive(&context, &asking, &module).await?;
        chunk(&context, &own, &own_url(&context, &headers, &tenant, &device)).await
    };
    found.await.map_or_else(|refusal| refusal, |chunk| answer(&headers, &chunk.artifacts))
}

async fn deployment(
    context: &Shared,
    own: &StoredDirective,
    url: &str,
    window: Option<Window>,
) -> Result<DeploymentBase, Response> {
    let deployment = Deployment {
        download: Handling::Forced,
        // A closed window lets the device load, and keeps it from installing (hawkBit has it so).
        update: if window == Some(Window::Unavailable) { Handling::Skip } else { Handling::Forced },
        maintenance_window: window,
        chunks: vec![chunk(context, own, url).await?],
    };
    Ok(DeploymentBase { id: own.directive.action.to_string(), deployment })
}

async fn chunk(context: &Shared, own: &StoredDirective, url: &str) -> Result<Chunk, Response> {
    let image = own.image;
    let firmware = context.store.firmware(&image).await.map_err(|cause| broken(&cause))?;
    let artifact = match (&firmware, context.artifacts.hashes(&image)) {
        (Some(firmware), Ok(hashes)) => {
            let name = format!("{image}.img");
            let href = format!("{url}/softwaremodules/{}/artifacts/{name}", own.directive.action);
            let sha256 = Some(image.to_string());
            Some(Artifact {
                links: BTreeMap::from([
                    ("download".to_owned(), Link { href: href.clone() }),
                    ("md5sum".to_owned(), Link { href: format!("{href}.MD5SUM") }),
                ]),
                filename: name,
                hashes: Hashes { sha1: Some(hashes.sha1), md5: Some(hashes.md5), sha256 },
                size: firmware.size.0,
            })
        }
        // The way back leads to an image that the device has in its other slot; the server need not have it, and often
        // has not: nobody uploads what the factory wrote.
        _ if own.directive.order == Order::TurnBack => None,
        _ => return Err(not_found()),
    };
    let order = match own.directive.order {
        Order::Install | Order::Cancel => Order::Install,
        Order::TurnBack => Order::TurnBack,
    };
    let entry = |key: &str, value: String| Metadata { key: key.to_owned(), value };
    let named = |firmware: &warden_model::firmware::Firmware| {
        (firmware.version.to_string(), firmware.product.to_string())
    };
    let (version, name) = firmware.as_ref().map_or_else(|| (image.short(), "before".to_owned()), named);
    Ok(Chunk {
        part: "os".to_owned(),
        version,
        name,
        artifacts: artifact.into_iter().collect(),
        metadata: vec![
            entry(META_GENERATION, own.directive.generation.to_string()),
            entry(META_IMAGE, image.to_string()),
            entry(META_ORDER, order.to_string()),
        ],
    })
}
