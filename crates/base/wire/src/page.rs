//! Keyset paging: a page starts behind the last key of the page before, so that rows that come or go in between shift
//! nothing.
//!
//! In: a limit and the cursor text of the page before. Out: a checked [`PageRequest`], and [`Page`]s with the cursor of
//! the next one. Refuses: limits outside 1 to 500, cursors that are malformed, of another version, or of another list.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most rows on a page. 500 devices are about 200 KiB of JSON: one answer stays within a second on a slow line.
pub const PAGE_ROWS_MAX: u16 = 500;

/// Rows on a page when nobody says how many: two screens.
pub const PAGE_ROWS_DEFAULT: u16 = 50;

/// Longest cursor text, in bytes. Three key parts of 64 bytes in JSON and base64 are below 400.
pub const CURSOR_BYTES_MAX: usize = 1024;

/// The version of the cursor's form; a cursor of another version is refused, and paging starts anew.
const CURSOR_VERSION: u8 = 1;

/// Why a page cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PageError {
    /// The limit is outside its range.
    #[error("a page has 1 to {PAGE_ROWS_MAX} rows, not {limit}")]
    Limit {
        /// The limit that was asked for.
        limit: u64,
    },
    /// The text is no cursor that this version made.
    #[error("the cursor was not made by this server; start again without it")]
    Cursor,
    /// The cursor belongs to another list.
    #[error("the cursor belongs to the list of {found}, not of {wanted}; start again without it")]
    OtherList {
        /// The list that the cursor was made for.
        found: String,
        /// The list that is asked for.
        wanted: &'static str,
    },
}

/// The place in a list behind which the next page starts. Its text is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    list: String,
    key: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct CursorForm {
    #[serde(rename = "v")]
    version: u8,
    #[serde(rename = "l")]
    list: String,
    #[serde(rename = "k")]
    key: Vec<String>,
}

impl Cursor {
    /// Makes the cursor behind the row with this key in the named list.
    pub fn new(list: &'static str, key: impl IntoIterator<Item = String>) -> Self {
        Self { list: list.to_owned(), key: key.into_iter().collect() }
    }

    /// Returns the key parts, when the cursor belongs to this list and has as many parts as the list's key.
    pub fn key<const PARTS: usize>(&self, list: &'static str) -> Result<&[String; PARTS], PageError> {
        if self.list != list {
            return Err(PageError::OtherList { found: self.list.chars().take(32).collect(), wanted: list });
        }
        self.key.as_slice().try_into().map_err(|_| PageError::Cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = CursorForm { version: CURSOR_VERSION, list: self.list.clone(), key: self.key.clone() };
        let json = serde_json::to_vec(&form).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = PageError;

    fn from_str(text: &str) -> Result<Self, PageError> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(PageError::Cursor);
        }
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| PageError::Cursor)?;
        let form: CursorForm = serde_json::from_slice(&json).map_err(|_| PageError::Cursor)?;
        if form.version != CURSOR_VERSION {
            return Err(PageError::Cursor);
        }
        Ok(Self { list: form.list, key: form.key })
    }
}

/// What page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    /// Where the page before ended; absent for the first page.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// Checks and makes a request: 1 to 500 rows.
    pub fn new(limit: u64, after: Option<Cursor>) -> Result<Self, PageError> {
        match u16::try_from(limit) {
            Ok(fit @ 1..=PAGE_ROWS_MAX) => Ok(Self { limit: fit, after }),
            _ => Err(PageError::Limit { limit }),
        }
    }

    /// Reads a request as it stands in a URL: both parts may be absent.
    pub fn parse(limit: Option<u64>, after: Option<&str>) -> Result<Self, PageError> {
        let after = after.filter(|text| !text.is_empty()).map(str::parse).transpose()?;
        Self::new(limit.unwrap_or(u64::from(PAGE_ROWS_DEFAULT)), after)
    }

    /// Asks for the first page with as many rows as a page can have.
    pub fn largest() -> Self {
        Self { limit: PAGE_ROWS_MAX, after: None }
    }

    /// Returns how many rows are wanted at most: 1 to 500.
    pub fn limit(&self) -> u16 {
        self.limit
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: PAGE_ROWS_DEFAULT, after: None }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of rows of which one more than wanted was fetched: the surplus row says that there is a next page.
    pub fn cut(mut rows: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = usize::from(request.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next }
    }

    /// Turns every row into something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Page, PageError, PageRequest};

    #[test]
    fn a_cursor_survives_its_text_form_and_stays_in_its_list() {
        let cursor = Cursor::new("cases", ["0".to_owned(), "17".to_owned(), "CVE-1.cam\"é".to_owned()]);
        let text = cursor.to_string();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(text.parse(), Ok(cursor.clone()));
        assert_eq!(cursor.key::<3>("cases").unwrap()[1], "17");
        assert_eq!(cursor.key::<2>("cases"), Err(PageError::Cursor));
        assert!(matches!(cursor.key::<3>("devices"), Err(PageError::OtherList { .. })));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        // `{"v":2,"l":"a","k":[]}` is well formed, and of a version that does not exist yet.
        for text in ["x", "%%", "e30", "eyJ2IjoyLCJsIjoiYSIsImsiOltdfQ", &"a".repeat(2000)] {
            assert_eq!(text.parse::<Cursor>(), Err(PageError::Cursor), "{text:?}");
        }
    }

    #[test]
    fn a_limit_stays_in_its_range() {
        assert_eq!(PageRequest::new(0, None), Err(PageError::Limit { limit: 0 }));
        assert_eq!(PageRequest::new(501, None), Err(PageError::Limit { limit: 501 }));
        assert_eq!(PageRequest::new(500, None), Ok(PageRequest::largest()));
        assert_eq!(PageRequest::parse(None, Some("")), Ok(PageRequest::default()));
    }

    #[test]
    fn the_surplus_row_says_that_there_is_more() {
        let request = PageRequest::new(2, None).unwrap();
        let cursor = |row: &u8| Cursor::new("rows", [row.to_string()]);
        let page = Page::cut(vec![1, 2, 3], &request, cursor);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(cursor(&2))));
        assert_eq!(Page::cut(vec![1, 2], &request, cursor).next, None);
    }
}
