//! Risk: the advisories that concern the fleet, and how far it has come with each.
//!
//! In: the store. Out: one row an advisory, the most urgent first. Where nothing concerns the fleet, what was compared.

use axum::extract::State;
use maud::{Markup, html};
use warden_assess::{Progress, Protected};
use warden_model::Timestamp;

use crate::failure::Failure;
use crate::progress::{Board, board};
use crate::view::{
    Part, Section, Tone, advisory_link, badge, bar, count, deadline, empty, legend, priority, shell,
};
use crate::{App, clock};

/// Most rows: a person works on the top of the list, and a page stays below 150 KB.
const ROWS_MAX: usize = 100;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let mut board = board(&app, now).await?;
    let found = board.standings.len();
    board.standings.truncate(ROWS_MAX);
    let compared = if found == 0 { Some(compared(&app, board.known).await?) } else { None };
    let body = html! {
        h1 { "Risk" }
        p.lead { "Each advisory that concerns the fleet, from the moment it became known until the last affected device is patched or shielded." }
        @if let Some(compared) = compared { p.muted { (compared) } }
        (standings_table(&board, now))
        @if found > ROWS_MAX { p.muted { "The first " (ROWS_MAX) " of " (found) " advisories." } }
    };
    Ok(shell(&app, Section::Risk, "Risk", now, &body))
}

/// Says what was compared with what: "nothing found" alone could also mean that nobody looked.
async fn compared(app: &App, known: usize) -> Result<String, Failure> {
    let firmware = app.store().firmwares().await?;
    let analysed: Vec<usize> =
        firmware.iter().filter_map(|one| one.components.as_ref().map(Vec::len)).collect();
    Ok(format!(
        "Compared: {known} known advisories with {} in {} of {}.",
        count(analysed.iter().sum::<usize>() as u64, "component"),
        analysed.len(),
        count(firmware.len() as u64, "firmware image"),
    ))
}

/// Returns the parts of a bar of devices: patched, shielded, exposed.
pub(crate) fn parts(protected: &Protected) -> [Part; 3] {
    let exposed = protected.affected.saturating_sub(protected.protected);
    [
        Part::new(protected.patched, "good", "patched"),
        Part::new(protected.shielded, "shield", "shielded"),
        Part::new(exposed, "bad", "exposed"),
    ]
}

/// Draws how long it took, or takes so far.
pub(crate) fn clock_of(protected: &Protected) -> Markup {
    html! {
        @match protected.progress {
            Progress::NobodyAffected => { (badge(Tone::Quiet, "nobody affected")) }
            Progress::Exposed => { (badge(Tone::Bad, "exposed for")) " " span.number.strong { (protected.elapsed) } }
            Progress::Done => { (badge(Tone::Good, "protected in")) " " span.number.strong { (protected.elapsed) } }
        }
    }
}

/// Draws the time to protected of advisories.
pub(crate) fn standings_table(board: &Board, now: Timestamp) -> Markup {
    if board.standings.is_empty() {
        return if board.known == 0 {
            empty(
                "No advisory is known.",
                "Import advisories in OSV format:",
                "fleetwarden advisory import PATH",
            )
        } else {
            empty(
                "No known advisory concerns the fleet.",
                "See all that are known:",
                "fleetwarden advisory list",
            )
        };
    }
    html! {
        table {
            caption.hidden { "Time to protected by advisory" }
            thead { tr {
                th scope="col" { "Advisory" } th scope="col" { "Priority" } th scope="col" { "Deadline" }
                th.number scope="col" { "Affected" } th.wide scope="col" { "Of these" } th scope="col" { "Time to protected" }
            } }
            tbody {
                @for standing in &board.standings {
                    @let protected = &standing.protected;
                    tr {
                        th scope="row" {
                            (advisory_link(&standing.advisory.id))
                            span.summary { (standing.advisory.summary) }
                        }
                        td data-label="Priority" {
                            @if let Some(open) = standing.priority { (priority(open)) } @else { span.muted { "closed" } }
                        }
                        td data-label="Deadline" {
                            @if standing.is_open() { (deadline(now, standing.deadline)) } @else { span.muted { "–" } }
                        }
                        td.number data-label="Affected" { (protected.affected) }
                        td.wide data-label="Of these" { (bar(&parts(protected))) (legend(&parts(protected))) }
                        td.nowrap data-label="Time to protected" { (clock_of(protected)) }
                    }
                }
            }
        }
    }
}
