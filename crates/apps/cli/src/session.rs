//! What every command has at hand: the output, the settings, the server, the person at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Consent;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{Output, Talk};
use crate::settings::Settings;

pub(crate) use warden_server::clock::now;

/// Longest answer of a person, in bytes.
const ANSWER_BYTES_MAX: u64 = 256;

/// What every command has at hand.
pub(crate) struct Session {
    /// Where to write.
    pub(crate) output: Output,
    /// The settings.
    pub(crate) settings: Settings,
}

impl Session {
    /// Connects to the server that the settings name.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.settings)
    }

    /// Asks the person at the terminal; without one, consent must have been given before.
    pub(crate) fn confirm(&mut self, question: &str, consent: Consent) -> Result<(), Failure> {
        if consent.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::new(Exit::Usage, format!("{question} Nobody can be asked here"))
                .hint("give --yes to go on without asking"));
        }
        self.output.say(&format!("{question} Type yes to go on:"))?;
        let mut answer = String::new();
        let read = io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer);
        read.map_err(|error| Failure::failed("read the answer", &error))?;
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(Failure::new(Exit::Conflict, "the answer was not yes, so nothing was done"))
    }

    /// Makes a progress bar on stderr for so many bytes; it stays invisible where nobody looks.
    pub(crate) fn progress(&self, what: &str, bytes: u64) -> ProgressBar {
        let target = match self.output.talk() {
            Talk::Normal => ProgressDrawTarget::stderr(),
            Talk::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.with_message(what.to_owned())
    }
}
