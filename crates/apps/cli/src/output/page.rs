//! A page for people: lines, fields and tables, and notes that go to stderr.

use super::{Style, Table, clean};

/// A part of a page.
#[derive(Debug, Clone)]
enum Part {
    Line(String),
    Heading(String),
    Fields(Vec<(String, String)>),
    Table(Table),
}

/// A page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    parts: Vec<Part>,
    notes: Vec<String>,
}

impl Page {
    /// Makes an empty page.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    pub(crate) fn line(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Line(text.into()));
        self
    }

    /// Adds a heading with space above.
    pub(crate) fn heading(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Heading(text.into()));
        self
    }

    /// Adds a named value; values in a row line up.
    pub(crate) fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        let field = (name.to_owned(), value.into());
        match self.parts.last_mut() {
            Some(Part::Fields(fields)) => fields.push(field),
            Some(Part::Line(_) | Part::Heading(_) | Part::Table(_)) | None => {
                self.parts.push(Part::Fields(vec![field]));
            }
        }
        self
    }

    /// Adds a named value where there is one.
    pub(crate) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// Adds a table; where it has no rows, says so with the next step as a note.
    pub(crate) fn table(mut self, table: Table, when_empty: &str) -> Self {
        if table.is_empty() {
            return self.note(when_empty);
        }
        self.parts.push(Part::Table(table));
        self
    }

    /// Adds a table under a heading; nothing where it has no rows.
    pub(crate) fn section(self, heading: &str, table: Table) -> Self {
        if table.is_empty() { self } else { self.heading(heading).table(table, "") }
    }

    /// Adds a note, which goes to stderr.
    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Returns the notes.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the text.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Line(line) => text.extend([clean(line).as_str(), "\n"]),
                Part::Heading(heading) => text.push_str(&heading_text(heading, style, &text)),
                Part::Fields(fields) => text.push_str(&fields_text(fields)),
                Part::Table(table) => text.push_str(&table.text(style)),
            }
        }
        text
    }
}

fn heading_text(heading: &str, style: Style, above: &str) -> String {
    let space = if above.is_empty() { "" } else { "\n" };
    match style {
        Style::Plain => format!("{space}{}:\n", clean(heading)),
        Style::Terminal => format!("{space}\u{1b}[1m{}:\u{1b}[0m\n", clean(heading)),
    }
}

fn fields_text(fields: &[(String, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| {
        let pad = " ".repeat(width - name.chars().count().min(width));
        format!("{name}{pad}  {}", clean(value).replace('\n', " ")).trim_end().to_owned() + "\n"
    };
    fields.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Page, Style, Table};

    #[test]
    fn a_page_reads_from_top_to_bottom() {
        let page = Page::new()
            .field("device", "cam-1")
            .field("id", "7")
            .optional("segment", None)
            .section("events", Table::new(["at"]).row(["now"]))
            .section("alerts", Table::new(["at"]))
            .table(Table::new(["x"]), "nothing here: do this");
        assert_eq!(page.text(Style::Plain), "device  cam-1\nid      7\n\nevents:\nAT\nnow\n");
        assert_eq!(page.notes(), ["nothing here: do this"]);
    }
}
