//! Feeds from outside: folders of advisories, and those of the corpus.

#[cfg(test)]
mod folders;
