//! Who asks: the certificate of the connection against the device that the path names.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tracing::warn;
use warden_model::DeviceId;
use warden_model::device::Device;
use warden_trust::PublicKey;
use warden_trust::identity::device_of_certificate;

use crate::clock::now;
use crate::context::Shared;
use crate::listen::Peer;

/// The device that asks, as the certificate proves it.
#[derive(Clone)]
pub(super) struct Asking {
    /// The device.
    pub device: Device,
    /// The key of its certificate: what its state reports are signed with.
    pub key: PublicKey,
}

/// Longest name of a tenant, in characters: it comes back in every link.
const TENANT_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
pub(super) struct Named {
    tenant: String,
    device: String,
}

/// There is one fleet, whatever a client calls it; but what it calls it must fit into a link as it is.
fn is_tenant(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=TENANT_CHARS_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// Lets a request through when its certificate is that of the device in its path, and notes the sign of life. The
/// refusal is hawkBit's: 401 with an empty body.
pub(super) async fn identify(
    State(context): State<Shared>,
    Path(named): Path<Named>,
    mut request: Request,
    next: Next,
) -> Response {
    if !is_tenant(&named.tenant) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match asking(&context, &peer, &named.device).await {
        Ok(asking) => {
            context.heartbeats.beat(&asking.device.id, Some(peer.address.ip()), now());
            request.extensions_mut().insert(asking);
            next.run(request).await
        }
        Err(why) => {
            warn!(address = %peer.address, device = %named.device, why, "turned a device away");
            StatusCode::UNAUTHORIZED.into_response()
        }
    }
}

/// Reads the device's state anew for each request: what was revoked a moment ago is refused now.
async fn asking(context: &Shared, peer: &Peer, named: &str) -> Result<Asking, String> {
    let certificate = peer.certificate.as_deref().ok_or("it shows no certificate")?;
    let (id, key) =
        device_of_certificate(certificate, &context.trust_domain).map_err(|error| error.to_string())?;
    if id.as_str() != named {
        return Err(format!("its certificate is that of {id}"));
    }
    let id: DeviceId = id;
    match context.store.device(&id).await {
        Ok(Some(device)) => Ok(Asking { device, key }),
        Ok(None) => Err("it is not enrolled here, or was removed".to_owned()),
        Err(error) => Err(format!("its state cannot be read: {}", crate::problem::chain(&error))),
    }
}
