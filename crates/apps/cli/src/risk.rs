//! `risk`: the open cases, ranked.

use clap::Args;
use warden_wire::rest::{CaseBody, Items};

use crate::failure::{Exit, Outcome};
use crate::list::{Filtering, Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

/// Lists cases, the most urgent first: which weakness, on which device, until when, why
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fleetwarden risk --filter 'priority:immediate protected:no'")]
pub(crate) struct RiskArgs {
    #[command(flatten)]
    filtering: Filtering,
    #[command(flatten)]
    paging: Paging,
}

/// Runs the command.
pub(crate) fn run(args: &RiskArgs, session: &mut Session) -> Outcome {
    let cases: Items<CaseBody> = session.client()?.list("/cases", &args.filtering.query(), &args.paging)?;
    session.output.show(&cases, |cases| {
        let hint = "no case is like that; `fleetwarden doctor` says whether advisories and firmware are known at all";
        note_more(Page::new().table(table(&cases.items), hint), cases)
    })?;
    Ok(Exit::Done)
}

/// Makes the table of cases.
pub(crate) fn table(cases: &[CaseBody]) -> Table {
    let mut table =
        Table::new(["priority", "device", "advisory", "component", "fixed in", "until", "protected", "why"]);
    for case in cases {
        table.push([
            case.priority.as_str(),
            &case.device,
            &case.advisory,
            &case.component,
            case.fixed_in.as_deref().unwrap_or("no fix known"),
            case.deadline.as_deref().unwrap_or("-"),
            case.protected_by.as_deref().unwrap_or("no"),
            &case.reason,
        ]);
    }
    table
}
