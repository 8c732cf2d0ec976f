//! `shield`: protection for devices that run no fix.

use clap::Subcommand;
use warden_model::ByteCount;
use warden_wire::rest::{Items, ShieldBody};

use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Form, Page, Table};
use crate::session::Session;

/// Largest rule file that is read: 100,000 devices at 500 bytes each.
const RULES_BYTES_MAX: ByteCount = ByteCount::mib(64);

/// Shields: protection for devices that run no fix
#[derive(Debug, Subcommand)]
pub(crate) enum ShieldCommand {
    /// Lists shields
    #[command(after_help = "Example:\n  fleetwarden shield list")]
    List(Paging),
    /// Prints the nftables ruleset of all shields, ready for `nft -f`
    #[command(after_help = "Example:\n  fleetwarden shield ruleset > fleetwarden.nft")]
    Ruleset,
    /// Prints the virtual patches of all shields as rules for Suricata
    #[command(after_help = "Example:\n  fleetwarden shield rules > fleetwarden.rules")]
    Rules,
}

/// Runs a command.
pub(crate) fn run(command: &ShieldCommand, session: &mut Session) -> Outcome {
    match command {
        ShieldCommand::List(paging) => list(paging, session),
        ShieldCommand::Ruleset => text("/shields/ruleset", "ruleset", session),
        ShieldCommand::Rules => text("/shields/rules", "rules", session),
    }
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let shields: Items<ShieldBody> = session.client()?.list("/shields", &Vec::new(), paging)?;
    session.output.show(&shields, |shields| {
        let mut table = Table::new(["shield", "device", "state", "since", "reason", "covers"]);
        for shield in &shields.items {
            let covers = shield.advisories.join(", ");
            table.push([&shield.id, &shield.device, &shield.state, &shield.since, &shield.reason, &covers]);
        }
        note_more(Page::new().table(table, "there are no shields: no device needs one"), shields)
    })?;
    Ok(Exit::Done)
}

fn text(path: &str, name: &str, session: &mut Session) -> Outcome {
    let bytes = session.client()?.bytes(path, RULES_BYTES_MAX)?;
    match session.output.form() {
        Form::Human => session.output.write_bytes(&bytes)?,
        Form::Json => {
            let text = String::from_utf8_lossy(&bytes);
            session.output.show(&serde_json::json!({ name: text }), |_| Page::new())?;
        }
    }
    Ok(Exit::Done)
}
