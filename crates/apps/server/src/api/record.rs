//! The record of who did what: every change through the API leaves an event.

use warden_model::event::Event;
use warden_model::{DeviceId, ReleaseId, RolloutId, Stage, Timestamp};

/// Makes an event about nobody in particular.
pub(super) fn event(at: Timestamp, stage: Stage, what: &str, reason: String) -> Event {
    Event { at, stage, device: None, release: None, rollout: None, what: what.to_owned(), reason }
}

/// Makes an event about a device.
pub(super) fn of_device(device: &DeviceId, event: Event) -> Event {
    Event { device: Some(device.clone()), ..event }
}

/// Makes an event about a release.
pub(super) fn of_release(release: &ReleaseId, event: Event) -> Event {
    Event { release: Some(release.clone()), ..event }
}

/// Makes an event about a rollout.
pub(super) fn of_rollout(rollout: &RolloutId, event: Event) -> Event {
    Event { rollout: Some(rollout.clone()), ..event }
}
