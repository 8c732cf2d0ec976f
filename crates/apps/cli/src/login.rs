//! `login` and `status`: the way into the console, and where the fleet stands.

use clap::Args;
use warden_wire::rest::{LoginLink, StatusBody};

use crate::failure::{Exit, Outcome};
use crate::output::{Page, Table};
use crate::session::Session;

/// Prints a link that logs one browser into the console, once
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fleetwarden login --data-dir fleet\n  fleetwarden login --open no")]
pub(crate) struct LoginArgs {
    /// Whether to open the link in a browser
    #[arg(long, default_value = "no", value_parser = crate::cli::one_of(["yes", "no"]))]
    open: String,
}

/// Shows where the fleet stands, in numbers, and what needs a person (exit code 10)
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fleetwarden status --json")]
pub(crate) struct StatusArgs {}

/// Runs `login`.
pub(crate) fn login(args: &LoginArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let mut link: LoginLink = client.post("/login-links", &serde_json::json!({}))?;
    if link.url.starts_with('/') {
        link.url = format!("{}{}", client.base(), link.url);
    }
    session.output.show(&link, |link| {
        Page::new().line(&link.url).note(format!("good for one browser, until {}", link.expires))
    })?;
    if args.open == "yes" {
        open_browser(&link.url, session)?;
    }
    Ok(Exit::Done)
}

fn open_browser(url: &str, session: &mut Session) -> Result<(), crate::failure::Failure> {
    let opened = std::process::Command::new("xdg-open").arg(url).status();
    match opened {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => session.output.say("no browser could be opened here: copy the link"),
    }
}

/// Runs `status`. Exit code 10 says that something needs a person.
pub(crate) fn status(session: &mut Session) -> Outcome {
    let status: StatusBody = session.client()?.get("/status")?;
    session.output.show(&status, |status| {
        let mut attention = Table::new(["what needs a person"]);
        status.attention.iter().for_each(|text| attention.push([text.as_str()]));
        let page = Page::new()
            .field("server version", &status.version)
            .field("devices", status.devices.to_string())
            .field("online", status.online.to_string())
            .field("updating", status.updating.to_string())
            .field("exposed", status.exposed.to_string())
            .field("shielded", status.shielded.to_string())
            .field("advisories", status.advisories.to_string())
            .optional("savings", status.savings.as_ref().map(|savings| savings.summary.as_str()));
        if attention.is_empty() {
            page.field("attention", "nothing needs a person")
        } else {
            page.section("attention", attention)
        }
    })?;
    Ok(if status.attention.is_empty() { Exit::Done } else { Exit::Attention })
}
