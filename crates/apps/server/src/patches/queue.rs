//! Which patches are wanted, which one comes next, and when a release need not wait for more of them.
//!
//! In: releases, what the fleet runs, where each patch stands, and `now`. Out: decisions with their reasons; no store, no
//! files, no clock in here. Refuses nothing.
//!
//! The way back needs no patch: what a device ran before lies in its other slot, and it takes no older release from
//! anywhere else.

use std::collections::{BTreeMap, BTreeSet};

use warden_model::device::Running;
use warden_model::release::{PatchJob, PatchState, Release, ReleaseState};
use warden_model::{PerMille, ReleaseId, Seconds, Sha256Digest, Timestamp};

use crate::config::PatchConfig;

/// How often a patch is begun. What fails for a reason of the machine (a full disk, too little memory, a restart in the
/// middle) often works the next time; what fails three times does not.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// How long to wait after the first failure; after the second twice as long. A full disk is noticed by then.
const AGAIN_AFTER: Seconds = Seconds(600);

/// What the devices of a product run, and how many of them.
pub(crate) type Field = [(Running, u64)];

/// A patch that devices could use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Want {
    /// What they run.
    pub(super) base: Running,
    /// What they shall run.
    pub(super) result: Sha256Digest,
    /// How many they are.
    pub(super) devices: u64,
}

/// Returns the patches that a product's devices could use: to each release that is on its way, to the newest that is
/// signed, and to those that a rollout is bringing out; from each version that is older.
pub(super) fn wants(releases: &[Release], active: &BTreeSet<ReleaseId>, field: &Field) -> Vec<Want> {
    let newest =
        releases.iter().filter(|release| release.state == ReleaseState::Signed).map(|one| one.counter).max();
    let is_target = |release: &&Release| match release.state {
        ReleaseState::Analysed | ReleaseState::Built | ReleaseState::Proven => true,
        ReleaseState::Signed => Some(release.counter) == newest || active.contains(&release.id),
        ReleaseState::Uploaded | ReleaseState::Rejected | ReleaseState::Withdrawn => false,
    };
    let counters: BTreeMap<Sha256Digest, u64> = releases.iter().map(|one| (one.image, one.counter)).collect();
    let mut wants: BTreeMap<(Sha256Digest, Sha256Digest), Want> = BTreeMap::new();
    for target in releases.iter().filter(is_target) {
        // A device never goes below what it has confirmed; what is no release of ours has no counter.
        let is_older =
            |image: &Sha256Digest| counters.get(image).is_none_or(|counter| *counter < target.counter);
        for (base, devices) in
            field.iter().filter(|(base, _)| base.image != target.image && is_older(&base.image))
        {
            let want = Want { base: base.clone(), result: target.image, devices: 0 };
            let kept = wants.entry((target.image, base.image)).or_insert(want);
            // One image under two version names is one base.
            kept.devices = kept.devices.saturating_add(*devices);
        }
    }
    wants.into_values().collect()
}

/// Returns the patches that may be begun now, in their order: for most devices first, then the one that waits longest.
pub(super) fn in_order(mut jobs: Vec<PatchJob>, now: Timestamp) -> Vec<PatchJob> {
    jobs.retain(|job| job.state == PatchState::Waiting && job.again_at.is_none_or(|again| again <= now));
    jobs.sort_by(|a, b| {
        let most = b.devices.cmp(&a.devices);
        most.then_with(|| a.wanted_at.cmp(&b.wanted_at))
            .then_with(|| (a.result, a.base).cmp(&(b.result, b.base)))
    });
    jobs
}

/// Notes that an attempt failed for a reason that may pass.
pub(super) fn failed(job: PatchJob, why: &str, now: Timestamp) -> PatchJob {
    let attempt = job.attempts;
    if attempt >= ATTEMPTS_MAX {
        let reason = format!("it could not be built in {attempt} attempts; the last one: {why}");
        return PatchJob { state: PatchState::Failed, step: None, reason, again_at: None, ..job };
    }
    let pause = AGAIN_AFTER.0.saturating_mul(u64::from(attempt.max(1)));
    let again_at = Some(now.plus(Seconds(pause)));
    let reason = format!("attempt {attempt} of {ATTEMPTS_MAX} failed: {why}");
    PatchJob { state: PatchState::Waiting, step: None, reason, again_at, ..job }
}

/// How far the patches of a release are, counted in devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Devices that the release could go to, or that run it.
    pub(crate) devices: u64,
    /// Those whose patch is ready, or will not come.
    pub(crate) ready: u64,
    /// Patches that are still to be built.
    pub(crate) open: u64,
}

impl Coverage {
    /// Counts.
    pub(crate) fn of(jobs: &[PatchJob], field: &Field) -> Self {
        let open_bases: BTreeMap<Sha256Digest, &PatchJob> =
            jobs.iter().filter(|job| is_open(job)).map(|job| (job.base, job)).collect();
        let (mut devices, mut ready) = (0_u64, 0_u64);
        for (running, count) in field {
            devices = devices.saturating_add(*count);
            if !open_bases.contains_key(&running.image) {
                ready = ready.saturating_add(*count);
            }
        }
        Self { devices, ready, open: u64::try_from(open_bases.len()).unwrap_or(u64::MAX) }
    }

    /// Returns the share of the devices whose patch is ready.
    pub(crate) fn share(self) -> PerMille {
        if self.devices == 0 { PerMille::ALL } else { PerMille::of(self.ready, self.devices) }
    }
}

/// Says whether a release still waits for a patch. One that has failed once is tried again, but nobody waits for it.
fn is_open(job: &PatchJob) -> bool {
    !job.state.is_settled() && job.again_at.is_none() && job.devices > 0
}

/// Whether a release goes on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It goes on.
    Goes(String),
    /// It waits.
    Waits(String),
}

/// Says whether a release whose patches stand like this goes on to the lab.
pub(crate) fn readiness(jobs: &[PatchJob], field: &Field, config: &PatchConfig, now: Timestamp) -> Readiness {
    let coverage = Coverage::of(jobs, field);
    let Coverage { devices, ready, open } = coverage;
    if open == 0 {
        return Readiness::Goes("all patches are ready".to_owned());
    }
    let so_far = format!("patches are ready for {ready} of {devices} devices ({})", coverage.share());
    if config.builds == 0 {
        return Readiness::Goes(
            "the building of patches is switched off, so devices load the full image".to_owned(),
        );
    }
    if coverage.share() >= config.cover {
        return Readiness::Goes(format!("{so_far}, and {} is enough; the others follow", config.cover));
    }
    let since = jobs.iter().filter(|job| is_open(job)).map(|job| job.wanted_at).min().unwrap_or(now);
    let until = since.plus(config.wait);
    if now >= until {
        return Readiness::Goes(format!("{so_far} after {}, and the others follow", config.wait));
    }
    Readiness::Waits(format!("{so_far}; it goes on at {}, or at {until}", config.cover))
}

#[cfg(test)]
mod tests;
