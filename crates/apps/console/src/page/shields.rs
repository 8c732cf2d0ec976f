//! Shields: who is isolated and virtually patched, why, and with which rules.
//!
//! In: the store; the texts of the rules as they were written last. Out: a table and both texts.

use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;
use warden_model::shield::{Shield, ShieldReason, ShieldState};
use warden_model::{ByteCount, Timestamp};

use crate::failure::Failure;
use crate::view::{Section, advisory_link, age, device_link, empty, shell, shield_state};
use crate::{App, clock};

/// The keys under which the rules are kept.
const RULESET: &str = "shield/ruleset";
const RULES: &str = "shield/rules";

/// Most shields in the table.
const ROWS_MAX: usize = 100;

/// Longest text of rules that is shown, in bytes: a page stays below 150 KB, and whoever needs more takes the file.
const RULES_BYTES_MAX: usize = 32 * 1024;

/// Shows the page.
pub(crate) async fn show(State(app): State<App>) -> Result<Markup, Failure> {
    let now = clock::now();
    let mut shields = app.store().shields().await?;
    // What stands or was refused comes before what was lifted.
    shields.sort_by_key(|shield| shield.state == ShieldState::Lifted);
    let ruleset = app.store().setting(RULESET).await?;
    let rules = app.store().setting(RULES).await?;
    let body = html! {
        h1 { "Shields" }
        p.lead { "Devices that run no fix are isolated by a firewall policy, and known exploits are stopped by intrusion-prevention rules." }
        @if shields.is_empty() {
            (empty(
                "No device is shielded.",
                "A shield comes by itself when a product is out of support, or while a fix is on its way. Check that rules can be verified here:",
                "fleetwarden doctor",
            ))
        } @else { (table(&shields, now)) }
        (text("ruleset", "Firewall ruleset (nftables)", "Load it on the gateway in front of the devices: nft -f FILE", ruleset.as_ref()))
        (text("rules", "Intrusion-prevention rules (Suricata)", "Add the file to rule-files in suricata.yaml, and reload the rules.", rules.as_ref()))
    };
    Ok(shell(&app, Section::Shields, "Shields", now, &body))
}

fn because(reason: ShieldReason) -> &'static str {
    match reason {
        ShieldReason::SupportEnded => "its product gets no updates any more",
        ShieldReason::PatchPending => "the fix has not reached it",
        ShieldReason::PatchFailed => "it refused the fix and turned back",
    }
}

fn table(shields: &[Shield], now: Timestamp) -> Markup {
    html! {
        table {
            caption.hidden { "Shields" }
            thead { tr {
                th scope="col" { "Device" } th scope="col" { "State" } th scope="col" { "Since" } th scope="col" { "Because" }
                th scope="col" { "Covers" }
            } }
            tbody {
                @for shield in shields.iter().take(ROWS_MAX) {
                    tr id={ "shield-" (shield.device) } {
                        th scope="row" { (device_link(&shield.device)) }
                        td data-label="State" { (shield_state(shield.state)) }
                        td.nowrap data-label="Since" { (age(now, shield.since)) }
                        td data-label="Because" { (shield.reason) " " span.muted { (because(shield.reason)) } }
                        td data-label="Covers" {
                            @if shield.advisories.is_empty() { span.muted { "no known weakness yet" } }
                            @for advisory in &shield.advisories { (advisory_link(advisory)) " " }
                        }
                    }
                }
            }
        }
        @if shields.len() > ROWS_MAX { p.muted { "The first " (ROWS_MAX) " of " (shields.len()) " shields." } }
    }
}

/// Cuts a text at a line within the limit.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(RULES_BYTES_MAX);
    match text.get(..end) {
        Some(start) if end < text.len() => {
            start.rsplit_once('\n').map_or(start, |(whole_lines, _)| whole_lines)
        }
        Some(_) | None => text,
    }
}

fn text(id: &str, title: &str, use_it: &str, value: Option<&Value>) -> Markup {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let shown = cut(text);
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if text.trim().is_empty() {
                p.muted { "No rules have been written yet." }
            } @else {
                div.row {
                    p.muted { (use_it) }
                    button.copy type="button" data-copy-from={ (id) "-text" } { "Copy" }
                }
                pre id={ (id) "-text" } tabindex="0" role="region" aria-label=(title) { (shown) }
                @if shown.len() < text.len() { p.muted { "The first " (ByteCount(shown.len() as u64)) " of " (ByteCount(text.len() as u64)) "." } }
            }
        }
    }
}
