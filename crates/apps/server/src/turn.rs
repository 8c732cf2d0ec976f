//! The loop, on one screen: here the stages meet, and nowhere else.
//!
//! In: the state in the store, and `now`. Out: the state after; each stage reads what it needs, lets its pure function
//! decide, and commits whole values in one transaction. Refuses to let one stage's failure stop the others: a turn goes
//! on, and the next one tries again.
//!
//! Two workers turn: [`prepare`] makes releases fit to roll out (slow, off the fleet's way), [`turn`] moves the fleet.

mod analyse;
mod assess;
mod delta;
mod feedback;
mod index;
mod lab;
mod rollout;
mod shield;
mod watch;
mod watch_form;
mod window;

pub mod reports;

use std::future::Future;

use anyhow::{Error, Result};
use tracing::{debug, error};
use warden_model::event::Event;
use warden_model::release::ReleaseState;
use warden_model::{ReleaseId, Stage};
use warden_store::{StoreError, Write};

use crate::clock::now;
use crate::context::Shared;

#[cfg(test)]
pub(crate) use index::run as make_indexes;
#[cfg(test)]
pub(crate) use rollout::run as run_rollouts;

pub(crate) use feedback::{Channel, Taken, take_feedback};
pub(crate) use index::{image_of_part, index_of};
pub(crate) use shield::{RULES, RULESET};
pub use watch::Memory;
pub(crate) use window::window_of;

/// Prepares releases: what is inside, the patches that lead there, the proof on virtual devices.
pub async fn prepare(context: &Shared) {
    stage(Stage::Analyse, analyse::run(context, now())).await;
    stage(Stage::Delta, delta::run(context, now())).await;
    stage(Stage::Delta, index::run(context, now())).await;
    stage(Stage::Lab, lab::run(context, now())).await;
}

/// Turns the loop once: what the sensors saw, who is weak, what goes out, who must be shielded.
pub async fn turn(context: &Shared, memory: &mut Memory) {
    stage(Stage::Watch, watch::run(context, memory, now())).await;
    stage(Stage::Assess, assess::run(context, now())).await;
    stage(Stage::Rollout, rollout::run(context, now())).await;
    stage(Stage::Shield, shield::run(context, now())).await;
    // A shield or a patch that came to be just now protects from now on, not from the next turn.
    stage(Stage::Assess, assess::run(context, now())).await;
}

async fn stage(stage: Stage, work: impl Future<Output = Result<()>>) {
    match work.await {
        Ok(()) => debug!(%stage, "stage done"),
        // The state is whole: the next turn tries again what this one could not do.
        Err(failure) => error!(%stage, error = %format!("{failure:#}"), "a stage of the loop failed"),
    }
}

/// What failed in a stage that goes on with the rest: one broken release or rollout holds no other one up.
#[derive(Default)]
struct Failures {
    first: Option<Error>,
}

impl Failures {
    /// Notes how one piece of work ended.
    fn note(&mut self, outcome: Result<()>) {
        if let Err(failure) = outcome {
            if self.first.is_some() {
                error!(error = %format!("{failure:#}"), "a part of a stage failed");
            } else {
                self.first = Some(failure);
            }
        }
    }

    /// Ends the stage with the first failure.
    fn end(self) -> Result<()> {
        self.first.map_or(Ok(()), Err)
    }
}

/// Moves a release from one state to the next, with what belongs to it, in one transaction; does nothing when the release
/// is in another state by now (a person may have withdrawn it).
async fn advance(
    context: &Shared,
    release: &ReleaseId,
    (from, to): (ReleaseState, ReleaseState),
    event: Event,
    mut writes: Vec<Write>,
) -> Result<(), StoreError> {
    let _deciding = context.deciding.lock().await;
    let Some(mut present) = context.store.release(release).await? else { return Ok(()) };
    if present.state != from {
        return Ok(());
    }
    present.state = to;
    present.reason.clone_from(&event.reason);
    writes.extend([Write::Release(present), Write::Event(event)]);
    context.store.commit(&writes).await
}

/// Lists the releases in a state.
async fn releases_in(
    context: &Shared,
    state: ReleaseState,
) -> Result<Vec<warden_model::release::Release>, StoreError> {
    let mut releases = context.store.releases().await?;
    releases.retain(|release| release.state == state);
    Ok(releases)
}

/// Makes the event of a release.
fn release_event(
    at: warden_model::Timestamp,
    stage: Stage,
    release: &ReleaseId,
    what: &str,
    reason: String,
) -> Event {
    Event {
        at,
        stage,
        device: None,
        release: Some(release.clone()),
        rollout: None,
        what: what.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
