//! Tables in plain text: headings, rows, columns that line up.

use super::{Style, clean};

/// Space between two columns, in characters.
const GAP: usize = 2;

/// Widest that a column is padded, in characters: a digest fits, and one long text must not push the rest off the screen.
const COLUMN_CHARACTERS_MAX: usize = 72;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes an empty table.
    pub(crate) fn new<const COLUMNS: usize>(heads: [&'static str; COLUMNS]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    #[cfg(test)]
    pub(crate) fn row<T: Into<String>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.push(cells);
        self
    }

    /// Adds a row in place.
    pub(crate) fn push<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        // A line end inside a cell would tear the table apart.
        let flat = |cell: T| clean(&cell.into()).replace(['\n', '\t'], " ");
        self.rows.push(cells.into_iter().map(flat).collect());
    }

    /// Says whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the text; nothing for a table without rows.
    pub(crate) fn text(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heads: Vec<String> = self.heads.iter().map(|head| head.to_uppercase()).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).chain(heads.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN_CHARACTERS_MAX)
            })
            .collect();
        let head = line(&heads, &widths);
        let mut text = match style {
            Style::Plain => format!("{head}\n"),
            Style::Terminal => format!("\u{1b}[1m{head}\u{1b}[0m\n"),
        };
        for row in &self.rows {
            text.push_str(&line(row, &widths));
            text.push('\n');
        }
        text
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(cell);
        let pad = width.saturating_sub(cell.chars().count()) + GAP;
        text.extend(std::iter::repeat_n(' ', pad));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::{Style, Table};

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let table =
            Table::new(["id", "state", "why"]).row(["cam-1", "idle", ""]).row(["gate-é2", "updating", "x"]);
        let expected = "ID       STATE     WHY\ncam-1    idle\ngate-é2  updating  x\n";
        assert_eq!(table.text(Style::Plain), expected);
    }

    #[test]
    fn a_table_without_rows_is_silent() {
        assert_eq!(Table::new(["id"]).text(Style::Terminal), "");
    }
}
