//! Assess from outside: a golden table of decisions, and the public test suites of the corpus.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod golden;
mod purl;
