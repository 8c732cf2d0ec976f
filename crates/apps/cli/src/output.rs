//! What commands print: data on stdout, talk on stderr.
//!
//! In: values with a page for people. Out: the page, or JSON under `--json`. Refuses: control characters in text from
//! outside, which could otherwise move the cursor or colour the terminal.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::failure::{Exit, Failure};

mod page;
mod table;

pub(crate) use page::Page;
pub(crate) use table::Table;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// Whether talk is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Only data and errors.
    Quiet,
    /// Progress and notes too.
    Normal,
}

/// Whether text may be styled. Styles never carry a meaning that the words do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Plain text.
    Plain,
    /// Headings in bold.
    Terminal,
}

/// Where output goes, and how.
pub(crate) struct Output {
    form: Form,
    talk: Talk,
    style: Style,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Output {
    /// Makes the output of a process. `style` counts only where stdout is a terminal.
    pub(crate) fn of_process(form: Form, talk: Talk, style: Style) -> Self {
        let style = if io::stdout().is_terminal() { style } else { Style::Plain };
        Self { form, talk, style, out: Box::new(io::stdout()), err: Box::new(io::stderr()) }
    }

    /// Makes an output from its parts.
    #[cfg(test)]
    pub(crate) fn new(form: Form, talk: Talk, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { form, talk, style: Style::Plain, out, err }
    }

    /// Returns how data is written.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Returns whether talk is wanted.
    pub(crate) fn talk(&self) -> Talk {
        self.talk
    }

    /// Shows a value: its page for people, or itself for programs.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        value: &T,
        page: impl FnOnce(&T) -> Page,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Json => {
                let text = serde_json::to_string_pretty(value)
                    .map_err(|error| Failure::failed("write JSON", &error))?;
                self.write_data(&format!("{text}\n"))
            }
            Form::Human => {
                let page = page(value);
                self.write_data(&page.text(self.style))?;
                page.notes().iter().try_for_each(|note| self.say(note))
            }
        }
    }

    /// Shows one item of a stream: a line for people, or one JSON object a line for programs.
    pub(crate) fn show_line<T: Serialize>(
        &mut self,
        value: &T,
        line: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.form {
            Form::Json => {
                serde_json::to_string(value).map_err(|error| Failure::failed("write JSON", &error))?
            }
            Form::Human => clean(&line(value)),
        };
        self.write_data(&format!("{text}\n"))
    }

    /// Writes data as it is.
    pub(crate) fn write_data(&mut self, text: &str) -> Result<(), Failure> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.out.write_all(bytes).and_then(|()| self.out.flush());
        written.map_err(|error| write_failure(&error))
    }

    /// Says something on stderr, unless nobody wants to hear it.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Failure> {
        match self.talk {
            Talk::Quiet => Ok(()),
            Talk::Normal => writeln!(self.err, "{}", clean(text)).map_err(|error| write_failure(&error)),
        }
    }

    /// Tells a failure on stderr.
    pub(crate) fn tell(&mut self, failure: &Failure) {
        // A reader that has gone away, such as `head`, is no news to anybody.
        if failure.message.is_empty() {
            return;
        }
        let text = match self.form {
            Form::Json => failure.to_json().to_string(),
            Form::Human => clean(&format!("error: {failure}")),
        };
        // There is nobody left to tell when stderr is gone.
        writeln!(self.err, "{text}").unwrap_or_default();
    }
}

fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        // The reader has seen enough; that ends the command, and well.
        return Failure { exit: Exit::Done, code: String::new(), message: String::new(), hint: None };
    }
    Failure::failed("write the output", error)
}

/// Replaces control characters, except line ends and tabs: text from outside must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    let hostile = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            // Invisible marks that turn the direction of writing can make one text look like another.
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hostile(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Form, Output, Talk};
    use std::cell::RefCell;
    use std::io::Write;
    use std::rc::Rc;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        /// Returns what was written.
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    /// Makes an output on paper: the output, its stdout, its stderr.
    pub(crate) fn on_paper(form: Form) -> (Output, Paper, Paper) {
        let (out, err) = (Paper::default(), Paper::default());
        (Output::new(form, Talk::Normal, Box::new(out.clone()), Box::new(err.clone())), out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::on_paper;
    use super::{Form, Page, Table, clean};
    use crate::failure::{Exit, Failure};

    #[test]
    fn data_goes_to_stdout_and_talk_to_stderr() {
        let (mut output, out, err) = on_paper(Form::Human);
        let page = |_: &u8| Page::new().line("seven").note("that is all");
        output.show(&7_u8, page).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("seven\n", "that is all\n"));
        let (mut output, out, err) = on_paper(Form::Json);
        output.show(&7_u8, page).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("7\n", ""));
    }

    #[test]
    fn errors_are_json_where_data_is() {
        let failure = Failure::new(Exit::Conflict, "it runs already");
        let (mut output, out, err) = on_paper(Form::Json);
        output.tell(&failure);
        let expected = "{\"error\":{\"code\":\"conflict\",\"hint\":null,\"message\":\"it runs already\"}}\n";
        assert_eq!((out.text().as_str(), err.text().as_str()), ("", expected));
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\rc\u{202e}d\ne"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\ne");
        let table = Table::new(["id"]).row(["\u{1b}[2Jx\ny"]);
        assert_eq!(table.text(super::Style::Plain), "ID\n\u{fffd}[2Jx y\n");
    }
}
