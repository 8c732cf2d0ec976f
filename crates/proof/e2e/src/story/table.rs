//! How the story ended: a row a device, and whether each ended as it should.

use anyhow::Result;
use warden_model::{ByteCount, Seconds, Timestamp};
use warden_wire::rest::{CaseBody, MemberBody};

use super::Story;
use crate::fleet::Fate;

/// How a device ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The device.
    pub device: String,
    /// How soon it had to be protected.
    pub priority: String,
    /// The version that it runs, by its own report.
    pub version: String,
    /// How it was protected.
    pub protected_by: String,
    /// How long after the advisory was known it was protected for the first time.
    pub after: Option<Seconds>,
    /// How long after the advisory was known it ran the fix, by its own report.
    pub fixed_after: Option<Seconds>,
    /// What the update cost to download, and what the full image would have cost.
    pub bytes: Option<(ByteCount, ByteCount)>,
    /// What should have happened, where it did not.
    pub complaint: Option<String>,
}

/// Returns a row a device, in the order of their ids.
pub fn rows(story: &Story) -> Result<Vec<Row>> {
    let api = &story.server.api;
    let known_at: Option<Timestamp> = api.advisory(&story.advisory)?.known_at.parse().ok();
    let cases = api.cases()?;
    let mut members: Vec<MemberBody> = Vec::new();
    for product in ["gateway", "camera"] {
        let rollouts = api.get("/api/v1/rollouts?limit=500")?;
        let ids = rollouts.get("items").and_then(|items| items.as_array()).cloned().unwrap_or_default();
        for rollout in ids.iter().filter(|rollout| {
            rollout.get("release").and_then(|release| release.as_str()) == Some(&format!("{product}-1.1"))
        }) {
            let id = rollout.get("id").and_then(|id| id.as_str()).unwrap_or_default();
            members.extend(api.rollout(id)?.members);
        }
    }
    let mut rows = Vec::new();
    for device in &story.devices {
        let id = device.profile.id;
        let version = api.device(id)?.confirmed.map(|running| running.version).unwrap_or_default();
        let case = cases.iter().find(|case| case.device == id);
        let member = members.iter().find(|member| member.device == id);
        rows.push(row(id, device.profile.fate, version, case, member, known_at));
    }
    Ok(rows)
}

fn row(
    id: &str,
    fate: Fate,
    version: String,
    case: Option<&CaseBody>,
    member: Option<&MemberBody>,
    known_at: Option<Timestamp>,
) -> Row {
    let protected_by = match case {
        Some(case) => case.protected_by.clone().unwrap_or_else(|| "nothing".to_owned()),
        None => "unaffected".to_owned(),
    };
    let at: Option<Timestamp> = case.and_then(|case| case.protected_at.as_ref()?.parse().ok());
    let (expected_version, expected_protection) = match fate {
        Fate::Healthy | Fate::BadNetwork | Fate::KilledWhileWriting => ("1.1", "patched"),
        Fate::BrokenSensor | Fate::OutOfSupport => ("1.0", "shielded"),
    };
    let is_protected = case.is_none() || protected_by == expected_protection;
    let complaint = (version != expected_version || !is_protected)
        .then(|| format!("should run {expected_version} and be {expected_protection}"));
    Row {
        device: id.to_owned(),
        priority: case.map(|case| case.priority.clone()).unwrap_or_default(),
        version,
        protected_by,
        after: at.zip(known_at).map(|(at, known)| at.since(known)),
        fixed_after: healthy_at(member).zip(known_at).map(|(at, known)| at.since(known)),
        bytes: member
            .filter(|member| member.full_bytes > 0)
            .map(|member| (ByteCount(member.downloaded_bytes), ByteCount(member.full_bytes))),
        complaint,
    }
}

fn healthy_at(member: Option<&MemberBody>) -> Option<Timestamp> {
    member.filter(|member| member.state == "healthy")?.since.parse().ok()
}

/// Shows a span; what is below a second is said so.
pub fn span_text(span: Seconds) -> String {
    if span == Seconds(0) { "< 1 s".to_owned() } else { span.to_string() }
}

/// Returns the table as text, and whether every device ended as it should.
pub fn verdict(rows: &[Row]) -> (String, bool) {
    let mut lines = vec![format!(
        "{:<14} {:<13} {:<5} {:<10} {:>9} {:>9}  {}",
        "device", "priority", "runs", "protected", "after", "fix after", "bytes loaded (full image, saved)"
    )];
    let shown = |span: Option<Seconds>| span.map_or_else(|| "-".to_owned(), span_text);
    for row in rows {
        let bytes = row.bytes.map_or_else(
            || "-".to_owned(),
            |(loaded, full)| format!("{loaded} ({full}, {})", ByteCount(full.0.saturating_sub(loaded.0))),
        );
        let complaint = row.complaint.as_ref().map_or_else(String::new, |text| format!("  ✗ {text}"));
        lines.push(format!(
            "{:<14} {:<13} {:<5} {:<10} {:>9} {:>9}  {bytes}{complaint}",
            row.device,
            row.priority,
            row.version,
            row.protected_by,
            shown(row.after),
            shown(row.fixed_after),
        ));
    }
    (lines.join("\n"), !rows.is_empty() && rows.iter().all(|row| row.complaint.is_none()))
}
