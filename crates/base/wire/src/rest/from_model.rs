//! How domain values become REST values; the way back is checked where a request is handled.

use super::{
    AdvisoryBody, AlertBody, CaseBody, DeviceBody, EventBody, FactorBody, PatchBody, ProductBody,
    RunningBody, ShieldBody,
};
use warden_model::advisory::Advisory;
use warden_model::alert::Alert;
use warden_model::case::Case;
use warden_model::device::{Device, Running};
use warden_model::event::Event;
use warden_model::product::Product;
use warden_model::release::Patch;
use warden_model::shield::Shield;

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

fn text<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

impl From<&Product> for ProductBody {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id.to_string(),
            name: product.name.clone(),
            boards: texts(&product.boards),
            support_ends: text(product.support_ends.as_ref()),
            exposure: product.exposure.to_string(),
        }
    }
}

impl From<&Running> for RunningBody {
    fn from(running: &Running) -> Self {
        Self { image: running.image.to_string(), version: running.version.to_string() }
    }
}

impl From<&Device> for DeviceBody {
    fn from(device: &Device) -> Self {
        Self {
            id: device.id.to_string(),
            product: device.product.to_string(),
            hardware: device.hardware.to_string(),
            criticality: device.criticality.to_string(),
            sensitivity: device.sensitivity.to_string(),
            segment: text(device.segment.as_ref()),
            address: text(device.address.as_ref()),
            state: device.state.to_string(),
            installed: device.installed.as_ref().map(RunningBody::from),
            confirmed: device.confirmed.as_ref().map(RunningBody::from),
            slot: text(device.slot.as_ref()),
            generation: device.generation.0,
            enrolled_at: device.enrolled_at.to_string(),
            last_seen: text(device.last_seen.as_ref()),
        }
    }
}

impl From<&Patch> for PatchBody {
    fn from(patch: &Patch) -> Self {
        Self { base: patch.base.to_string(), digest: patch.digest.to_string(), bytes: patch.size.0 }
    }
}

impl From<&Advisory> for AdvisoryBody {
    fn from(advisory: &Advisory) -> Self {
        Self {
            id: advisory.id.to_string(),
            aliases: texts(&advisory.aliases),
            summary: advisory.summary.clone(),
            published: advisory.published.to_string(),
            withdrawn: text(advisory.withdrawn.as_ref()),
            cvss: advisory.cvss.clone(),
            exploitation: advisory.exploitation.to_string(),
            known_at: advisory.known_at.to_string(),
            protected: None,
        }
    }
}

impl From<&Case> for CaseBody {
    fn from(case: &Case) -> Self {
        let factors = case.decision.factors.iter().map(|factor| FactorBody {
            name: factor.name.to_owned(),
            value: factor.value.clone(),
            because: factor.because.clone(),
        });
        Self {
            id: case.id.to_string(),
            device: case.device.to_string(),
            advisory: case.finding.advisory.to_string(),
            component: case.finding.component.to_string(),
            path: case.finding.path.clone(),
            reason: case.finding.reason.clone(),
            fixed_in: case.finding.fixed_in.clone(),
            priority: case.decision.priority.to_string(),
            deadline: text(case.decision.deadline.as_ref()),
            rule: case.decision.rule.clone(),
            factors: factors.collect(),
            opened_at: case.opened_at.to_string(),
            protected_by: case.protected.map(|(how, _)| how.to_string()),
            protected_at: case.protected.map(|(_, at)| at.to_string()),
        }
    }
}

impl From<&Alert> for AlertBody {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            device: alert.device.to_string(),
            kind: alert.kind.to_string(),
            sensor: alert.sensor.to_string(),
            at: alert.at.to_string(),
            destination: alert.destination.clone(),
            reason: alert.reason.clone(),
        }
    }
}

impl From<&Shield> for ShieldBody {
    fn from(shield: &Shield) -> Self {
        Self {
            id: shield.id.to_string(),
            device: shield.device.to_string(),
            reason: shield.reason.to_string(),
            advisories: texts(&shield.advisories),
            state: shield.state.to_string(),
            since: shield.since.to_string(),
        }
    }
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        Self {
            at: event.at.to_string(),
            stage: event.stage.to_string(),
            device: text(event.device.as_ref()),
            release: text(event.release.as_ref()),
            rollout: text(event.rollout.as_ref()),
            what: event.what.clone(),
            reason: event.reason.clone(),
        }
    }
}
