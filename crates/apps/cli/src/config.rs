//! `config` and `completions`: what is set, where each value comes from, and help for the shell.

use clap::{Args, CommandFactory as _, Subcommand};
use clap_complete::Shell;
use serde_json::{Map, json};

use crate::cli::Cli;
use crate::failure::{Exit, Outcome};
use crate::output::{Page, Table};
use crate::session::Session;
use crate::settings::{Origin, SETTINGS, Takes};

/// Settings: what is set, and where each value comes from
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows all settings
    #[command(after_help = "Example:\n  fleetwarden config show --origin")]
    Show(ShowArgs),
}

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Shows where each value comes from
    #[arg(long)]
    origin: bool,
}

/// Prints the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fleetwarden completions bash > /etc/bash_completion.d/fleetwarden")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs a command.
pub(crate) fn run(command: &ConfigCommand, session: &mut Session) -> Outcome {
    match command {
        ConfigCommand::Show(args) => show(args, session),
    }
}

fn show(args: &ShowArgs, session: &mut Session) -> Outcome {
    let mut all = Map::new();
    let mut table = if args.origin {
        Table::new(["setting", "value", "origin"])
    } else {
        Table::new(["setting", "value"])
    };
    for setting in SETTINGS {
        let mut value = session.settings.value(setting);
        if setting.takes == Takes::Secret && value.origin != Origin::Default {
            value.texts = vec!["(set, not shown)".to_owned()];
        }
        let text = if value.texts.is_empty() { "-".to_owned() } else { value.texts.join(":") };
        let mut row = vec![setting.key.to_owned(), text];
        let mut entry = Map::from_iter([("value".to_owned(), json!(value.texts))]);
        if setting.takes != Takes::Paths {
            entry.insert("value".to_owned(), json!(value.texts.first()));
        }
        if args.origin {
            row.push(value.origin.to_string());
            entry.insert("origin".to_owned(), json!(value.origin.to_string()));
        }
        table.push(row);
        all.insert(setting.key.to_owned(), entry.into());
    }
    session.output.show(&all, |_| Page::new().table(table, ""))?;
    Ok(Exit::Done)
}

/// Prints the completion script of a shell.
pub(crate) fn completions(args: &CompletionsArgs, session: &mut Session) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fleetwarden", &mut script);
    session.output.write_bytes(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{CompletionsArgs, Shell, ShowArgs, completions, show};
    use crate::output::{Form, testing::on_paper};
    use crate::session::Session;
    use crate::settings::Settings;

    fn session(form: Form) -> (Session, crate::output::testing::Paper) {
        let flags = BTreeMap::from([("token", vec!["fwt_admin_secret".to_owned()])]);
        let (output, out, _) = on_paper(form);
        (Session { output, settings: Settings::new(flags, BTreeMap::new(), Vec::new()).unwrap() }, out)
    }

    #[test]
    fn values_come_with_their_origin_and_secrets_stay_hidden() {
        for form in [Form::Human, Form::Json] {
            let (mut session, out) = session(form);
            show(&ShowArgs { origin: true }, &mut session).unwrap();
            assert!(out.text().contains("flag --token"), "{}", out.text());
            assert!(out.text().contains("https://localhost:8444"));
            assert!(!out.text().contains("fwt_admin_secret"));
        }
    }

    #[test]
    fn each_shell_gets_its_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (mut session, out) = session(Form::Human);
            completions(&CompletionsArgs { shell }, &mut session).unwrap();
            assert!(out.text().contains("enrol-token"), "{shell}");
        }
    }
}
