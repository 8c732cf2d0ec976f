//! Pages of rollouts and of plans.

use warden_model::{ByteCount, PerMille, Seconds};
use warden_wire::rest::{EventBody, Items, PhaseBody, RolloutBody, RolloutPlan, RolloutRequest};

use super::OneArgs;
use crate::event;
use crate::failure::{Exit, Outcome};
use crate::output::{Page, Table};
use crate::session::Session;

/// Shows what a rollout would do. Exit code 10 says that the plan has warnings.
pub(super) fn plan(wish: &RolloutRequest, session: &mut Session) -> Outcome {
    let plan: RolloutPlan = session.client()?.post("/rollouts/plan", wish)?;
    session.output.show(&plan, plan_page)?;
    Ok(if plan.warnings.is_empty() { Exit::Done } else { Exit::Attention })
}

fn plan_page(plan: &RolloutPlan) -> Page {
    let mut devices = Table::new(["phase", "device", "loads", "why"]);
    for device in &plan.devices {
        devices.push([
            device.phase.clone(),
            device.device.clone(),
            ByteCount(device.bytes).to_string(),
            device.reason.clone(),
        ]);
    }
    let mut left_out = Table::new(["device", "why"]);
    plan.left_out.iter().for_each(|device| left_out.push([&device.device, &device.reason]));
    let saved = plan.full_bytes.saturating_sub(plan.bytes);
    let page = Page::new()
        .field("devices", plan.devices.len().to_string())
        .field("left out", plan.left_out.len().to_string())
        .field("to send", ByteCount(plan.bytes).to_string())
        .field("saved by patches", format!("{} ({})", ByteCount(saved), PerMille::of(saved, plan.full_bytes)))
        .section("who and when", devices)
        .section("who not, and why", left_out);
    plan.warnings.iter().fold(page, |page, warning| page.note(format!("warning: {warning}")))
}

/// Shows one rollout.
pub(super) fn show(args: &OneArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let mut rollout: RolloutBody = client.get(&format!("/rollouts/{}", args.id))?;
    if args.members == "none" {
        rollout.members.clear();
    }
    let events: Items<EventBody> = client.get(&format!("/rollouts/{}/events", args.id))?;
    let all = serde_json::json!({ "rollout": rollout, "events": events.items });
    session.output.show(&all, |_| {
        page(&rollout).section("devices", members(&rollout)).section("events", event::table(&events.items))
    })?;
    Ok(Exit::Done)
}

/// Describes a rollout and its phases.
pub(super) fn page(rollout: &RolloutBody) -> Page {
    let mut phases = Table::new([
        "",
        "phase",
        "devices",
        "waiting",
        "updating",
        "healthy",
        "failed",
        "goes on at",
        "halts at",
        "soak",
    ]);
    for (index, phase) in rollout.phases.iter().enumerate() {
        let mark = if u64::try_from(index) == Ok(rollout.phase) { ">" } else { "" };
        phases.push([vec![mark.to_owned()], phase_cells(phase)].concat());
    }
    Page::new()
        .field("rollout", &rollout.id)
        .field("release", &rollout.release)
        .field("state", &rollout.state)
        .field("why", &rollout.reason)
        .field("created", &rollout.created_at)
        .optional("savings", rollout.savings.as_ref().map(|savings| savings.summary.as_str()))
        .section("phases", phases)
}

fn phase_cells(phase: &PhaseBody) -> Vec<String> {
    let share = |per_mille: u16| PerMille::new(u64::from(per_mille)).unwrap_or(PerMille::ALL).to_string();
    let counts = [phase.devices, phase.waiting, phase.updating, phase.healthy, phase.failed];
    let mut cells = vec![phase.name.clone()];
    cells.extend(counts.iter().map(ToString::to_string));
    cells.push(format!("{} healthy", share(phase.success_per_mille)));
    cells.push(format!("{} failed", share(phase.error_per_mille)));
    cells.push(Seconds(phase.soak_seconds).to_string());
    cells
}

fn members(rollout: &RolloutBody) -> Table {
    let mut table =
        Table::new(["device", "phase", "state", "since", "by", "loaded", "of", "loading", "applying"]);
    let span = |millis: u64| match millis {
        0 => "-".to_owned(),
        millis => crate::release::short_span(millis),
    };
    for member in &rollout.members {
        table.push([
            member.device.clone(),
            member.phase.clone(),
            member.state.clone(),
            member.since.clone(),
            member.way.clone().unwrap_or_else(|| "-".to_owned()),
            ByteCount(member.downloaded_bytes).to_string(),
            ByteCount(member.full_bytes).to_string(),
            span(member.loading_millis),
            span(member.applying_millis),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{page, plan_page};
    use crate::output::Style;
    use warden_wire::rest::{DeviceReason, PhaseBody, PlannedDevice, RolloutBody, RolloutPlan};

    fn phase(name: &str, healthy: u64) -> PhaseBody {
        PhaseBody {
            name: name.to_owned(),
            devices: 4,
            waiting: 4 - healthy,
            updating: 0,
            healthy,
            failed: 0,
            success_per_mille: 1000,
            error_per_mille: 340,
            soak_seconds: 90,
        }
    }

    #[test]
    fn a_rollout_shows_its_phases_and_which_one_runs() {
        let rollout = RolloutBody {
            id: "ro-1".to_owned(),
            release: "cam-1.1".to_owned(),
            state: "running".to_owned(),
            reason: "the canary soaks".to_owned(),
            phase: 1,
            phases: vec![phase("canary", 4), phase("rest", 1)],
            generation: 3,
            created_at: "2026-11-22T08:00:00Z".to_owned(),
            members: Vec::new(),
            savings: None,
        };
        insta::assert_snapshot!(page(&rollout).text(Style::Plain), @r"
        rollout  ro-1
        release  cam-1.1
        state    running
        why      the canary soaks
        created  2026-11-22T08:00:00Z

        phases:
           PHASE   DEVICES  WAITING  UPDATING  HEALTHY  FAILED  GOES ON AT     HALTS AT     SOAK
           canary  4        0        0         4        0       100 % healthy  34 % failed  1 min 30 s
        >  rest    4        3        0         1        0       100 % healthy  34 % failed  1 min 30 s
        ");
    }

    #[test]
    fn a_plan_says_who_when_how_much_and_who_not() {
        let plan = RolloutPlan {
            devices: vec![PlannedDevice {
                device: "cam-1".to_owned(),
                phase: "canary".to_owned(),
                reason: "the least critical device goes first".to_owned(),
                bytes: 4096,
            }],
            left_out: vec![DeviceReason {
                device: "cam-2".to_owned(),
                reason: "its board is another".to_owned(),
            }],
            warnings: vec!["there is no soak time".to_owned()],
            bytes: 4096,
            full_bytes: 1 << 20,
        };
        let page = plan_page(&plan);
        insta::assert_snapshot!(page.text(Style::Plain), @r"
        devices           1
        left out          1
        to send           4.0 KiB
        saved by patches  1020.0 KiB (99.6 %)

        who and when:
        PHASE   DEVICE  LOADS    WHY
        canary  cam-1   4.0 KiB  the least critical device goes first

        who not, and why:
        DEVICE  WHY
        cam-2   its board is another
        ");
        assert_eq!(page.notes(), ["warning: there is no soak time"]);
    }
}
