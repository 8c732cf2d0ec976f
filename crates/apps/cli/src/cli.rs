//! The command line: global flags, and the list of commands.
//!
//! In: arguments. Out: [`Cli`]. Refuses: what it does not know, with the nearest word that it does (clap does that).

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::settings::{Flags, Takes};
use crate::{
    advisory, alert, config, delta, device, doctor, event, inspect, login, product, reference, release, risk,
    rollout, scan, serve, setup, shield,
};

const EXAMPLES: &str = "\
Example:
  fleetwarden setup --data-dir fleet --keys keys      make keys, certificates and the first token
  fleetwarden serve --data-dir fleet                  start the server
  fleetwarden --data-dir fleet login                  print a link to the console
  fleetwarden inspect firmware.squashfs               look into an image, without any server

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 invalid, 7 network or time,
10 the answer is yes (findings, a gate that refused, something that needs a person).";

/// Patches every device that can be patched, and shields every device that cannot.
#[derive(Debug, Parser)]
#[command(
    name = "fleetwarden",
    version,
    after_help = EXAMPLES,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) voice: Voice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which server, and as whom. All of these are settings: see `fleetwarden reference configuration`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// Where the server's console and REST API are
    #[arg(long, global = true, value_name = "URL", value_parser = |text: &str| Takes::Url.checked(text))]
    server: Option<String>,
    /// The API token; a file is safer, because other users can see flags
    #[arg(long, global = true, value_name = "TOKEN", value_parser = |text: &str| Takes::Secret.checked(text))]
    token: Option<String>,
    /// A file with the API token [default: admin.token of the data directory]
    #[arg(long, global = true, value_name = "FILE", value_parser = |text: &str| Takes::Path.checked(text))]
    token_file: Option<String>,
    /// The certificate (PEM) that the server's must come from [default: ca/ca.crt of the data directory]
    #[arg(long, global = true, value_name = "FILE", value_parser = |text: &str| Takes::Path.checked(text))]
    ca: Option<String>,
    /// The server's data directory, where it is on this machine
    #[arg(long, global = true, value_name = "DIR", value_parser = |text: &str| Takes::Path.checked(text))]
    data_dir: Option<String>,
    /// How long one answer of the server may take [default: 60s]
    #[arg(long, global = true, value_name = "SPAN", value_parser = |text: &str| Takes::Span.checked(text))]
    answer_time: Option<String>,
}

/// How the command speaks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Voice {
    /// Writes data as JSON on stdout, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says nothing but data and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Says more: once for details, twice for everything
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Styles nothing; the variable `NO_COLOR` does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

impl Connection {
    /// Returns the flags that were given.
    pub(crate) fn flags(&self) -> Flags {
        let given = [
            ("server", &self.server),
            ("token", &self.token),
            ("token-file", &self.token_file),
            ("ca", &self.ca),
            ("data-dir", &self.data_dir),
            ("answer-time", &self.answer_time),
        ];
        given.into_iter().filter_map(|(key, text)| Some((key, vec![text.clone()?]))).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Setup(setup::SetupArgs),
    Serve(Box<serve::ServeArgs>),
    Login(login::LoginArgs),
    Status(login::StatusArgs),
    Doctor(doctor::DoctorArgs),
    #[command(subcommand)]
    Product(product::ProductCommand),
    #[command(subcommand)]
    Device(device::DeviceCommand),
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    #[command(subcommand)]
    Advisory(advisory::AdvisoryCommand),
    Risk(risk::RiskArgs),
    #[command(subcommand)]
    Scan(scan::ScanCommand),
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    #[command(subcommand)]
    Shield(shield::ShieldCommand),
    #[command(subcommand)]
    Event(event::EventCommand),
    Inspect(inspect::InspectArgs),
    #[command(subcommand)]
    Delta(delta::DeltaCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand)]
    Reference(reference::ReferenceCommand),
    Completions(config::CompletionsArgs),
}

impl Command {
    /// Returns the flags of the command that are settings.
    pub(crate) fn flags(&self) -> Flags {
        match self {
            Self::Serve(args) => args.flags(),
            Self::Setup(_)
            | Self::Login(_)
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Product(_)
            | Self::Device(_)
            | Self::Release(_)
            | Self::Advisory(_)
            | Self::Risk(_)
            | Self::Scan(_)
            | Self::Rollout(_)
            | Self::Alert(_)
            | Self::Shield(_)
            | Self::Event(_)
            | Self::Inspect(_)
            | Self::Delta(_)
            | Self::Config(_)
            | Self::Reference(_)
            | Self::Completions(_) => Flags::new(),
        }
    }
}

/// Consent to what cannot be undone.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Makes the parser for one of a list of words.
pub(crate) fn one_of(words: impl IntoIterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(words)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_that_can_be_parsed() {
        let mut leaves = Vec::new();
        let mut stack = vec![Cli::command()];
        while let Some(command) = stack.pop() {
            stack.extend(command.get_subcommands().cloned());
            if command.get_subcommands().next().is_none() {
                leaves.push(command);
            }
        }
        assert!(leaves.len() > 40, "{}", leaves.len());
        for leaf in leaves {
            let help = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.strip_prefix("  fleetwarden ")).collect();
            assert!(!examples.is_empty(), "{} has no example", leaf.get_name());
            for example in examples {
                let command = example.split("  ").next().unwrap().split(" > ").next().unwrap();
                let words = shell_words(&format!("fleetwarden {command}"));
                let parsed = Cli::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
            }
        }
    }

    /// Splits as a shell does, as far as examples need it: spaces, and single quotes.
    fn shell_words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in text.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn a_typing_mistake_gets_a_suggestion() {
        let error = Cli::command().try_get_matches_from(["fleetwarden", "rolout"]).unwrap_err();
        assert!(error.to_string().contains("'rollout'"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
