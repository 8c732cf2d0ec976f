//! Rollouts: which releases are on their way, and how far they have come.
//!
//! In: the store. Out: one row a rollout with a bar.

use axum::extract::State;
use maud::{Markup, html};

use super::now::member_parts;
use crate::failure::Failure;
use crate::view::{Section, age, bar, empty, legend, release_link, rollout_link, rollout_state, shell};
use crate::{App, clock};

/// Most rows: each costs a query for its devices.
const ROWS_MAX: usize = 50;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let all = app.store().rollouts().await?;
    let found = all.len();
    let mut rows = Vec::new();
    for rollout in all.into_iter().take(ROWS_MAX) {
        let members = app.store().members(&rollout.id).await?;
        let parts = member_parts(members.iter().map(|member| member.state));
        rows.push((rollout, parts, members.len()));
    }
    let body = html! {
        h1 { "Rollouts" }
        @if rows.is_empty() {
            (empty("No rollout has been made yet.", "See what a rollout of a signed release would do; then make it:",
                "fleetwarden rollout plan RELEASE"))
        } @else {
            table {
                caption.hidden { "Rollouts, the newest first" }
                thead { tr {
                    th scope="col" { "Rollout" } th scope="col" { "State" } th scope="col" { "Release" } th scope="col" { "Phase" }
                    th.number scope="col" { "Devices" } th.wide scope="col" { "Of these" }
                    th scope="col" { "Made" } th scope="col" { "Why" }
                } }
                tbody {
                    @for (rollout, parts, devices) in &rows {
                        tr {
                            th scope="row" { (rollout_link(&rollout.id)) }
                            td data-label="State" { (rollout_state(rollout.state)) }
                            td data-label="Release" { (release_link(&rollout.release)) }
                            td.number data-label="Phase" { (rollout.phase.saturating_add(1)) " of " (rollout.phases.len()) }
                            td.number data-label="Devices" { (devices) }
                            td.wide data-label="Of these" { (bar(parts)) (legend(parts)) }
                            td.nowrap data-label="Made" { (age(now, rollout.created_at)) }
                            td.reason data-label="Why" { (rollout.reason) }
                        }
                    }
                }
            }
            @if found > ROWS_MAX { p.muted { "The newest " (ROWS_MAX) " of " (found) " rollouts." } }
        }
    };
    Ok(shell(&app, Section::Rollouts, "Rollouts", now, &body))
}
