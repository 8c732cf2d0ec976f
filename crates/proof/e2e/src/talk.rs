//! Plain lines for people, with the time since the story began.

use std::time::Instant;

/// Where the story is told.
#[derive(Debug, Clone, Copy)]
pub enum Audience {
    /// A person at a terminal.
    Person,
    /// A test: nothing is printed.
    Test,
}

/// The teller.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    began: Instant,
    audience: Audience,
}

impl Talk {
    /// Starts the clock.
    pub fn new(audience: Audience) -> Self {
        Self { began: Instant::now(), audience }
    }

    /// Returns the seconds since the story began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Tells one line.
    pub fn say(&self, text: &str) {
        let indented = text.replace('\n', "\n          ");
        self.print(&format!("{:7.1} s  {indented}", self.seconds()));
    }

    /// Tells a heading.
    pub fn chapter(&self, text: &str) {
        self.print(&format!("\n── {text}"));
    }

    /// Prints text as it is.
    #[expect(clippy::print_stdout, reason = "telling the story is what the demo is for")]
    pub fn print(&self, text: &str) {
        match self.audience {
            Audience::Person => println!("{text}"),
            Audience::Test => {}
        }
    }
}
