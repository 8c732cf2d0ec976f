//! What can be written: whole domain values, each in a way that may be repeated.
//!
//! In: values. Out: rows; the events that are new. Refuses: values whose parents are unknown.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use warden_model::advisory::Advisory;
use warden_model::alert::Alert;
use warden_model::case::{Case, Finding};
use warden_model::device::Device;
use warden_model::event::Event;
use warden_model::firmware::Firmware;
use warden_model::product::Product;
use warden_model::release::{Patch, PatchJob, Release};
use warden_model::rollout::{Member, Rollout};
use warden_model::scan::Sighting;
use warden_model::shield::Shield;
use warden_model::{ActionId, DeviceId, RolloutId, Sha256Digest};

use crate::error::StoreError;
use crate::table::directives::{Feedback, StoredDirective, UpdateCost};
use crate::table::releases::LabRun;
use crate::table::scans::{ScanHost, StoredScan};
use crate::table::{
    advisories, cases, devices, directives, events, firmware, patches, products, releases, rollouts, scans,
    settings, shields,
};

/// A value to write; a value with the same key is replaced.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A product.
    Product(Product),
    /// A device. Its sign of life and address never go back behind a newer one.
    Device(Device),
    /// What a device says of itself, for instance by DDI `configData`; replaces what it said before.
    Attributes {
        /// The device.
        device: DeviceId,
        /// All its attributes.
        values: BTreeMap<String, String>,
    },
    /// A firmware.
    Firmware(Firmware),
    /// A patch.
    Patch(Patch),
    /// Where the building of a patch stands.
    PatchJob(PatchJob),
    /// Removes where the building of a patch stands: nobody wants it.
    RemovePatchJob {
        /// The image that it would apply to.
        base: Sha256Digest,
        /// The image that it would make.
        result: Sha256Digest,
    },
    /// Removes a patch, and where its building stands; its file is the caller's business.
    RemovePatch {
        /// The image that it applies to.
        base: Sha256Digest,
        /// The image that it makes.
        result: Sha256Digest,
    },
    /// An advisory.
    Advisory(Advisory),
    /// A finding.
    Finding(Finding),
    /// Removes all findings of a firmware, before they are written anew.
    RemoveFindings {
        /// The firmware.
        image: Sha256Digest,
    },
    /// A case.
    Case(Case),
    /// A release.
    Release(Release),
    /// A run of a scenario in the lab.
    LabRun(LabRun),
    /// A rollout.
    Rollout(Rollout),
    /// A device of a rollout.
    Member {
        /// The rollout.
        rollout: RolloutId,
        /// The device, and where it stands.
        member: Member,
    },
    /// An order.
    Directive(StoredDirective),
    /// An answer of a device to an order; the same answer at the same moment is kept once.
    Feedback {
        /// The order.
        action: ActionId,
        /// When it came.
        at: warden_model::Timestamp,
        /// The DDI execution state.
        execution: String,
        /// The DDI result.
        finished: String,
        /// The device's messages.
        messages: Vec<String>,
    },
    /// What carrying out an order cost.
    ReportCost {
        /// The order.
        action: ActionId,
        /// What it cost.
        cost: UpdateCost,
    },
    /// An alert.
    Alert(Alert),
    /// A shield.
    Shield(Shield),
    /// A scan report.
    Scan(StoredScan),
    /// A host of a scan report.
    ScanHost(ScanHost),
    /// What a scanner saw on a device.
    Sighting(Sighting),
    /// An event; the same event at the same moment is kept once.
    Event(Event),
    /// A setting or other small state of the server: a baseline, how far a log was read, the text of a rule set.
    Setting {
        /// Its name.
        key: String,
        /// Its value.
        value: serde_json::Value,
    },
}

/// Writes one value, and returns the event when it is a new one.
pub(crate) async fn apply(on: &mut SqliteConnection, write: &Write) -> Result<Option<Event>, StoreError> {
    match write {
        Write::Product(product) => products::write(on, product).await?,
        Write::Device(device) => devices::write(on, device).await?,
        Write::Attributes { device, values } => devices::write_attributes(on, device, values).await?,
        Write::Firmware(firmware) => firmware::write(on, firmware).await?,
        Write::Patch(patch) => patches::write(on, patch).await?,
        Write::PatchJob(job) => patches::write_job(on, job).await?,
        Write::RemovePatchJob { base, result } => patches::remove_job(on, base, result).await?,
        Write::RemovePatch { base, result } => patches::remove(on, base, result).await?,
        Write::Advisory(advisory) => advisories::write(on, advisory).await?,
        Write::Finding(finding) => advisories::write_finding(on, finding).await?,
        Write::RemoveFindings { image } => advisories::remove_findings(on, *image).await?,
        Write::Case(case) => cases::write(on, case).await?,
        Write::Release(release) => releases::write(on, release).await?,
        Write::LabRun(run) => releases::write_lab_run(on, run).await?,
        Write::Rollout(rollout) => rollouts::write(on, rollout).await?,
        Write::Member { rollout, member } => rollouts::write_member(on, rollout, member).await?,
        Write::Directive(directive) => directives::write(on, directive).await?,
        Write::Feedback { action, at, execution, finished, messages } => {
            let feedback = Feedback {
                at: *at,
                execution: execution.clone(),
                finished: finished.clone(),
                messages: messages.clone(),
            };
            directives::write_feedback(on, *action, &feedback).await?;
        }
        Write::ReportCost { action, cost } => directives::write_cost(on, *action, cost).await?,
        Write::Alert(alert) => shields::write_alert(on, alert).await?,
        Write::Shield(shield) => shields::write(on, shield).await?,
        Write::Scan(scan) => scans::write(on, scan).await?,
        Write::ScanHost(host) => scans::write_host(on, host).await?,
        Write::Sighting(sighting) => scans::write_sighting(on, sighting).await?,
        Write::Event(event) => return events::write(on, event).await,
        Write::Setting { key, value } => settings::write(on, key, value).await?,
    }
    Ok(None)
}
