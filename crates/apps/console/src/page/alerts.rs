//! Alerts: what devices did that their product never did.
//!
//! In: a filter and a page, both in the address. Out: a table, the newest first. Refuses: filters that it does not
//! understand.

use axum::extract::{Query, State};
use maud::{Markup, html};
use warden_model::Timestamp;
use warden_model::alert::{Alert, AlertKind};
use warden_wire::filter::Filter;
use warden_wire::page::{Page, PageRequest};

use super::ListQuery;
use crate::failure::Failure;
use crate::view::{Section, Tone, badge, device_link, empty, pager, search_box, shell, stamp};
use crate::{App, clock};

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Markup, Failure> {
    let now = clock::now();
    let text = query.filter.unwrap_or_default();
    let list = match Filter::parse(&text, now) {
        Ok(filter) => {
            let page = PageRequest::parse(None, query.after.as_deref())?;
            let alerts = app.store().alerts(&filter, &page).await?;
            html! {
                (search_box("/alerts", &text, None))
                (table(&alerts, &text, now))
                (pager("/alerts", &text, query.after.as_deref(), alerts.next.as_ref()))
            }
        }
        Err(error) => html! { (search_box("/alerts", &text, Some(&error.to_string()))) },
    };
    Ok(shell(&app, Section::Alerts, "Alerts", now, &html! { h1 { "Alerts" } (list) }))
}

fn kind(kind: AlertKind) -> Markup {
    match kind {
        AlertKind::NewDestination => badge(Tone::Care, kind),
        AlertKind::IntrusionRule => badge(Tone::Bad, kind),
    }
}

fn table(alerts: &Page<Alert>, text: &str, now: Timestamp) -> Markup {
    if alerts.items.is_empty() {
        return if text.is_empty() {
            empty(
                "No alert has come.",
                "Alerts need a Suricata or Zeek log to follow. Check that the server reads one:",
                "fleetwarden doctor",
            )
        } else {
            empty("No alert fits this filter.", "Take a term away, or list all:", "fleetwarden alert list")
        };
    }
    html! {
        table {
            caption.hidden { "Alerts, the newest first" }
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Device" } th scope="col" { "Kind" } th scope="col" { "Destination" }
                th scope="col" { "Why" }
            } }
            tbody {
                @for alert in &alerts.items {
                    tr {
                        td.first data-label="When" { (stamp(now, alert.at)) }
                        th scope="row" { (device_link(&alert.device)) }
                        td data-label="Kind" { (kind(alert.kind)) br; span.muted { "by " (alert.sensor) } }
                        td data-label="Destination" { code { (alert.destination) } }
                        td.reason data-label="Why" { (alert.reason) }
                    }
                }
            }
        }
    }
}
