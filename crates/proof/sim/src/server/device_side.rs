//! The device protocol, from the server's side. Mirrors `apps/server/src/device/ddi.rs`.

use std::collections::BTreeMap;

use warden_agent::machine::{Channel, ImageTarget, Input, PatchTarget, PollAnswer, Signed};
use warden_model::device::Running;
use warden_model::release::ReleaseState;
use warden_model::rollout::Order;
use warden_model::{DeviceId, Sha256Digest, Timestamp};
use warden_wire::ddi::{
    Base, CancelAction, CancelBase, Chunk, Config, Deployment, DeploymentBase, Handling, Link,
    META_GENERATION, META_IMAGE, META_ORDER, Metadata, Polling,
};

use super::{KeptOrder, OrderState, Server, State, reports};
use crate::link::Request;

impl Server {
    /// Takes a message of a device; returns what its machine hears, for messages that have an answer.
    pub fn take(&mut self, device: &DeviceId, request: &Request, now: Timestamp) -> Option<Input> {
        if let Some(known) = self.state.devices.get_mut(device) {
            known.last_seen = Some(now);
        }
        match request {
            Request::Poll => Some(Input::Polled(Box::new(self.state.poll_answer(device)))),
            Request::Metadata { image } => Some(Input::MetadataFetched(self.state.signed(image))),
            Request::Report(report) => {
                reports::accept(&mut self.state, report, now);
                self.wake = true;
                Some(Input::Delivered)
            }
            Request::Feedback { action, channel, feedback } => {
                let kept = self.state.directives.get(action);
                let own = kept.filter(|kept| kept.directive.device == *device);
                let wanted = match (own.map(|kept| kept.state), channel) {
                    // 404, 410, 405: the device is told not to say it again.
                    (None | Some(OrderState::Closed), _) | (Some(OrderState::Open), Channel::Cancel) => false,
                    (Some(OrderState::Open | OrderState::Cancelling), _) => true,
                };
                if wanted {
                    reports::take_feedback(&mut self.state, *action, feedback, *channel, now);
                    self.wake = true;
                }
                Some(Input::Delivered)
            }
            Request::Attributes => {
                self.state.attributes.insert(device.clone());
                None
            }
        }
    }
}

impl State {
    fn poll_answer(&self, device: &DeviceId) -> PollAnswer {
        let mut links = BTreeMap::new();
        if !self.attributes.contains(device) {
            links.insert("configData".to_owned(), Link { href: "configData".to_owned() });
        }
        let base = Base { config: Config { polling: Polling::every(self.poll.0) }, links };
        let open = self.open_order(device);
        let cancel = open.filter(|kept| kept.state == OrderState::Cancelling).map(|kept| {
            let id = kept.directive.action.to_string();
            CancelBase { cancel_action: CancelAction { stop_id: id.clone() }, id }
        });
        let deployment = open.filter(|kept| kept.state == OrderState::Open).map(|kept| self.deployment(kept));
        PollAnswer { base, deployment, cancel }
    }

    fn deployment(&self, kept: &KeptOrder) -> DeploymentBase {
        let entry = |key: &str, value: String| Metadata { key: key.to_owned(), value };
        let order = match kept.directive.order {
            Order::Install | Order::Cancel => Order::Install,
            Order::TurnBack => Order::TurnBack,
        };
        let firmware = self.firmware.get(&kept.image);
        let chunk = Chunk {
            part: "os".to_owned(),
            version: firmware.map_or_else(String::new, |firmware| firmware.version.to_string()),
            name: firmware.map_or_else(String::new, |firmware| firmware.product.to_string()),
            artifacts: Vec::new(),
            metadata: vec![
                entry(META_GENERATION, kept.directive.generation.to_string()),
                entry(META_IMAGE, kept.image.to_string()),
                entry(META_ORDER, order.to_string()),
            ],
        };
        let deployment = Deployment {
            download: Handling::Forced,
            update: Handling::Forced,
            maintenance_window: None,
            chunks: vec![chunk],
        };
        DeploymentBase { id: kept.directive.action.to_string(), deployment }
    }

    /// Returns what the signed metadata says of an image: only signed releases are in it.
    pub fn signed(&self, image: &Sha256Digest) -> Signed {
        let release = self.release_of(image).filter(|release| release.state == ReleaseState::Signed);
        let target = release.and_then(|release| {
            let firmware = self.firmware.get(image)?;
            let product = self.products.get(&release.product)?;
            Some(ImageTarget {
                running: Running { image: *image, version: release.version.clone() },
                size: firmware.size,
                product: release.product.clone(),
                hardware: product.boards.iter().cloned().collect(),
                release_counter: release.counter,
            })
        });
        let fits = self.patches.iter().filter(|patch| patch.result == *image);
        let patches =
            fits.map(|patch| PatchTarget { digest: patch.digest, size: patch.size, base: patch.base });
        Signed {
            patches: if target.is_some() { patches.collect() } else { Vec::new() },
            indexes: Vec::new(),
            image: target,
        }
    }
}
