//! Releases: what is on its way to devices, and how far it has come.
//!
//! In: the store. Out: one row a release with its steps.

use axum::extract::State;
use maud::{Markup, html};
use warden_model::release::ReleaseState;

use crate::failure::Failure;
use crate::view::{Section, age, empty, release_link, release_state, shell};
use crate::{App, clock};

/// Most rows: two years of weekly releases of a product.
const ROWS_MAX: usize = 100;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let releases = app.store().releases().await?;
    let body = html! {
        h1 { "Releases" }
        @if releases.is_empty() {
            (empty(
                "No release is here yet.",
                "Upload an image; it is analysed, and patches and proof follow by themselves:",
                "fleetwarden release upload IMAGE --product PRODUCT --version VERSION",
            ))
        } @else {
            table {
                caption.hidden { "Releases, the newest first" }
                thead { tr {
                    th scope="col" { "Release" } th scope="col" { "Product" } th scope="col" { "Version" } th scope="col" { "State" }
                    th scope="col" { "Steps" } th scope="col" { "Came" } th scope="col" { "Why" }
                } }
                tbody {
                    @for release in releases.iter().take(ROWS_MAX) {
                        tr {
                            th scope="row" { (release_link(&release.id)) }
                            td data-label="Product" { (release.product) }
                            td.version data-label="Version" { (release.version) }
                            td data-label="State" { (release_state(release.state)) }
                            td data-label="Steps" { (dots(release.state)) }
                            td.nowrap data-label="Came" { (age(now, release.created_at)) }
                            td.reason data-label="Why" { (release.reason) }
                        }
                    }
                }
            }
            @if releases.len() > ROWS_MAX { p.muted { "The newest " (ROWS_MAX) " of " (releases.len()) " releases." } }
        }
    };
    Ok(shell(&app, Section::Releases, "Releases", now, &body))
}

/// The steps of a release that goes well, in their order.
pub(crate) const STEPS: [ReleaseState; 5] = [
    ReleaseState::Uploaded,
    ReleaseState::Analysed,
    ReleaseState::Built,
    ReleaseState::Proven,
    ReleaseState::Signed,
];

/// Returns how many steps a release has behind it; none that was taken back says where it was.
pub(crate) fn steps_done(state: ReleaseState) -> usize {
    STEPS.iter().position(|step| *step == state).map_or(0, |place| place.saturating_add(1))
}

fn dots(state: ReleaseState) -> Markup {
    let done = steps_done(state);
    html! {
        @if done == 0 { span.muted { "ended" } } @else {
            span.dots role="img" aria-label={ "step " (done) " of " (STEPS.len()) } {
                @for place in 0..STEPS.len() { span class=(if place < done { "on" } else { "off" }) {} }
            }
            " " span.muted.number { (done) "/" (STEPS.len()) }
        }
    }
}
