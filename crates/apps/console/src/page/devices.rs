//! The fleet: who is there, what they run, what is wrong with whom.
//!
//! In: a filter and a page, both in the address. Out: a table with badges, and links to parts of the fleet. Refuses:
//! filters that it does not understand; it says which word, and what would be understood.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use maud::{Markup, html};
use warden_model::case::Priority;
use warden_model::device::{Device, UpdateState};
use warden_model::product::{Product, Support};
use warden_model::shield::ShieldState;
use warden_model::{ProductId, Timestamp};
use warden_wire::filter::Filter;
use warden_wire::page::{Page, PageRequest};

use super::ListQuery;
use crate::failure::Failure;
use crate::view::{
    Section, Tone, age, badge, count, criticality, device_link, empty, href, pager, search_box, shell,
};
use crate::{App, clock};

/// Most products in the list of links; with more, the search box is the better tool.
const PRODUCTS_SHOWN_MAX: usize = 20;

/// What is said of a device beside its row.
struct Marks {
    exposed: Option<Priority>,
    shield: Option<ShieldState>,
}

/// Shows the page.
pub(crate) async fn show(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Markup, Failure> {
    let now = clock::now();
    let text = query.filter.unwrap_or_default();
    let products = app.store().products().await?;
    let facets = facets(&app, &products, &text, now).await?;
    let list = match Filter::parse(&text, now) {
        Ok(filter) => {
            let page = PageRequest::parse(None, query.after.as_deref())?;
            let devices = app.store().devices(&filter, &page).await?;
            let total = app.store().device_count(&filter).await?;
            let products: BTreeMap<&ProductId, &Product> =
                products.iter().map(|one| (&one.id, one)).collect();
            html! {
                (search_box("/devices", &text, None))
                p.muted role="status" { (count(total, "device")) @if !text.is_empty() { " for this filter" } }
                (table(&app, &devices, &products, &text, now).await?)
                (pager("/devices", &text, query.after.as_deref(), devices.next.as_ref()))
            }
        }
        Err(error) => html! { (search_box("/devices", &text, Some(&error.to_string()))) },
    };
    let body = html! { h1 { "Devices" } (facets) (list) };
    Ok(shell(&app, Section::Devices, "Devices", now, &body))
}

async fn facets(app: &App, products: &[Product], text: &str, now: Timestamp) -> Result<Markup, Failure> {
    let silent = Filter::parse(&format!("seen:>{}s", app.silence_max().0), now)?.to_string();
    let mut links = vec![
        ("all".to_owned(), String::new()),
        ("exposed".to_owned(), "protected:no".to_owned()),
        ("critical".to_owned(), "criticality:>standard".to_owned()),
        ("updating".to_owned(), "state:updating".to_owned()),
        ("failed".to_owned(), "state:failed,rolled-back".to_owned()),
        ("shielded".to_owned(), "shielded:yes".to_owned()),
        ("silent".to_owned(), silent),
    ];
    links.extend(
        products
            .iter()
            .take(PRODUCTS_SHOWN_MAX)
            .map(|one| (one.id.to_string(), format!("product:{}", one.id))),
    );
    let mut counted = Vec::new();
    for (word, filter) in links {
        let number = app.store().device_count(&Filter::parse(&filter, now)?).await?;
        counted.push((word, filter, number));
    }
    Ok(html! {
        nav.facets aria-label="Parts of the fleet" {
            ul {
                @for (word, filter, number) in &counted {
                    li { a href=(href("/devices", filter)) aria-current=[(filter == text).then_some("true")] {
                        (word) " " span.number { (number) }
                    } }
                }
            }
        }
    })
}

async fn marks(app: &App, device: &Device) -> Result<Marks, Failure> {
    let cases = app.store().cases_of_device(&device.id).await?;
    let open = cases.iter().filter(|case| case.protected.is_none());
    let shield = app.store().shield_of(&device.id).await?.map(|shield| shield.state);
    Ok(Marks { exposed: open.map(|case| case.decision.priority).min(), shield })
}

/// Draws what is special about a device, in words.
pub(crate) fn badges(
    device: &Device,
    product: Option<&Product>,
    exposed: Option<Priority>,
    shield: Option<ShieldState>,
    now: Timestamp,
) -> Markup {
    let shield_badge = match shield {
        Some(ShieldState::Verified) => Some((Tone::Good, "shielded")),
        Some(ShieldState::Refused) => Some((Tone::Bad, "shield refused")),
        Some(ShieldState::Planned) => Some((Tone::Busy, "shield planned")),
        Some(ShieldState::Lifted) | None => None,
    };
    let state_badge = match device.state {
        UpdateState::Updating => Some((Tone::Busy, "update pending")),
        UpdateState::RolledBack => Some((Tone::Care, "rolled back")),
        UpdateState::Failed => Some((Tone::Bad, "update failed")),
        UpdateState::Enrolled => Some((Tone::Quiet, "no report yet")),
        UpdateState::Idle => None,
    };
    html! {
        @if let Some(priority) = exposed {
            (badge(if priority == Priority::Immediate { Tone::Bad } else { Tone::Care }, format!("exposed: {priority}")))
        }
        @if let Some((tone, word)) = shield_badge { (badge(tone, word)) }
        @if product.is_some_and(|product| product.support(now) == Support::Ended) {
            (badge(Tone::Care, "end of support"))
        }
        @if let Some((tone, word)) = state_badge { (badge(tone, word)) }
    }
}

/// Draws when a device was last heard of, with a word for silence.
pub(crate) fn seen(app: &App, device: &Device, now: Timestamp) -> Markup {
    html! {
        @match device.last_seen {
            Some(at) if at >= app.online_since(now) => { (badge(Tone::Good, "online")) " " span.muted { (age(now, at)) } }
            Some(at) => { (badge(Tone::Care, "silent")) " " span.muted { (age(now, at)) } }
            None => { (badge(Tone::Quiet, "never heard of")) }
        }
    }
}

async fn table(
    app: &App,
    devices: &Page<Device>,
    products: &BTreeMap<&ProductId, &Product>,
    text: &str,
    now: Timestamp,
) -> Result<Markup, Failure> {
    if devices.items.is_empty() {
        return Ok(if text.is_empty() {
            empty(
                "No device has enrolled yet.",
                "Make a one-time token, and start the agent with it:",
                "fleetwarden device enrol-token --product PRODUCT --hardware BOARD",
            )
        } else {
            empty("No device fits this filter.", "Take a term away, or list all:", "fleetwarden device list")
        });
    }
    let mut rows = Vec::new();
    for device in &devices.items {
        rows.push((device, marks(app, device).await?));
    }
    Ok(html! {
        table {
            caption.hidden { "Devices" }
            thead { tr {
                th scope="col" { "Device" } th scope="col" { "Product" } th scope="col" { "Confirmed" }
                th scope="col" { "Criticality" } th scope="col" { "Segment" } th scope="col" { "Heard of" }
                th scope="col" { "Notes" }
            } }
            tbody {
                @for (device, marks) in &rows {
                    tr {
                        th scope="row" { (device_link(&device.id)) }
                        td data-label="Product" { (device.product) }
                        td.version data-label="Confirmed" {
                            @if let Some(running) = &device.confirmed { (running.version) } @else { span.muted { "nothing" } }
                        }
                        td.nowrap data-label="Criticality" { (criticality(device.criticality)) }
                        td data-label="Segment" { @if let Some(segment) = &device.segment { (segment) } @else { span.muted { "none" } } }
                        td.nowrap data-label="Heard of" { (seen(app, device, now)) }
                        td.badges data-label="Notes" {
                            (badges(device, products.get(&device.product).copied(), marks.exposed, marks.shield, now))
                        }
                    }
                }
            }
        }
    })
}
