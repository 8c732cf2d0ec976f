//! `alert`: what the network sensors saw.

use clap::{Args, Subcommand};
use warden_wire::rest::{AlertBody, Items};

use crate::failure::{Exit, Outcome};
use crate::list::{Filtering, Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

/// Alerts: what the network sensors saw that is not usual
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Lists alerts
    #[command(after_help = "Example:\n  fleetwarden alert list --filter 'product:cam-x1' --limit 20")]
    List(ListArgs),
}

/// Which alerts.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filtering: Filtering,
    #[command(flatten)]
    paging: Paging,
}

/// Runs a command.
pub(crate) fn run(command: &AlertCommand, session: &mut Session) -> Outcome {
    match command {
        AlertCommand::List(args) => list(args, session),
    }
}

fn list(args: &ListArgs, session: &mut Session) -> Outcome {
    let alerts: Items<AlertBody> =
        session.client()?.list("/alerts", &args.filtering.query(), &args.paging)?;
    session.output.show(&alerts, |alerts| {
        let mut table = Table::new(["at", "device", "kind", "sensor", "destination", "why"]);
        for alert in &alerts.items {
            table.push([&alert.at, &alert.device, &alert.kind, &alert.sensor, &alert.destination, &alert.reason]);
        }
        let hint = "there are no alerts; `fleetwarden serve --suricata FILE --zeek FILE` says which logs are followed";
        note_more(Page::new().table(table, hint), alerts)
    })?;
    Ok(Exit::Done)
}
