//! One advisory, from OSV JSON to the words of the model.
//!
//! In: bytes. Out: advisories in the order in which they stand, and how many git ranges were passed over: a firmware's
//! components have versions, not commits. Refuses what [`FeedError`] lists.

mod ranges;

use serde_json::{Deserializer, Value};
use warden_assess::cvss::Metrics;
use warden_model::advisory::{Advisory, Affected, Automatable, Exploitation, TechnicalImpact};
use warden_model::purl::Purl;
use warden_model::{AdvisoryId, PerMille, Timestamp};

use crate::node::Node;
use crate::{FeedError, Limits, ecosystem};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Feed {
    pub(crate) advisories: Vec<Advisory>,
    pub(crate) git_ranges: usize,
}

/// Reads the advisories of a file: one object, an array of objects, or one object a line (JSON Lines).
///
/// `known_at` is when we learned of them: the clock of time to protected starts there. Nothing is returned when anything
/// is refused.
pub fn read_osv(bytes: &[u8], known_at: Timestamp, limits: &Limits) -> Result<Vec<Advisory>, FeedError> {
    read_feed(bytes, known_at, limits).map(|feed| feed.advisories)
}

pub(crate) fn read_feed(bytes: &[u8], known_at: Timestamp, limits: &Limits) -> Result<Feed, FeedError> {
    if u64::try_from(bytes.len()).is_ok_and(|bytes| bytes > limits.file.0) {
        return Err(FeedError::TooLarge { max: limits.file });
    }
    let mut feed = Feed::default();
    let mut count = 0;
    // One value follows the other: a single object, JSON Lines, and an array are the same to this reader.
    for value in Deserializer::from_slice(bytes).into_iter::<Value>() {
        let value = value.map_err(not_json)?;
        match &value {
            Value::Array(records) => {
                for (index, record) in records.iter().enumerate() {
                    read_next(
                        &Node::new(record, format!("/{index}")),
                        &mut count,
                        known_at,
                        limits,
                        &mut feed,
                    )?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                let at = if count == 0 { String::new() } else { format!("record {}: ", count + 1) };
                read_next(&Node::new(&value, at), &mut count, known_at, limits, &mut feed)?;
            }
        }
    }
    if count == 0 { Err(FeedError::Empty) } else { Ok(feed) }
}

fn not_json(source: serde_json::Error) -> FeedError {
    FeedError::NotJson { line: source.line(), column: source.column(), source }
}

fn read_next(
    record: &Node<'_>,
    count: &mut usize,
    known_at: Timestamp,
    limits: &Limits,
    feed: &mut Feed,
) -> Result<(), FeedError> {
    *count += 1;
    if *count > limits.advisories {
        let at = "the file".to_owned();
        return Err(FeedError::TooMany { at, what: "advisories", found: *count, max: limits.advisories });
    }
    feed.advisories.push(read_advisory(record, known_at, limits, &mut feed.git_ranges)?);
    Ok(())
}

fn read_advisory(
    record: &Node<'_>,
    known_at: Timestamp,
    limits: &Limits,
    git_ranges: &mut usize,
) -> Result<Advisory, FeedError> {
    let id = read_id(&record.need("id")?)?;
    let modified = record.need("modified")?.moment()?;
    let moment = |name: &str| record.field(name)?.map(|node| node.moment()).transpose();
    let mut affected = Vec::new();
    let mut cvss = Severity::default();
    cvss.read(record)?;
    for entry in record.list("affected", "affected packages", limits.affected)? {
        cvss.read(&entry)?;
        affected.extend(read_affected(&entry, limits, git_ranges)?);
    }
    let enrichment = read_enrichment(record)?;
    Ok(Advisory {
        id,
        aliases: record
            .list("aliases", "aliases", limits.aliases)?
            .iter()
            .map(read_id)
            .collect::<Result<_, _>>()?,
        summary: read_summary(record, limits)?,
        published: moment("published")?.unwrap_or(modified),
        modified,
        withdrawn: moment("withdrawn")?,
        cvss: cvss.vector.map(|(_, vector)| vector),
        exploitation: enrichment.exploitation.unwrap_or(Exploitation::None),
        automatable: enrichment.automatable,
        technical_impact: enrichment.technical_impact,
        in_kev: enrichment.in_kev,
        epss: enrichment.epss,
        affected,
        known_at,
    })
}

fn read_id(node: &Node<'_>) -> Result<AdvisoryId, FeedError> {
    AdvisoryId::new(node.text()?).map_err(|source| FeedError::Id { at: node.place(), source })
}

/// The summary, else the first line of the details.
fn read_summary(record: &Node<'_>, limits: &Limits) -> Result<String, FeedError> {
    for name in ["summary", "details"] {
        let Some(node) = record.field(name)? else { continue };
        let line = node.text()?.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if !line.is_empty() {
            return Ok(line.chars().filter(|c| !c.is_control()).take(limits.summary_chars).collect());
        }
    }
    Ok(String::new())
}

/// The vector of the newest version of CVSS that an advisory has.
#[derive(Default)]
struct Severity {
    vector: Option<(u8, String)>,
}

impl Severity {
    /// Reads the list `severity` of an advisory or of one of its packages; the first one of a version counts.
    fn read(&mut self, node: &Node<'_>) -> Result<(), FeedError> {
        // The schema names four kinds of score; twice each is more than any publisher gives.
        const SEVERITIES_MAX: usize = 8;
        for severity in node.list("severity", "severities", SEVERITIES_MAX)? {
            let version = match severity.need("type")?.text()? {
                "CVSS_V2" => 2,
                "CVSS_V3" => 3,
                "CVSS_V4" => 4,
                // The words of distributions say nothing that a decision could use.
                _ => continue,
            };
            let score = severity.need("score")?;
            let vector = score.text()?;
            vector.parse::<Metrics>().map_err(|source| FeedError::Cvss { at: score.place(), source })?;
            if self.vector.as_ref().is_none_or(|(known, _)| *known < version) {
                self.vector = Some((version, vector.to_owned()));
            }
        }
        Ok(())
    }
}

/// A package; none for an entry that names only commits.
fn read_affected(
    entry: &Node<'_>,
    limits: &Limits,
    git_ranges: &mut usize,
) -> Result<Option<Affected>, FeedError> {
    let package = match entry.field("package")? {
        Some(package) => Some(read_package(&package, limits)?),
        None => None,
    };
    let mut ranges = Vec::new();
    for range in entry.list("ranges", "ranges", limits.ranges)? {
        let kind = range.need("type")?;
        match (kind.text()?, &package) {
            ("GIT", _) => *git_ranges += 1,
            ("SEMVER" | "ECOSYSTEM", Some(package)) => {
                ranges.extend(ranges::read(&range, &package.kind, limits)?);
            }
            ("SEMVER" | "ECOSYSTEM", None) => {
                return Err(FeedError::Missing { at: format!("{}/package", entry.place()) });
            }
            _ => return Err(kind.unknown("GIT, SEMVER or ECOSYSTEM")),
        }
    }
    let Some(package) = package else { return Ok(None) };
    let mut versions = Vec::new();
    for version in entry.list("versions", "versions", limits.versions)? {
        versions.push(version.short_text(limits.text_bytes)?.to_owned());
    }
    Ok(Some(Affected { package, ranges, versions }))
}

fn read_package(package: &Node<'_>, limits: &Limits) -> Result<Purl, FeedError> {
    let ecosystem = package.need("ecosystem")?;
    let name = package.need("name")?.short_text(limits.text_bytes)?;
    let mut purl = match package.field("purl")? {
        Some(node) => node.text()?.parse().map_err(|source| FeedError::Purl { at: node.place(), source })?,
        None => ecosystem::purl(ecosystem.text()?, name)
            .ok_or_else(|| ecosystem.unknown("an ecosystem that starts with a letter"))?,
    };
    ecosystem::qualify(&mut purl, ecosystem.text()?);
    Ok(Purl { version: None, ..purl })
}

/// What CISA says of a weakness, as far as the advisory carries it.
#[derive(Default)]
struct Enrichment {
    exploitation: Option<Exploitation>,
    automatable: Option<Automatable>,
    technical_impact: Option<TechnicalImpact>,
    in_kev: bool,
    epss: Option<PerMille>,
}

impl Enrichment {
    /// The worst that is said of exploitation counts.
    fn exploited(&mut self, exploitation: Exploitation) {
        self.exploitation = self.exploitation.max(Some(exploitation));
    }
}

/// Reads the fields of `database_specific`; see the crate's documentation for their shape.
fn read_enrichment(record: &Node<'_>) -> Result<Enrichment, FeedError> {
    let mut found = Enrichment::default();
    let Some(own) = record.field("database_specific")? else { return Ok(found) };
    if own.field("kev")?.map(|node| node.truth()).transpose()? == Some(true) {
        found.in_kev = true;
        found.exploited(Exploitation::Active);
    }
    if let Some(node) = own.field("epss")? {
        found.epss = Some(node.probability()?);
    }
    if let Some(node) = own.field("cisa_exploitation")? {
        found.exploited(exploitation_word(&node)?);
    }
    if let Some(ssvc) = own.field("ssvc")? {
        if let Some(node) = ssvc.field("exploitation")? {
            found.exploited(exploitation_word(&node)?);
        }
        if let Some(node) = ssvc.field("automatable")? {
            let word = node.text()?.to_ascii_lowercase();
            found.automatable = Some(word.parse().map_err(|_| node.unknown("yes or no"))?);
        }
        if let Some(node) = ssvc.field("technical_impact")? {
            let word = node.text()?.to_ascii_lowercase();
            found.technical_impact = Some(word.parse().map_err(|_| node.unknown("partial or total"))?);
        }
    }
    Ok(found)
}

fn exploitation_word(node: &Node<'_>) -> Result<Exploitation, FeedError> {
    match node.text()?.to_ascii_lowercase().as_str() {
        "none" => Ok(Exploitation::None),
        "poc" | "public poc" | "public-poc" => Ok(Exploitation::PublicPoc),
        "active" => Ok(Exploitation::Active),
        _ => Err(node.unknown("none, poc or active")),
    }
}

#[cfg(test)]
mod tests;
