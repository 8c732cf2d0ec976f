//! Lists of the server: how many rows, from where on, which filter.

use clap::Args;
use warden_wire::rest::Items;

use crate::output::Page;

/// Which part of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct Paging {
    /// Most rows to show
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// Goes on where a list before ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// Which rows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filtering {
    /// Which rows, in the filter language: `product:cam criticality:>standard seen:>7d "front door"`
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}

impl Filtering {
    /// Returns the filter as it stands in a URL.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        self.filter.iter().map(|filter| ("filter", filter.clone())).collect()
    }
}

/// Says on a page that there is more.
pub(crate) fn note_more<T>(page: Page, items: &Items<T>) -> Page {
    match &items.next {
        Some(next) => page.note(format!("there are more: raise --limit, or go on with --after {next}")),
        None => page,
    }
}
