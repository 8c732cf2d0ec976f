//! `device`: who they are, what they run, what happened to them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use warden_model::DeviceId;
use warden_wire::rest::{CaseBody, DeviceBody, EventBody, Items, RunningBody};

use crate::event;
use crate::failure::{Exit, Outcome};
use crate::list::{Filtering, Paging, note_more};
use crate::output::{Page, Table};
use crate::risk;
use crate::session::Session;

mod change;
mod why;

/// Devices: who they are, what they run, what happened to them
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Lists devices
    #[command(after_help = "Example:\n  fleetwarden device list --filter 'product:cam-x1 seen:>7d'")]
    List(ListArgs),
    /// Shows one device: what it runs, what is known about it, its open cases
    #[command(after_help = "Example:\n  fleetwarden device show cam-0001")]
    Show(OneArgs),
    /// Shows what happened to a device
    #[command(after_help = "Example:\n  fleetwarden device timeline cam-0001 --limit 20")]
    Timeline(TimelineArgs),
    /// Says why a device is not updated: its place in the newest rollout that has it
    #[command(after_help = "Example:\n  fleetwarden device why cam-0001")]
    Why(OneArgs),
    /// Changes what depends on a device, or where it stands
    #[command(
        after_help = "Example:\n  fleetwarden device set cam-0001 --criticality mission-critical --segment lobby"
    )]
    Set(change::SetArgs),
    /// Makes a token with which new devices enrol; it is shown once
    #[command(
        after_help = "Example:\n  fleetwarden device enrol-token --product cam-x1 --hardware cam-x1-r2 --uses 12 --lifetime 1h"
    )]
    EnrolToken(change::TokenArgs),
}

/// Which devices.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filtering: Filtering,
    #[command(flatten)]
    paging: Paging,
}

/// Which device.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    id: DeviceId,
}

/// Which device, and how much of its story.
#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// The device
    #[arg(value_name = "DEVICE")]
    id: DeviceId,
    #[command(flatten)]
    paging: Paging,
}

/// Runs a command.
pub(crate) fn run(command: &DeviceCommand, session: &mut Session) -> Outcome {
    match command {
        DeviceCommand::List(args) => list(args, session),
        DeviceCommand::Show(args) => show(&args.id, session),
        DeviceCommand::Timeline(args) => timeline(args, session),
        DeviceCommand::Why(args) => why::why(&args.id, session),
        DeviceCommand::Set(args) => change::set(args, session),
        DeviceCommand::EnrolToken(args) => change::enrol_token(args, session),
    }
}

fn list(args: &ListArgs, session: &mut Session) -> Outcome {
    let devices: Items<DeviceBody> =
        session.client()?.list("/devices", &args.filtering.query(), &args.paging)?;
    session.output.show(&devices, |devices| {
        let mut table =
            Table::new(["device", "product", "version", "state", "criticality", "segment", "last seen"]);
        for device in &devices.items {
            table.push([
                device.id.as_str(),
                &device.product,
                device.confirmed.as_ref().map_or("-", |running| &running.version),
                &device.state,
                &device.criticality,
                device.segment.as_deref().unwrap_or("-"),
                device.last_seen.as_deref().unwrap_or("never"),
            ]);
        }
        let hint = "no device is like that: `fleetwarden device enrol-token` lets devices in";
        note_more(Page::new().table(table, hint), devices)
    })?;
    Ok(Exit::Done)
}

fn running(running: Option<&RunningBody>) -> String {
    running.map_or("-".to_owned(), |running| {
        let image: String = running.image.chars().take(12).collect();
        format!("{} (image {image})", running.version)
    })
}

/// Describes a device.
fn page(device: &DeviceBody) -> Page {
    Page::new()
        .field("device", &device.id)
        .field("product", &device.product)
        .field("hardware", &device.hardware)
        .field("state", &device.state)
        .field("runs", running(device.confirmed.as_ref()))
        .field("slot", device.slot.as_deref().unwrap_or("-"))
        .field("last booted", running(device.installed.as_ref()))
        .field("criticality", &device.criticality)
        .field("sensitivity", &device.sensitivity)
        .field("segment", device.segment.as_deref().unwrap_or("-"))
        .field("address", device.address.as_deref().unwrap_or("-"))
        .field("enrolled", &device.enrolled_at)
        .field("last seen", device.last_seen.as_deref().unwrap_or("never"))
}

fn show(id: &DeviceId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let device: DeviceBody = client.get(&format!("/devices/{id}"))?;
    let cases: Items<CaseBody> = client.get(&format!("/devices/{id}/cases"))?;
    // Attributes are what the device says of itself; a device that has not said anything has none.
    let attributes: BTreeMap<String, String> = client.get(&format!("/devices/{id}/attributes"))?;
    let all = serde_json::json!({ "device": device, "cases": cases.items, "attributes": attributes });
    session.output.show(&all, |_| {
        let mut said = Table::new(["attribute", "value"]);
        for (name, value) in &attributes {
            said.push([name, value]);
        }
        page(&device).section("cases", risk::table(&cases.items)).section("what it says of itself", said)
    })?;
    Ok(Exit::Done)
}

fn timeline(args: &TimelineArgs, session: &mut Session) -> Outcome {
    let path = format!("/devices/{}/events", args.id);
    let events: Items<EventBody> = session.client()?.list(&path, &Vec::new(), &args.paging)?;
    session.output.show(&events, |events| {
        note_more(Page::new().table(event::table(&events.items), "nothing has happened to it yet"), events)
    })?;
    Ok(Exit::Done)
}
