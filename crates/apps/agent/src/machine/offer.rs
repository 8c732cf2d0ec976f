//! Orders as they come from the server: DDI deployments with our metadata.

use warden_model::rollout::Order;
use warden_model::{Generation, Sha256Digest};
use warden_wire::ddi::{DeploymentBase, Handling, META_GENERATION, META_IMAGE, META_ORDER, Window};

/// What the server lets a device do with its order at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Everything.
    Nothing,
    /// Load and write, but do not switch: the maintenance window is closed.
    Switch,
    /// Nothing at all: the order is not offered at present.
    All,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// The action.
    pub action: u64,
    /// What to do.
    pub order: Order,
    /// The image to run.
    pub image: Sha256Digest,
    /// The age of the order.
    pub generation: Generation,
    /// What is allowed at present.
    pub hold: Hold,
}

/// An order that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OfferError {
    /// It has no number, so that it cannot even be answered.
    NoAction,
    /// Something else is wrong with it.
    Malformed {
        /// The action.
        action: u64,
        /// What is wrong.
        why: &'static str,
    },
}

impl Offer {
    /// Reads an order.
    pub(super) fn read(base: &DeploymentBase) -> Result<Self, OfferError> {
        let action = base.id.parse::<u64>().map_err(|_| OfferError::NoAction)?;
        let malformed = |why| OfferError::Malformed { action, why };
        let deployment = &base.deployment;
        let chunk = deployment
            .chunks
            .iter()
            .find(|chunk| chunk.metadata(META_IMAGE).is_some())
            .ok_or(malformed("no part of the order names an image"))?;
        let value = |key| chunk.metadata(key);
        let image = value(META_IMAGE).and_then(|text| text.parse().ok());
        let order = value(META_ORDER).and_then(|text| text.parse().ok());
        let generation = value(META_GENERATION).and_then(|text| text.parse().ok());
        let order = match order.ok_or(malformed("the order is not known"))? {
            Order::Cancel => return Err(malformed("a cancellation is not a deployment")),
            order @ (Order::Install | Order::TurnBack) => order,
        };
        Ok(Self {
            action,
            order,
            image: image.ok_or(malformed("the image is no SHA-256 digest"))?,
            generation: Generation(generation.ok_or(malformed("the generation is no number"))?),
            hold: hold(deployment.download, deployment.update, deployment.maintenance_window),
        })
    }
}

/// DDI: `update: skip` or a closed window means load only; `download: skip` means leave it.
fn hold(download: Handling, update: Handling, window: Option<Window>) -> Hold {
    match (download, update, window) {
        (Handling::Skip, _, _) => Hold::All,
        (_, Handling::Skip, _) | (_, _, Some(Window::Unavailable)) => Hold::Switch,
        (Handling::Attempt | Handling::Forced, Handling::Attempt | Handling::Forced, _) => Hold::Nothing,
    }
}
