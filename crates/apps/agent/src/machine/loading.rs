//! From an order to a slot that was read back and found right.

use warden_model::report::{Cause, ReportPhase};
use warden_model::rollout::Order;
use warden_model::{ByteCount, Timestamp};

use super::backoff::Backoff;
use super::input::{
    ImageTarget, LoadFailure, MetadataFailure, PatchTarget, Signed, Verification, WriteFailure,
};
use super::journal::{Made, Patch, Source, Standing, Step, Target};
use super::offer::Hold;
use super::output::{Output, Place};
use super::{Asked, FAILURES_MAX, Machine, Settings, pieces};

impl Machine {
    /// Returns whether the order in work may go on at present, as far as the server has a say.
    pub(super) fn may_work(&self) -> bool {
        let Some(update) = &self.journal.update else { return false };
        if update.source == Source::Local {
            return true;
        }
        match self.hold {
            Hold::Nothing => true,
            Hold::Switch => !matches!(update.step, Step::Arming { .. }),
            Hold::All => false,
        }
    }

    pub(super) fn work_step(&mut self, now: Timestamp) -> Option<(Asked, Output)> {
        if !self.may_work() || !self.work.open(now) {
            return None;
        }
        let update = self.journal.update.as_ref()?;
        if let Some(step) = self.pieces_step(update) {
            return Some(step);
        }
        let slot = self.journal.slot.other();
        let image = update.image;
        let image_size = update.target.as_ref().map_or(ByteCount(0), |target| ByteCount(target.size_bytes));
        Some(match &update.step {
            Step::Accepted => (Asked::Metadata, Output::FetchMetadata { image }),
            Step::LoadingPatch { patch, done_bytes } => {
                let (digest, size, place) = (patch.digest, ByteCount(patch.size_bytes), Place::Staging);
                (Asked::Download, Output::Download { digest, size, place, offset: ByteCount(*done_bytes) })
            }
            Step::Applying { patch } => {
                let patch =
                    PatchTarget { digest: patch.digest, size: ByteCount(patch.size_bytes), base: patch.base };
                let base = self.journal.slot;
                (Asked::Write, Output::ApplyPatch { patch, base, slot, image, size: image_size })
            }
            Step::LoadingImage { done_bytes } => {
                let (digest, place, offset) = (image, Place::Slot(slot), ByteCount(*done_bytes));
                (Asked::Download, Output::Download { digest, size: image_size, place, offset })
            }
            Step::Writing => (Asked::Write, Output::WriteImage { slot, size: image_size }),
            Step::Verifying { .. } => (Asked::Verify, Output::VerifySlot { slot, image, size: image_size }),
            Step::Arming { .. } => {
                let tries = self.settings.tries.max(1);
                (Asked::Boot, Output::ArmAndReboot { slot, tries })
            }
            // These belong to the boot, see `boot_step`; pieces are told above.
            Step::Trial
            | Step::Confirming { .. }
            | Step::Reverting { .. }
            | Step::LoadingPieces { .. }
            | Step::Assembling { .. } => return None,
        })
    }

    /// Takes a step. Whoever starts to write the other slot forgets what it held, in the same save: after a cut
    /// nobody takes a half-written slot for an image.
    pub(super) fn set_step(&mut self, step: Step) {
        if matches!(
            step,
            Step::Applying { .. } | Step::Assembling { .. } | Step::LoadingImage { .. } | Step::Writing
        ) {
            self.journal.other = None;
        }
        if let Some(update) = &mut self.journal.update {
            update.step = step;
        }
    }

    fn step(&self) -> Option<&Step> {
        self.journal.update.as_ref().map(|update| &update.step)
    }

    pub(super) fn set_target(&mut self, image: &ImageTarget) {
        if let Some(update) = &mut self.journal.update {
            update.target = Some(Target {
                version: image.running.version.clone(),
                size_bytes: image.size.0,
                release_counter: image.release_counter,
            });
        }
    }

    /// Says why a signed image must not be installed here.
    pub(super) fn refusal(&self, image: &ImageTarget) -> Option<(Cause, String)> {
        let Settings { product, hardware, .. } = &self.settings;
        if image.product != *product {
            let why = format!("the image is for product {}, this is {product}", image.product);
            return Some((Cause::WrongHardware, why));
        }
        if !image.hardware.contains(hardware) {
            return Some((Cause::WrongHardware, format!("the image is not for board {hardware}")));
        }
        let confirmed = self.journal.confirmed.release_counter;
        // Equal is no step back: the same release may be installed again.
        (image.release_counter < confirmed).then(|| {
            let why = format!("release counter {} is below the confirmed {confirmed}", image.release_counter);
            (Cause::OlderRelease, why)
        })
    }

    pub(super) fn metadata_fetched(&mut self, signed: &Signed, now: Timestamp) {
        let Some(wanted) = self.journal.update.as_ref().map(|update| update.image) else { return };
        let Some(image) = signed.image.as_ref().filter(|image| image.running.image == wanted) else {
            let why = format!("nobody signed the image {}", wanted.short());
            return self.fail(Cause::NotTrusted, &why, now);
        };
        if let Some((cause, why)) = self.refusal(image) {
            return self.fail(cause, &why, now);
        }
        self.set_target(image);
        self.work = Backoff::CLEAR;
        if self.journal.other.as_ref().is_some_and(|other| other.image == wanted) {
            // An earlier update left it there: nothing needs to be loaded, it is read back like any other.
            return self.set_step(Step::Verifying { made: Made::Before });
        }
        let base = self.journal.confirmed.image;
        let fits = |patch: &&PatchTarget| patch.base == base && patch.size < image.size;
        let step = match signed.patches.iter().filter(fits).min_by_key(|patch| (patch.size, patch.digest)) {
            Some(patch) => {
                let patch = Patch { digest: patch.digest, size_bytes: patch.size.0, base: patch.base };
                Step::LoadingPatch { patch, done_bytes: 0 }
            }
            None => match pieces::indexes(signed, wanted, base) {
                Some(indexes) => Step::LoadingPieces { indexes, done_bytes: 0 },
                None => Step::LoadingImage { done_bytes: 0 },
            },
        };
        self.set_step(step);
    }

    pub(super) fn metadata_failed(&mut self, failure: MetadataFailure, now: Timestamp) {
        match failure {
            MetadataFailure::NotTrusted(why) => self.fail(Cause::NotTrusted, &why, now),
            MetadataFailure::Unreachable => self.try_later("the signed metadata does not come", now),
        }
    }

    fn try_later(&mut self, detail: &str, now: Timestamp) {
        self.work.fail(now, self.settings.seed);
        if self.work.failures >= FAILURES_MAX {
            self.fail(Cause::DownloadFailed, detail, now);
        }
    }

    /// Notes what is safely on disk.
    pub(super) fn loaded(&mut self, done: ByteCount) {
        let Some(update) = &mut self.journal.update else { return };
        let (Step::LoadingPatch { done_bytes, .. }
        | Step::LoadingPieces { done_bytes, .. }
        | Step::LoadingImage { done_bytes }) = &mut update.step
        else {
            return;
        };
        if done.0 > *done_bytes {
            update.downloaded_bytes = update.downloaded_bytes.saturating_add(done.0 - *done_bytes);
            self.work = Backoff::CLEAR;
        }
        *done_bytes = done.0;
    }

    pub(super) fn download_finished(&mut self) {
        let Some(update) = &self.journal.update else { return };
        let image_size = update.target.as_ref().map_or(0, |target| target.size_bytes);
        let (size, next) = match update.step {
            Step::LoadingPatch { patch, .. } => (patch.size_bytes, Step::Applying { patch }),
            Step::LoadingPieces { indexes, done_bytes } => (done_bytes, Step::Assembling { indexes }),
            Step::LoadingImage { .. } => (image_size, Step::Verifying { made: Made::Whole }),
            _ => return,
        };
        self.loaded(ByteCount(size));
        self.set_step(next);
    }

    pub(super) fn download_failed(
        &mut self,
        done: ByteCount,
        failure: LoadFailure,
        detail: &str,
        now: Timestamp,
    ) {
        self.loaded(done);
        let patching = matches!(self.step(), Some(Step::LoadingPatch { .. }));
        let pieces = matches!(self.step(), Some(Step::LoadingPieces { .. }));
        match failure {
            LoadFailure::NoSpace | LoadFailure::WrongBytes | LoadFailure::NotWorth if pieces => {
                self.leave_pieces(detail);
            }
            LoadFailure::Network => self.try_later(detail, now),
            // The whole image needs no staging area, and is another file: it may still work.
            LoadFailure::NoSpace | LoadFailure::WrongBytes if patching => self.load_whole_image(),
            LoadFailure::NoSpace => self.fail(Cause::NoSpace, detail, now),
            LoadFailure::WrongBytes | LoadFailure::NotWorth => self.fail(Cause::WrongBytes, detail, now),
        }
    }

    fn load_whole_image(&mut self) {
        self.word = Some("the patch does not work here, loading the whole image".to_owned());
        self.set_step(Step::LoadingImage { done_bytes: 0 });
    }

    pub(super) fn written(&mut self) {
        let made = match self.step() {
            Some(Step::Applying { .. }) => Made::Patch,
            Some(Step::Assembling { .. }) => Made::Pieces,
            _ => Made::Whole,
        };
        self.set_step(Step::Verifying { made });
    }

    pub(super) fn write_failed(&mut self, failure: WriteFailure, detail: &str, now: Timestamp) {
        let from_server = self.journal.update.as_ref().is_some_and(|update| update.source != Source::Local);
        match failure {
            WriteFailure::Patch if matches!(self.step(), Some(Step::Assembling { .. })) => {
                self.leave_pieces("the pieces do not make the image");
            }
            WriteFailure::Patch if from_server => self.load_whole_image(),
            WriteFailure::Patch => self.fail(Cause::WrongBytes, detail, now),
            WriteFailure::NoSpace => self.fail(Cause::NoSpace, detail, now),
            WriteFailure::Broken => self.fail(Cause::DownloadFailed, detail, now),
        }
    }

    pub(super) fn slot_verified(&mut self, verification: Verification, now: Timestamp) {
        let Some(update) = &mut self.journal.update else { return };
        let (Step::Verifying { made }, Some(target)) = (&update.step, &update.target) else { return };
        let made = *made;
        match verification {
            Verification::Matches => {
                if made != Made::Before {
                    self.journal.other = Some(target.installed(update.image, Standing::Verified));
                }
                let told = update.reported.is_some();
                self.set_step(Step::Arming { made });
                if !told {
                    self.report(Some(ReportPhase::Installed), None, "the slot is written and right", now);
                    self.word = Some("the slot is written and right, switching".to_owned());
                }
            }
            Verification::Differs => {
                let from_server = update.source != Source::Local;
                let again = match made {
                    Made::Patch | Made::Pieces => from_server,
                    // A resumed download may hold a torn piece: once, all of it is loaded anew.
                    Made::Whole => from_server && !std::mem::replace(&mut update.second_try, true),
                    Made::Before => from_server && update.order == Order::Install,
                };
                self.journal.other = None;
                if again {
                    self.set_step(Step::LoadingImage { done_bytes: 0 });
                } else {
                    self.fail(Cause::WrongBytes, "the slot does not hold the image that was ordered", now);
                }
            }
        }
    }
}
