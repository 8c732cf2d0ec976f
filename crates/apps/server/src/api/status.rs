//! Where the fleet stands, in numbers, and what needs a person.

use axum::Json;
use axum::extract::State;
use warden_model::case::Priority;
use warden_model::device::UpdateState;
use warden_model::release::ReleaseState;
use warden_model::rollout::RolloutState;
use warden_model::shield::ShieldState;
use warden_model::{Seconds, Timestamp};
use warden_store::{Counts, SavingsOf, StoreError};
use warden_wire::rest::StatusBody;

use super::patches::{savings, unsigned};
use crate::clock::now;
use crate::context::Shared;
use crate::problem::Answer;

/// How long before the targets metadata expires a person is asked to sign it anew: two weeks hold a holiday.
const SIGN_AGAIN_BEFORE: Seconds = Seconds::days(14);

/// Tells where the fleet stands and what needs a person.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = StatusBody)))]
pub(super) async fn get(State(context): State<Shared>) -> Answer<Json<StatusBody>> {
    let now = now();
    // A device that missed three polls is not there.
    let silent_after = context.config.poll.0.saturating_mul(3);
    let since =
        Timestamp(now.0.saturating_sub(i64::try_from(silent_after.saturating_mul(1000)).unwrap_or(i64::MAX)));
    let counts = context.store.counts(since).await?;
    let attention = attention(&context, &counts, now).await?;
    Ok(Json(StatusBody {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        devices: counts.devices,
        online: counts.online,
        updating: in_state(&counts, UpdateState::Updating),
        exposed: counts.exposed,
        shielded: counts.shielded,
        advisories: context.store.advisory_count().await?,
        attention,
        savings: savings(&context.store.savings(&SavingsOf::Fleet).await?),
    }))
}

fn in_state(counts: &Counts, state: UpdateState) -> u64 {
    counts.by_state.get(&state).copied().unwrap_or(0)
}

fn devices(count: u64, verb_one: &str, verb_many: &str) -> String {
    if count == 1 { format!("1 device {verb_one}") } else { format!("{count} devices {verb_many}") }
}

/// Lists what needs a person, the most pressing first.
async fn attention(context: &Shared, counts: &Counts, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut sentences = Vec::new();
    if let Some(open @ 1..) = counts.open_cases.get(&Priority::Immediate).copied() {
        sentences
            .push(format!("Immediate cases on exposed devices: {open}; close each of them within 72 h."));
    }
    for rollout in context.store.rollouts().await? {
        match rollout.state {
            RolloutState::Halted => sentences.push(format!(
                "Rollout {} halted; resume it or roll it back. {}",
                rollout.id, rollout.reason
            )),
            RolloutState::Paused => {
                sentences.push(format!(
                    "Rollout {} is paused; resume it or roll it back. {}",
                    rollout.id, rollout.reason
                ));
            }
            RolloutState::Draft => sentences.push(format!("Rollout {} is a draft; start it.", rollout.id)),
            RolloutState::Running
            | RolloutState::RollingBack
            | RolloutState::RolledBack
            | RolloutState::Finished => {}
        }
    }
    sentences.extend(releases(context).await?);
    for (release, patches, count) in unsigned(context).await? {
        let (patches, who) = (patches.len(), devices(count, "loads", "load"));
        sentences.push(format!(
            "Release {} has patches that nobody has signed: {patches}; {who} the full image until you sign again.",
            release.id
        ));
    }
    let turned_back = in_state(counts, UpdateState::RolledBack);
    if turned_back > 0 {
        let who = devices(turned_back, "has", "have");
        sentences
            .push(format!("{who} turned back from the last update; the timeline of each tells the cause."));
    }
    let failed = in_state(counts, UpdateState::Failed);
    if failed > 0 {
        let who = devices(failed, "has", "have");
        sentences.push(format!("{who} not installed the last update; the timeline of each tells the cause."));
    }
    let shields = context.store.shields().await?;
    let refused = shields.iter().filter(|shield| shield.state == ShieldState::Refused);
    sentences.extend(refused.map(|shield| {
        format!(
            "The shield of {} was refused by nft; its events say why, and the device is exposed.",
            shield.device
        )
    }));
    if let Some(listing) = context.repository.listing()
        && listing.expires <= now.plus(SIGN_AGAIN_BEFORE)
    {
        sentences.push(format!("The targets metadata expires at {}; sign it anew.", listing.expires));
    }
    Ok(sentences)
}

async fn releases(context: &Shared) -> Result<Vec<String>, StoreError> {
    let mut sentences = Vec::new();
    for release in context.store.releases().await? {
        match release.state {
            ReleaseState::Proven => {
                sentences.push(format!("Release {} is proven; sign it with the offline key.", release.id));
            }
            ReleaseState::Rejected => sentences.push(format!(
                "Release {} was rejected; withdraw it or upload another. {}",
                release.id, release.reason
            )),
            ReleaseState::Built if context.config.agent_binary.is_none() => sentences.push(format!(
                "Release {} cannot be proven: the server was started without an agent binary for the lab.",
                release.id
            )),
            ReleaseState::Uploaded
            | ReleaseState::Analysed
            | ReleaseState::Built
            | ReleaseState::Signed
            | ReleaseState::Withdrawn => {}
        }
    }
    Ok(sentences)
}
