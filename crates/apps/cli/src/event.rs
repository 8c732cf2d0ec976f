//! `event`: what happens, as it happens.

use clap::{Args, Subcommand};
use serde_json::Value;
use warden_wire::rest::{EventBody, Items};

use crate::client::Reading;
use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

/// Events: what happens in the fleet, with reasons
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Lists events
    #[command(after_help = "Example:\n  fleetwarden event list --limit 20")]
    List(Paging),
    /// Shows events as they happen; Ctrl-C ends it and changes nothing
    #[command(after_help = "Example:\n  fleetwarden event watch\n  fleetwarden event watch --count 1 --json")]
    Watch(WatchArgs),
}

/// How long to watch.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Ends after so many events
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

/// Runs a command.
pub(crate) fn run(command: &EventCommand, session: &mut Session) -> Outcome {
    match command {
        EventCommand::List(paging) => list(paging, session),
        EventCommand::Watch(args) => watch(args, session),
    }
}

/// Makes the table of events.
pub(crate) fn table(events: &[EventBody]) -> Table {
    let mut table = Table::new(["at", "stage", "about", "what", "why"]);
    for event in events {
        table.push([event.at.as_str(), &event.stage, &about(event), &event.what, &event.reason]);
    }
    table
}

fn about(event: &EventBody) -> String {
    let names: Vec<&str> =
        [&event.device, &event.release, &event.rollout].into_iter().filter_map(Option::as_deref).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let events: Items<EventBody> = session.client()?.list("/events", &Vec::new(), paging)?;
    session.output.show(&events, |events| {
        note_more(Page::new().table(table(&events.items), "nothing has happened yet"), events)
    })?;
    Ok(Exit::Done)
}

fn watch(args: &WatchArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    session.output.say(&format!("watching {}; Ctrl-C ends it", client.base()))?;
    let mut seen = 0;
    client.follow("/events/stream", |message: Value| {
        if let Some(missed) = message.get("missed") {
            session.output.say(&format!("{missed} events were missed; `fleetwarden event list` has them"))?;
        }
        let Ok(event) = serde_json::from_value::<EventBody>(message) else { return Ok(Reading::More) };
        session.output.show_line(&event, |event| {
            format!("{}  {:<8} {}: {} ({})", event.at, event.stage, about(event), event.what, event.reason)
        })?;
        seen += 1;
        Ok(if args.count.is_some_and(|count| seen >= count) { Reading::Enough } else { Reading::More })
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::{EventBody, table};
    use crate::output::Page;

    #[test]
    fn an_event_names_what_it_is_about() {
        let event = EventBody {
            at: "2026-11-22T08:00:00Z".to_owned(),
            stage: "rollout".to_owned(),
            device: Some("cam-1".to_owned()),
            release: None,
            rollout: Some("r-1".to_owned()),
            what: "update offered".to_owned(),
            reason: "canary".to_owned(),
        };
        let page = Page::new().table(table(&[event]), "");
        assert!(page.text(crate::output::Style::Plain).contains("cam-1 r-1"));
    }
}
