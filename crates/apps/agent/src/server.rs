//! The server, as the device sees it: hawkBit DDI with our own links, over mutual TLS.
//!
//! In: what the machine asks. Out: its inputs. Refuses: answers beyond their limits.

pub mod enrol;
mod http;
mod load;
pub mod metadata;
mod pieces;
mod tls;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use warden_keys::{ClientIdentity, DeviceKey, client_config};
use warden_model::report::StateReport;
use warden_model::{ActionId, ByteCount, Sha256Digest};
use warden_trust::envelope::seal;
use warden_wire::ddi::{
    Base, CancelBase, ConfigData, ConfigMode, DeploymentBase, Feedback, LINK_ARTIFACTS, LINK_METADATA,
    LINK_STATE,
};

use self::enrol::Enrolled;
use self::http::{Answer, Client, Method, Send};
use crate::device::Device;
use crate::driver::{Remote, Slice};
use crate::machine::{Channel, Input, LoadFailure, Machine, MetadataFailure, PiecesOrder, Place, PollAnswer};

/// Largest base poll, in bytes: a dozen links of a few hundred bytes.
const BASE_BYTES_MAX: u64 = 64 * 1024;
/// Largest deployment, in bytes: hawkBit's quotas (100 modules of 50 artifacts) would take more, our server sends one.
const DEPLOYMENT_BYTES_MAX: u64 = 512 * 1024;
/// Largest answer to what we send, in bytes: only its first words are shown.
const REPLY_BYTES_MAX: u64 = 16 * 1024;

/// A server that this device is enrolled at.
pub struct Server {
    client: Client,
    own_url: String,
    key: DeviceKey,
    links: BTreeMap<String, String>,
    open: Option<load::Open>,
    gathering: Option<pieces::Gathering>,
}

impl Server {
    /// Makes the connection's settings; nothing is sent.
    pub fn new(enrolled: &Enrolled, device: &Device) -> Result<Self> {
        let key = enrolled.key()?;
        let identity = ClientIdentity { chain: enrolled.chain(), key: key.to_tls() };
        let tls = client_config(&enrolled.ca, Some(identity)).context("set up TLS")?;
        let base_url = enrolled.server.trim_end_matches('/');
        // DDI: `{tenant}/controller/v1/{controllerId}`; the tenant is hawkBit's own default.
        let own_url = format!("{base_url}/DEFAULT/controller/v1/{}", device.identity.device);
        Ok(Self {
            client: Client::new(tls),
            own_url,
            key,
            links: BTreeMap::new(),
            open: None,
            gathering: None,
        })
    }

    fn get<T: DeserializeOwned>(&self, url: &str, bytes_max: u64) -> Result<Option<T>> {
        let answer = self.client.get(url, bytes_max)?;
        match answer.status {
            200 if u64::try_from(answer.body.len()).is_ok_and(|length| length > bytes_max) => {
                bail!("the answer of {url} is larger than {bytes_max} bytes")
            }
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .with_context(|| format!("read the answer of {url}")),
            404 => Ok(None),
            status => bail!("{url} is answered with status {status}: {}", answer.words()),
        }
    }

    fn try_poll(&mut self) -> Result<PollAnswer> {
        let base: Base =
            self.get(&self.own_url, BASE_BYTES_MAX)?.context("the server does not know this device")?;
        self.links = base.links.iter().map(|(rel, link)| (rel.clone(), link.href.clone())).collect();
        let deployment: Option<DeploymentBase> = match self.links.get("deploymentBase") {
            Some(href) => self.get(href, DEPLOYMENT_BYTES_MAX)?,
            None => None,
        };
        let cancel: Option<CancelBase> = match self.links.get("cancelAction") {
            Some(href) => self.get(href, BASE_BYTES_MAX)?,
            None => None,
        };
        Ok(PollAnswer { base, deployment, cancel })
    }

    /// Returns where a link leads; asks the server once where that is not known yet.
    fn link(&mut self, rel: &str) -> Result<String> {
        if !self.links.contains_key(rel) {
            let base: Base =
                self.get(&self.own_url, BASE_BYTES_MAX)?.context("the server does not know this device")?;
            self.links = base.links.into_iter().map(|(rel, link)| (rel, link.href)).collect();
        }
        self.links.get(rel).cloned().with_context(|| format!("the server offers no {rel}"))
    }

    fn try_report(&mut self, report: &StateReport) -> Result<Answer> {
        let url = self.link(LINK_STATE)?;
        let payload = warden_wire::report::write(report);
        let envelope =
            seal(warden_wire::report::PAYLOAD_TYPE, &payload, &self.key).context("sign the report")?;
        let body = serde_json::to_vec(&envelope)?;
        self.send(&url, Method::Post, &body)
    }

    fn send(&self, url: &str, method: Method, body: &[u8]) -> Result<Answer> {
        let send = Send { method, content_type: "application/json", authorization: None, body };
        self.client.send(url, &send, REPLY_BYTES_MAX)
    }
}

/// Says whether an answer settles a letter: it was taken, or will never be.
fn settled(what: &str, answer: Result<Answer>) -> Input {
    match answer {
        Ok(answer) if answer.is_success() => Input::Delivered,
        // Gone, unknown, refused for what it says: sending it again would change nothing.
        Ok(answer) if matches!(answer.status, 400 | 404 | 405 | 409 | 410 | 413 | 415 | 422) => {
            tracing::warn!(status = answer.status, "the server does not want the {what}: {}", answer.words());
            Input::Delivered
        }
        Ok(answer) => {
            tracing::warn!(status = answer.status, "the {what} was not taken: {}", answer.words());
            Input::NotDelivered
        }
        Err(error) => {
            tracing::warn!("the {what} did not get through: {error:#}");
            Input::NotDelivered
        }
    }
}

impl Remote for Server {
    fn poll(&mut self) -> Input {
        match self.try_poll() {
            Ok(answer) => Input::Polled(Box::new(answer)),
            Err(error) => {
                tracing::warn!("the server does not answer: {error:#}");
                Input::PollFailed
            }
        }
    }

    fn metadata(&mut self, device: &Device, image: Sha256Digest) -> Input {
        match self.link(LINK_METADATA) {
            Ok(url) => metadata::signed(&self.client, &url, &device.dir.trust(), image),
            Err(error) => {
                tracing::warn!("the signed metadata does not come: {error:#}");
                Input::MetadataFailed(MetadataFailure::Unreachable)
            }
        }
    }

    fn download(&mut self, device: &Device, slice: &Slice) -> Input {
        let failed = |error: &anyhow::Error| Input::DownloadFailed {
            done: slice.offset,
            failure: LoadFailure::Network,
            detail: format!("{error:#}"),
        };
        let url = match self.link(LINK_ARTIFACTS) {
            Ok(url) => format!("{url}{}", slice.digest),
            Err(error) => return failed(&error),
        };
        let (path, keep) = match slice.place {
            Place::Slot(slot) => (device.dir.slot(slot), None),
            Place::Staging => (device.dir.staged(slice.digest), Some(slice.digest)),
        };
        if let Err(error) = device.dir.clear_staging(keep) {
            return failed(&error);
        }
        load::load(&self.client, &url, &path, slice, &mut self.open)
    }

    fn pieces(&mut self, device: &Device, order: &PiecesOrder, offset: ByteCount) -> Input {
        let prepared = self.link(LINK_ARTIFACTS).and_then(|url| {
            if offset.0 == 0 {
                // What lies there is of another update.
                device.dir.clear_staging(None)?;
            }
            Ok(url)
        });
        match prepared {
            Ok(url) => {
                let held = (&mut self.gathering, &mut self.open);
                pieces::gather(&self.client, &url, device, order, held)
            }
            Err(error) => {
                let detail = format!("{error:#}");
                Input::DownloadFailed { done: offset, failure: LoadFailure::Network, detail }
            }
        }
    }

    fn report(&mut self, report: &StateReport) -> Input {
        let answer = self.try_report(report);
        settled("state report", answer)
    }

    fn feedback(&mut self, action: ActionId, channel: Channel, feedback: &Feedback) -> Input {
        let channel = match channel {
            Channel::Deployment => "deploymentBase",
            Channel::Cancel => "cancelAction",
        };
        let url = format!("{}/{channel}/{action}/feedback", self.own_url);
        let answer = serde_json::to_vec(feedback)
            .context("write the feedback")
            .and_then(|body| self.send(&url, Method::Post, &body));
        settled("feedback", answer)
    }

    fn attributes(&mut self, device: &Device, machine: &Machine) {
        let confirmed = &machine.journal().confirmed;
        let data = BTreeMap::from([
            ("hardware".to_owned(), device.identity.hardware.to_string()),
            ("product".to_owned(), device.identity.product.to_string()),
            ("version".to_owned(), confirmed.version.to_string()),
            ("image".to_owned(), confirmed.image.to_string()),
            ("agent".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        let sent = self
            .link("configData")
            .and_then(|url| Ok((url, serde_json::to_vec(&ConfigData { mode: ConfigMode::Merge, data })?)))
            .and_then(|(url, body)| self.send(&url, Method::Put, &body));
        match sent {
            Ok(answer) if answer.is_success() => tracing::debug!("attributes sent"),
            Ok(answer) => {
                tracing::warn!(status = answer.status, "the attributes were not taken: {}", answer.words());
            }
            Err(error) => tracing::warn!("the attributes did not get through: {error:#}"),
        }
    }
}
