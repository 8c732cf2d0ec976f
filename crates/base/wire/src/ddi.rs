//! hawkBit Direct Device Integration v1: the JSON of the device protocol.
//!
//! In: what any DDI client sends (SWUpdate, rauc-hawkbit-updater, our own agent). Out: typed messages. Refuses: feedback
//! without execution or result. Unknown fields are ignored, as hawkBit does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest controller id that hawkBit takes, in characters.
pub const CONTROLLER_ID_CHARS_MAX: usize = 256;
/// Most attributes a device may keep (hawkBit quota "attributes per target").
pub const ATTRIBUTES_MAX: usize = 100;
/// Longest attribute key and value, in characters (hawkBit quota).
pub const ATTRIBUTE_CHARS_MAX: usize = 128;
/// Most messages kept of one feedback (hawkBit quota "messages per status").
pub const DETAILS_MAX: usize = 50;
/// Longest message kept of one feedback, in characters (hawkBit quota).
pub const DETAIL_CHARS_MAX: usize = 512;

/// The rel of the link that leads to the signed update metadata; its `href` ends in `/`, file names follow.
pub const LINK_METADATA: &str = "fleetwardenMetadata";
/// The rel of the link that leads to artifacts by digest; its `href` ends in `/`, a SHA-256 digest in hex follows.
pub const LINK_ARTIFACTS: &str = "fleetwardenArtifacts";
/// The rel of the link that takes the device's signed state report.
pub const LINK_STATE: &str = "fleetwardenState";

/// The key of the chunk metadata that names the image to run, as a SHA-256 digest in hex.
pub const META_IMAGE: &str = "fleetwarden.image";
/// The key of the chunk metadata that tells the order: `install` or `turn-back`.
pub const META_ORDER: &str = "fleetwarden.order";
/// The key of the chunk metadata that holds the order's generation, a decimal number.
pub const META_GENERATION: &str = "fleetwarden.generation";

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where it leads, absolute.
    pub href: String,
}

/// The answer to a base poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// How often to poll.
    pub config: Config,
    /// What there is to do; absent when empty, as hawkBit has it.
    #[serde(rename = "_links", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
}

/// The configuration inside a base poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// How often to poll.
    pub polling: Polling,
}

/// How often to poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// Pause between polls, `HH:MM:SS`.
    pub sleep: String,
}

impl Polling {
    /// Makes the text form; at most 23:59:59, the longest that hawkBit knows.
    pub fn every(seconds: u64) -> Self {
        let seconds = seconds.min(86_399);
        Self { sleep: format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60) }
    }

    /// Reads the pause in seconds; nothing when the text is no `HH:MM:SS`.
    pub fn seconds(&self) -> Option<u64> {
        let mut parts = self.sleep.split(':').map(|part| part.parse::<u64>().ok());
        let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
        let fits = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
        fits.then_some(hours * 3_600 + minutes * 60 + seconds)
    }
}

/// The answer to `GET deploymentBase/{actionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentBase {
    /// The action id, as text.
    pub id: String,
    /// What to install.
    pub deployment: Deployment,
}

/// How to handle a part of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// Leave it.
    Skip,
    /// When it suits the device.
    Attempt,
    /// At once.
    Forced,
}

/// Whether the maintenance window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Open.
    Available,
    /// Closed.
    Unavailable,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Whether to download.
    pub download: Handling,
    /// Whether to install.
    pub update: Handling,
    /// Whether the maintenance window is open; absent when there is none.
    #[serde(rename = "maintenanceWindow", default, skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<Window>,
    /// What to install.
    pub chunks: Vec<Chunk>,
}

/// A software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The kind of module, for instance `os`.
    pub part: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its files.
    pub artifacts: Vec<Artifact>,
    /// What our own agent wants to know (`META_…`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
}

impl Chunk {
    /// Returns the value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A file of a software module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub filename: String,
    /// Its hashes.
    pub hashes: Hashes,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is: `download` and `md5sum` over TLS.
    #[serde(rename = "_links")]
    pub links: BTreeMap<String, Link>,
}

/// The hashes of a file, in lower-case hex. DDI clients check SHA-1 or MD5; belief rests on the signed metadata alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// SHA-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    /// MD5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The answer to `GET cancelAction/{actionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelBase {
    /// The action id, as text.
    pub id: String,
    /// What to stop.
    #[serde(rename = "cancelAction")]
    pub cancel_action: CancelAction,
}

/// What to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAction {
    /// The action to stop, as text; the same as the id.
    #[serde(rename = "stopId")]
    pub stop_id: String,
}

/// What a client answers to an action. `id` and `time`, which clients fill in strange ways, are not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The status.
    pub status: Status,
}

/// The status inside a feedback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What the client is doing.
    pub execution: Execution,
    /// With what result.
    pub result: Outcome,
    /// A code of the client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Messages for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    /// It is done, whatever the result.
    Closed,
    /// It works on it.
    Proceeding,
    /// It says that it has cancelled.
    Canceled,
    /// It will do it later.
    Scheduled,
    /// It does not want to.
    Rejected,
    /// It went on.
    Resumed,
    /// It loads.
    Download,
    /// It has loaded.
    Downloaded,
}

/// The result inside a status. `progress`, which clients fill in strange ways, is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub finished: Finished,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finished {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// It has not.
    None,
}

impl Feedback {
    /// Makes a feedback with one message.
    pub fn new(execution: Execution, finished: Finished, detail: &str) -> Self {
        let details = vec![detail.chars().take(DETAIL_CHARS_MAX).collect()];
        Self { status: Status { execution, result: Outcome { finished }, code: None, details } }
    }

    /// Returns the messages cut to hawkBit's quota: more never makes a feedback fail.
    pub fn details_within_quota(&self) -> Vec<String> {
        let cut = |text: &String| text.chars().take(DETAIL_CHARS_MAX).collect();
        self.status.details.iter().take(DETAILS_MAX).map(cut).collect()
    }
}

/// How new attributes meet those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigMode {
    /// They are added.
    #[default]
    Merge,
    /// They replace all.
    Replace,
    /// They are removed.
    Remove,
}

/// The body of `PUT configData`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigData {
    /// How they meet those that are there.
    #[serde(default)]
    pub mode: ConfigMode,
    /// The attributes; never empty.
    pub data: BTreeMap<String, String>,
}

/// An error, as hawkBit's clients expect it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdiError {
    /// A key such as `hawkbit.server.error.repo.entityNotFound`.
    #[serde(rename = "errorCode")]
    pub error_code: String,
    /// What failed and why.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::{Execution, Feedback, Finished, Polling};

    fn reads(text: &str) -> Feedback {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn reads_what_clients_in_the_field_send() {
        // SWUpdate: `id` is a number, progress counts beyond its end.
        let swupdate = reads(
            r#"{"id":5,"time":"20261122T080530","status":{"result":{"progress":{"cnt":1,"of":0},"finished":"none"},
                "execution":"proceeding","details":["Installed Chunk."]}}"#,
        );
        assert_eq!(swupdate.status.execution, Execution::Proceeding);
        // rauc-hawkbit-updater: `id` is a text.
        let rauc = reads(
            r#"{"id":"5","status":{"result":{"finished":"success"},"execution":"closed","details":["ok"]}}"#,
        );
        assert_eq!(rauc.status.result.finished, Finished::Success);
    }

    #[test]
    fn refuses_feedback_without_a_result() {
        let text = r#"{"status":{"execution":"closed"}}"#;
        assert!(serde_json::from_str::<Feedback>(text).is_err());
    }

    #[test]
    fn the_pause_keeps_its_form() {
        assert_eq!(Polling::every(3_661).sleep, "01:01:01");
        assert_eq!(Polling::every(u64::MAX).seconds(), Some(86_399));
        for text in ["", "5", "00:00", "00:61:00", "00:00:00:00", "a:b:c"] {
            assert_eq!(Polling { sleep: text.to_owned() }.seconds(), None, "{text:?}");
        }
    }
}
