//! Feeds from outside: folders of advisories, scan reports, and those of the corpus.

#[cfg(test)]
mod folders;
#[cfg(test)]
mod gmp;
#[cfg(test)]
mod scans;
