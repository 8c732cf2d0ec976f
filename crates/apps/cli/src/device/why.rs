//! Why a device is not updated.

use warden_model::DeviceId;
use warden_wire::rest::{DeviceBody, DeviceReason, Items, RolloutBody};

use super::or_nowhere;
use crate::failure::{Exit, Outcome};
use crate::list::Paging;
use crate::output::Page;
use crate::session::Session;

/// Most rollouts that are looked through, the newest first: a device that none of them names waits for no update.
const ROLLOUTS_MAX: usize = 20;

/// Says why a device is not updated: its place in the newest rollout that has it.
pub(super) fn why(id: &DeviceId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let device: DeviceBody = client.get(&format!("/devices/{id}"))?;
    let paging = Paging { limit: 500, after: None };
    let mut rollouts: Items<RolloutBody> = client.list("/rollouts", &Vec::new(), &paging)?;
    rollouts.items.sort_by(|a, b| b.created_at.cmp(&a.created_at));
    for rollout in rollouts.items.iter().take(ROLLOUTS_MAX) {
        let path = format!("/rollouts/{}/devices/{id}/why", rollout.id);
        if let Some(why) = or_nowhere(client.get::<DeviceReason>(&path))? {
            let all = serde_json::json!({
                "device": id.to_string(),
                "rollout": rollout.id,
                "release": rollout.release,
                "rollout_state": rollout.state,
                "reason": why.reason,
            });
            session.output.show(&all, |_| {
                Page::new()
                    .field("device", &device.id)
                    .field("state", &device.state)
                    .field("rollout", format!("{} of {} ({})", rollout.id, rollout.release, rollout.state))
                    .field("why", &why.reason)
            })?;
            return Ok(Exit::Done);
        }
    }
    let looked_at = rollouts.items.len().min(ROLLOUTS_MAX);
    let reason = format!("none of the newest {looked_at} rollouts has it");
    let all = serde_json::json!({ "device": id.to_string(), "rollout": null, "reason": reason });
    session.output.show(&all, |_| {
        let hint = "`fleetwarden rollout plan RELEASE` shows whom a release would reach, and whom not and why";
        Page::new().field("device", &device.id).field("state", &device.state).field("why", &reason).note(hint)
    })?;
    Ok(Exit::Done)
}
