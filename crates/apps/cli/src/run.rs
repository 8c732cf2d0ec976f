//! From arguments to an exit code: parse, find the settings, do the command, tell what failed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, Voice};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Form, Output, Style, Talk};
use crate::session::Session;
use crate::settings::{ConfigFile, Settings, places};
use crate::{
    advisory, alert, config, delta, device, doctor, event, inspect, login, product, reference, release, risk,
    rollout, scan, serve, setup, shield,
};

/// Runs a command line.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let mut output = Output::of_process(form(&cli.voice), talk(&cli.voice), style(&cli.voice));
    if let Err(failure) = start_log(&cli) {
        output.tell(&failure);
        return failure.exit;
    }
    let settings = match find_settings(&cli) {
        Ok(settings) => settings,
        Err(failure) => {
            output.tell(&failure);
            return failure.exit;
        }
    };
    let mut session = Session { output, settings };
    match dispatch(&cli.command, &mut session) {
        Ok(exit) => exit,
        Err(failure) => {
            session.output.tell(&failure);
            failure.exit
        }
    }
}

/// Tells what clap refused; help and version are no refusals.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let failure = Failure::new(Exit::Usage, message).hint("`fleetwarden --help` lists the commands");
        Output::of_process(Form::Json, Talk::Normal, Style::Plain).tell(&failure);
        return Exit::Usage;
    }
    // Nobody is left to tell when the terminal is gone.
    error.print().unwrap_or_default();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn form(voice: &Voice) -> Form {
    if voice.json { Form::Json } else { Form::Human }
}

fn talk(voice: &Voice) -> Talk {
    if voice.quiet { Talk::Quiet } else { Talk::Normal }
}

/// See <https://no-color.org>: any value but the empty one counts.
fn style(voice: &Voice) -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if voice.no_color || no_color { Style::Plain } else { Style::Terminal }
}

/// Starts the log on stderr. `FLEETWARDEN_LOG` takes a filter such as `warden_server=debug`.
fn start_log(cli: &Cli) -> Result<(), Failure> {
    let level = match (&cli.command, cli.voice.quiet, cli.voice.verbose) {
        (Command::Serve(_), false, 0) => "info,sqlx=warn",
        (_, _, 0) => "warn",
        (_, _, 1) => "debug,sqlx=warn,rustls=info,ureq=info,ureq_proto=info,hyper=info",
        (_, _, _) => "trace",
    };
    let filter = match std::env::var("FLEETWARDEN_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            Failure::invalid("read the filter in FLEETWARDEN_LOG", &error)
                .hint("write for instance FLEETWARDEN_LOG=info,warden_server=debug")
        })?,
        _ => EnvFilter::new(level),
    };
    let ansi = matches!(style(&cli.voice), Style::Terminal) && io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).init();
    Ok(())
}

fn find_settings(cli: &Cli) -> Result<Settings, Failure> {
    let mut flags = cli.connection.flags();
    flags.extend(cli.command.flags());
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("FLEETWARDEN_"))
        .collect();
    let (config_home, home) = (std::env::var("XDG_CONFIG_HOME").ok(), std::env::var("HOME").ok());
    let mut files = Vec::new();
    for place in places(config_home.as_deref(), home.as_deref()) {
        files.extend(ConfigFile::read(&place)?);
    }
    Settings::new(flags, environment, files)
}

fn dispatch(command: &Command, session: &mut Session) -> Outcome {
    match command {
        Command::Setup(args) => setup::run(args, session),
        Command::Serve(_) => serve::run(session),
        Command::Login(args) => login::login(args, session),
        Command::Status(_) => login::status(session),
        Command::Doctor(_) => doctor::run(session),
        Command::Product(command) => product::run(command, session),
        Command::Device(command) => device::run(command, session),
        Command::Release(command) => release::run(command, session),
        Command::Advisory(command) => advisory::run(command, session),
        Command::Risk(args) => risk::run(args, session),
        Command::Scan(command) => scan::run(command, session),
        Command::Rollout(command) => rollout::run(command, session),
        Command::Alert(command) => alert::run(command, session),
        Command::Shield(command) => shield::run(command, session),
        Command::Event(command) => event::run(command, session),
        Command::Inspect(args) => inspect::run(args, session),
        Command::Delta(command) => delta::run(command, session),
        Command::Config(command) => config::run(command, session),
        Command::Reference(command) => reference::run(command, session),
        Command::Completions(args) => config::completions(args, session),
    }
}
