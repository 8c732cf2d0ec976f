//! `advisory`: what the world says is weak, and how far the fleet is protected against it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use warden_model::{AdvisoryId, Seconds};
use warden_wire::rest::{AdvisoryBody, CaseBody, Items};

use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::risk;
use crate::session::Session;

mod import;

/// Most cases that `show` fetches; `risk --filter cve:ID` has all of them.
const CASES_MAX: u32 = 500;

/// Advisories: what the world says is weak
#[derive(Debug, Subcommand)]
pub(crate) enum AdvisoryCommand {
    /// Imports advisories in OSV form; exit code 6 when a file was refused
    #[command(after_help = "Example:\n  fleetwarden advisory import CVE-2022-48174.json osv/Debian")]
    Import(ImportArgs),
    /// Lists advisories, the newest first
    #[command(after_help = "Example:\n  fleetwarden advisory list --limit 20")]
    List(Paging),
    /// Shows one advisory: time to protected, and each device that it concerns
    #[command(after_help = "Example:\n  fleetwarden advisory show CVE-2022-48174")]
    Show(OneArgs),
}

/// What to import.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files, or folders with `.json` and `.jsonl` files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Which advisory.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The advisory, by its id or an alias
    #[arg(value_name = "ADVISORY")]
    id: AdvisoryId,
}

/// Runs a command.
pub(crate) fn run(command: &AdvisoryCommand, session: &mut Session) -> Outcome {
    match command {
        AdvisoryCommand::Import(args) => import::import(&args.paths, session),
        AdvisoryCommand::List(paging) => list(paging, session),
        AdvisoryCommand::Show(args) => show(&args.id, session),
    }
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let advisories: Items<AdvisoryBody> = session.client()?.list("/advisories", &Vec::new(), paging)?;
    session.output.show(&advisories, |advisories| {
        let mut table = Table::new(["advisory", "known since", "exploitation", "withdrawn", "summary"]);
        for advisory in &advisories.items {
            let withdrawn = advisory.withdrawn.as_deref().unwrap_or("-");
            table.push([
                &advisory.id,
                &advisory.known_at,
                &advisory.exploitation,
                withdrawn,
                &advisory.summary,
            ]);
        }
        let hint = "no advisories are known: `fleetwarden advisory import PATH` brings some";
        note_more(Page::new().table(table, hint), advisories)
    })?;
    Ok(Exit::Done)
}

fn show(id: &AdvisoryId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let advisory: AdvisoryBody = client.get(&format!("/advisories/{id}"))?;
    let query = vec![("filter", format!("cve:\"{}\"", advisory.id))];
    let cases: Items<CaseBody> = client.list("/cases", &query, &Paging { limit: CASES_MAX, after: None })?;
    let all = serde_json::json!({ "advisory": advisory, "cases": cases.items });
    session.output.show(&all, |_| page(&advisory).section("cases", risk::table(&cases.items)))?;
    Ok(Exit::Done)
}

fn page(advisory: &AdvisoryBody) -> Page {
    let aliases = if advisory.aliases.is_empty() { "-".to_owned() } else { advisory.aliases.join(", ") };
    let page = Page::new()
        .field("advisory", &advisory.id)
        .field("also", aliases)
        .field("summary", &advisory.summary)
        .field("published", &advisory.published)
        .field("known since", &advisory.known_at)
        .optional("withdrawn", advisory.withdrawn.as_deref())
        .field("CVSS", advisory.cvss.as_deref().unwrap_or("-"))
        .field("exploitation", &advisory.exploitation);
    let Some(protected) = &advisory.protected else { return page };
    let elapsed = Seconds(protected.elapsed_seconds);
    let told = match protected.state.as_str() {
        "done" => format!(
            "{elapsed}: all {} devices ({} patched, {} shielded)",
            protected.affected, protected.patched, protected.shielded
        ),
        "nobody-affected" => "no device has it".to_owned(),
        _ => format!(
            "open since {elapsed}: {} of {} devices ({} patched, {} shielded)",
            protected.protected, protected.affected, protected.patched, protected.shielded
        ),
    };
    page.field("time to protected", told)
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::output::Style;
    use warden_wire::rest::{AdvisoryBody, ProtectedBody};

    #[test]
    fn the_time_to_protected_is_told_in_words() {
        let check = |state: &str, protected: u64, expected: &str| {
            let advisory = AdvisoryBody {
                id: "CVE-1".to_owned(),
                aliases: Vec::new(),
                summary: "bad".to_owned(),
                published: "2026-11-20T00:00:00Z".to_owned(),
                withdrawn: None,
                cvss: None,
                exploitation: "none".to_owned(),
                known_at: "2026-11-22T00:00:00Z".to_owned(),
                protected: Some(ProtectedBody {
                    affected: 12,
                    protected,
                    patched: 9,
                    shielded: protected - 9,
                    elapsed_seconds: 75,
                    state: state.to_owned(),
                }),
            };
            let text = page(&advisory).text(Style::Plain);
            assert!(text.contains(expected), "{text}");
        };
        check("done", 12, "1 min 15 s: all 12 devices (9 patched, 3 shielded)");
        check("open", 10, "open since 1 min 15 s: 10 of 12 devices (9 patched, 1 shielded)");
        check("nobody-affected", 9, "no device has it");
    }
}
