//! Why a device is not updated.

use serde_json::json;
use warden_model::DeviceId;
use warden_wire::rest::{DeviceBody, DeviceReason, Items, RolloutBody};

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::list::Paging;
use crate::output::Page;
use crate::session::Session;

/// Most rollouts that are looked through, the newest first: a device that none of them has waits for no update.
const ROLLOUTS_MAX: usize = 20;

/// Says why a device is not updated: its place in the newest rollout that has it.
pub(super) fn why(id: &DeviceId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let device: DeviceBody = client.get(&format!("/devices/{id}"))?;
    let mut rollouts: Items<RolloutBody> =
        client.list("/rollouts", &Vec::new(), &Paging { limit: 500, after: None })?;
    rollouts.items.sort_by(|a, b| b.created_at.cmp(&a.created_at));
    rollouts.items.truncate(ROLLOUTS_MAX);
    let page = Page::new().field("device", &device.id).field("state", &device.state);
    if let Some(rollout) = newest_with(&client, &rollouts.items, id)? {
        let why: DeviceReason = client.get(&format!("/rollouts/{}/devices/{id}/why", rollout.id))?;
        let all = json!({
            "device": id.to_string(),
            "state": device.state,
            "rollout": rollout.id,
            "release": rollout.release,
            "rollout_state": rollout.state,
            "reason": why.reason,
        });
        session.output.show(&all, |_| {
            let rollout = format!("{} of {} ({})", rollout.id, rollout.release, rollout.state);
            page.field("rollout", rollout).field("why", &why.reason)
        })?;
        return Ok(Exit::Done);
    }
    let reason = match rollouts.items.len() {
        0 => "there is no rollout".to_owned(),
        count => format!("none of the newest {count} rollouts has it"),
    };
    let all = json!({ "device": id.to_string(), "state": device.state, "rollout": null, "reason": reason });
    session.output.show(&all, |_| {
        let hint =
            "`fleetwarden rollout plan RELEASE` shows whom a release would reach, and whom not and why";
        page.field("why", &reason).note(hint)
    })?;
    Ok(Exit::Done)
}

/// Finds the newest rollout that has the device; lists come without devices.
fn newest_with(
    client: &Client,
    rollouts: &[RolloutBody],
    id: &DeviceId,
) -> Result<Option<RolloutBody>, Failure> {
    for rollout in rollouts {
        let whole: RolloutBody = client.get(&format!("/rollouts/{}", rollout.id))?;
        if whole.members.iter().any(|member| member.device == id.as_str()) {
            return Ok(Some(whole));
        }
    }
    Ok(None)
}
