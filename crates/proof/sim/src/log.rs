//! The log: what happened, when, to whom, and why; the golden text of the stories.
//!
//! In: lines. Out: text with virtual time stamps. Refuses nothing.

use std::fmt::Write as _;

use warden_model::event::Event;
use warden_model::{DeviceId, Stage, Timestamp};

/// Who tells a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// A stage of the loop, on the server.
    Stage(Stage),
    /// The world around: power, network, the device itself. The server cannot see these lines.
    World,
    /// A person.
    Person,
}

impl Teller {
    fn word(self) -> &'static str {
        match self {
            Self::Stage(stage) => stage.word(),
            Self::World => "~",
            Self::Person => "person",
        }
    }
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Who tells it.
    pub teller: Teller,
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// What happened.
    pub what: String,
    /// Why; empty when the line says it all.
    pub reason: String,
}

impl Line {
    fn tells_the_same_as(&self, other: &Self) -> bool {
        self.at.unix_seconds() == other.at.unix_seconds()
            && self.teller == other.teller
            && self.device.is_some()
            && other.device.is_some()
            && (&self.what, &self.reason) == (&other.what, &other.reason)
    }
}

impl From<Event> for Line {
    fn from(event: Event) -> Self {
        let Event { at, stage, device, release, what, reason, .. } = event;
        let what = match (&device, release) {
            (None, Some(release)) => format!("{release} {what}"),
            (Some(_), _) | (None, None) => what,
        };
        Self { at, teller: Teller::Stage(stage), device, what, reason }
    }
}

/// All lines that nobody has read yet.
#[derive(Debug, Clone, Default)]
pub struct Log {
    lines: Vec<Line>,
    day: String,
}

impl Log {
    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Adds a line that the world tells.
    pub fn world(&mut self, at: Timestamp, device: &DeviceId, what: impl Into<String>) {
        let device = Some(device.clone());
        self.add(Line { at, teller: Teller::World, device, what: what.into(), reason: String::new() });
    }

    /// Takes the lines as text; a line of its own tells when a new day begins. What happened to several devices in the same
    /// second, for the same reason, is told once.
    pub fn take(&mut self) -> String {
        let mut text = String::new();
        let lines = std::mem::take(&mut self.lines);
        for same in lines.chunk_by(Line::tells_the_same_as) {
            let Some(line) = same.first() else { continue };
            let stamp = line.at.to_string();
            let (day, time) = stamp.split_once('T').unwrap_or(("", &stamp));
            if self.day != day {
                day.clone_into(&mut self.day);
                writeln_to(&mut text, format_args!("-- {day}, UTC --"));
            }
            let time: String = time.chars().take(8).collect();
            let devices: Vec<&str> =
                same.iter().filter_map(|line| Some(line.device.as_ref()?.as_str())).collect();
            let devices = devices.join(" ");
            let colon = if line.reason.is_empty() { "" } else { ": " };
            let teller = line.teller.word();
            let (what, reason) = (&line.what, &line.reason);
            writeln_to(&mut text, format_args!("{time} {teller:<7} {devices:<6} {what}{colon}{reason}"));
        }
        text
    }

    /// Returns the last lines, for a failure.
    pub fn tail(&self, lines: usize) -> String {
        let start = self.lines.len().saturating_sub(lines);
        let mut tail = Self { lines: self.lines.iter().skip(start).cloned().collect(), day: String::new() };
        tail.take()
    }
}

/// Writes a line to a text, which never fails.
pub fn writeln_to(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(line).and_then(|()| text.write_char('\n'));
    debug_assert!(written.is_ok(), "a String takes every text");
}
