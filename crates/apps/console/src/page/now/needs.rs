//! What waits for a person.
//!
//! In: the store, and `now`. Out: needs, the most urgent first; each with where to look and what to do. Refuses: to list
//! what the system handles by itself.

use std::collections::BTreeSet;

use warden_model::release::{Release, ReleaseState};
use warden_model::rollout::{Rollout, RolloutState};
use warden_model::shield::ShieldState;
use warden_model::{Seconds, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::PageRequest;

use crate::App;
use crate::failure::Failure;
use crate::view::{Tone, brief, count, href};

/// For how long an alert needs a look: a day's shift change sees all of them.
const ALERTS_FRESH: Seconds = Seconds::days(1);

/// Something that waits for a person.
pub(super) struct Need {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) href: String,
    pub(super) next: String,
    pub(super) command: Option<String>,
}

/// Lists what waits for a person.
pub(super) async fn needs(app: &App, now: Timestamp) -> Result<Vec<Need>, Failure> {
    let rollouts = app.store().rollouts().await?;
    let mut needs: Vec<Need> = rollouts.iter().filter_map(of_rollout).collect();
    needs.extend(of_cases(app, now).await?);
    needs.extend(of_releases(app.store().releases().await?, &rollouts));
    needs.extend(of_shields(app).await?);
    needs.extend(of_devices(app, now).await?);
    needs.extend(of_alerts(app, now).await?);
    // Stable: within a tone the order above stays.
    needs.sort_by_key(|need| need.tone);
    Ok(needs)
}

/// Returns the filter that holds for devices that have been silent for too long.
pub(super) fn silent_filter(app: &App, now: Timestamp) -> Result<String, Failure> {
    Ok(Filter::parse(&format!("seen:>{}s", app.silence_max().0), now)?.to_string())
}

fn of_rollout(rollout: &Rollout) -> Option<Need> {
    let (tone, title, next, command) = match rollout.state {
        RolloutState::Halted => {
            (Tone::Bad, "has halted", "Look at the failures; then resume it, or roll it back.", "resume")
        }
        RolloutState::Paused => (Tone::Care, "is paused", "Resume it when you are ready.", "resume"),
        RolloutState::Draft => {
            (Tone::Care, "waits for its start", "Look at the plan, and start it.", "start")
        }
        RolloutState::Running
        | RolloutState::RollingBack
        | RolloutState::RolledBack
        | RolloutState::Finished => return None,
    };
    Some(Need {
        tone,
        title: format!("Rollout {} {title}", rollout.id),
        detail: rollout.reason.clone(),
        href: format!("/rollouts/{}", rollout.id),
        next: next.to_owned(),
        command: Some(format!("fleetwarden rollout {command} {}", rollout.id)),
    })
}

/// The newest release of each product counts: an older one that was refused or waits is nobody's concern any more.
fn of_releases(mut releases: Vec<Release>, rollouts: &[Rollout]) -> Vec<Need> {
    releases.retain(|release| release.state != ReleaseState::Withdrawn);
    releases.sort_by_key(|release| std::cmp::Reverse(release.counter));
    let mut seen = BTreeSet::new();
    let newest = releases.iter().filter(|release| seen.insert(release.product.clone()));
    newest.filter_map(|release| of_release(release, rollouts)).collect()
}

fn of_release(release: &Release, rollouts: &[Rollout]) -> Option<Need> {
    let id = &release.id;
    let is_planned = || rollouts.iter().any(|rollout| rollout.release == *id);
    let (tone, title, next, command) = match release.state {
        ReleaseState::Rejected => (
            Tone::Bad,
            "was rejected",
            "See what the lab or the analysis found; then bring a better one.",
            format!("fleetwarden release show {id}"),
        ),
        ReleaseState::Proven => (
            Tone::Care,
            "waits for a signature",
            "Sign it with the offline key, on the machine that holds it.",
            format!("fleetwarden release sign {id} --keys FOLDER"),
        ),
        // The first release of a product has nothing to replace: the devices were made with it.
        ReleaseState::Signed if release.counter > 1 && !is_planned() => (
            Tone::Care,
            "is signed, and rolls out nowhere",
            "See what a rollout would do.",
            format!("fleetwarden rollout plan {id}"),
        ),
        ReleaseState::Uploaded
        | ReleaseState::Analysed
        | ReleaseState::Built
        | ReleaseState::Signed
        | ReleaseState::Withdrawn => return None,
    };
    Some(Need {
        tone,
        title: format!("Release {id} ({} {}) {title}", release.product, release.version),
        detail: release.reason.clone(),
        href: format!("/releases/{id}"),
        next: next.to_owned(),
        command: Some(command),
    })
}

async fn of_cases(app: &App, now: Timestamp) -> Result<Vec<Need>, Failure> {
    const CRITICAL: &str = "criticality:>standard protected:no";
    let mut needs = Vec::new();
    let open = app.store().cases(&Filter::parse("protected:no", now)?, &PageRequest::largest()).await?;
    let overdue: BTreeSet<_> = open
        .items
        .iter()
        .filter(|case| case.decision.deadline.is_some_and(|deadline| deadline < now))
        .map(|case| &case.device)
        .collect();
    if !overdue.is_empty() {
        needs.push(Need {
            tone: Tone::Bad,
            title: format!("The deadline has passed on {}", count(overdue.len() as u64, "device")),
            detail: "They are exposed longer than their priority allows.".to_owned(),
            href: "/risk".to_owned(),
            next: "Bring the fix to them, or take them off the network.".to_owned(),
            command: Some("fleetwarden device list --filter 'protected:no'".to_owned()),
        });
    }
    let critical = app.store().device_count(&Filter::parse(CRITICAL, now)?).await?;
    if critical > 0 {
        let first = app.store().cases(&Filter::parse(CRITICAL, now)?, &PageRequest::new(1, None)?).await?;
        needs.push(Need {
            tone: Tone::Bad,
            title: format!("{} exposed", critical_devices(critical)),
            detail: first.items.first().map_or_else(String::new, |case| {
                let left = case.decision.deadline.map_or_else(
                    || "without a deadline".to_owned(),
                    |at| format!("due in {}", brief(at.since(now))),
                );
                format!(
                    "Most urgent: {} on {}, {}, {left}.",
                    case.finding.advisory, case.device, case.decision.priority
                )
            }),
            href: href("/devices", CRITICAL),
            next: "Follow the next step that the advisory names.".to_owned(),
            command: Some(format!("fleetwarden device list --filter '{CRITICAL}'")),
        });
    }
    Ok(needs)
}

fn critical_devices(number: u64) -> String {
    format!("{} {}", count(number, "critical device"), if number == 1 { "is" } else { "are" })
}

async fn of_shields(app: &App) -> Result<Option<Need>, Failure> {
    let shields = app.store().shields().await?;
    let mut refused = shields.iter().filter(|shield| shield.state == ShieldState::Refused);
    let Some(first) = refused.next() else { return Ok(None) };
    let number = refused.count().saturating_add(1);
    Ok(Some(Need {
        tone: Tone::Bad,
        title: format!(
            "{} refused",
            if number == 1 { "1 shield was".to_owned() } else { format!("{number} shields were") }
        ),
        detail: format!("{} stands without the protection that was planned for it.", first.device),
        href: "/shields".to_owned(),
        next: "See why the rules were refused.".to_owned(),
        command: Some("fleetwarden shield list".to_owned()),
    }))
}

async fn of_devices(app: &App, now: Timestamp) -> Result<Vec<Need>, Failure> {
    const FAILED: &str = "state:failed,rolled-back";
    let mut needs = Vec::new();
    let failed = app.store().device_count(&Filter::parse(FAILED, now)?).await?;
    if failed > 0 {
        needs.push(Need {
            tone: Tone::Care,
            title: format!("The last update failed on {}", count(failed, "device")),
            detail: "They turned back by themselves, or installed nothing; each names the cause.".to_owned(),
            href: href("/devices", FAILED),
            next: "Read the cause on the device's timeline.".to_owned(),
            command: Some(format!("fleetwarden device list --filter '{FAILED}'")),
        });
    }
    let filter = silent_filter(app, now)?;
    let silent = app.store().device_count(&Filter::parse(&filter, now)?).await?;
    if silent > 0 {
        needs.push(Need {
            tone: Tone::Care,
            title: format!("{} not heard of for {}", count(silent, "device"), app.silence_max()),
            detail: "They go on with what they run; nothing new reaches them.".to_owned(),
            href: href("/devices", &filter),
            next: "Check their power and network.".to_owned(),
            command: Some(format!("fleetwarden device list --filter '{filter}'")),
        });
    }
    Ok(needs)
}

async fn of_alerts(app: &App, now: Timestamp) -> Result<Option<Need>, Failure> {
    let page = app.store().alerts(&Filter::everything(), &PageRequest::default()).await?;
    let fresh = |at: Timestamp| now.since(at) <= ALERTS_FRESH;
    let number = page.items.iter().filter(|alert| fresh(alert.at)).count();
    let Some(newest) = page.items.first().filter(|_| number > 0) else { return Ok(None) };
    let many = if number == page.items.len() && page.next.is_some() { " or more" } else { "" };
    Ok(Some(Need {
        tone: Tone::Care,
        title: format!("{}{many} within {ALERTS_FRESH}", count(number as u64, "alert")),
        detail: format!("{}: {}", newest.device, newest.reason),
        href: "/alerts".to_owned(),
        next: "Look whether the device may do that.".to_owned(),
        command: Some("fleetwarden alert list".to_owned()),
    }))
}
