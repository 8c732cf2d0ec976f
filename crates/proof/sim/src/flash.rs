//! The flash of a device: two slots, a staging area, the boot loader's state, the journal; all that survives a power cut.
//!
//! In: writes, and where the power cut them. Out: what is really there. Refuses nothing: judging is the business of
//! [`crate::rules`].

use std::collections::BTreeMap;

use warden_agent::device::resume::RECORD_EVERY;
use warden_agent::machine::{BootView, Journal, Place, Trial};
use warden_model::Sha256Digest;
use warden_model::device::Slot;

/// Whether what was written is also what can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soundness {
    /// It is.
    Sound,
    /// A piece of it is torn or missing.
    Damaged,
}

/// What a slot or the staging area holds: a part of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The artifact that the bytes belong to.
    pub artifact: Sha256Digest,
    /// The size of the whole artifact, in bytes.
    pub size: u64,
    /// How many bytes are there, from the start.
    pub written: u64,
    /// Whether they are right.
    pub soundness: Soundness,
}

impl Content {
    /// Makes a whole artifact.
    pub fn whole(artifact: Sha256Digest, size: u64) -> Self {
        Self { artifact, size, written: size, soundness: Soundness::Sound }
    }

    /// Returns the artifact, when it is complete and right.
    pub fn complete(&self) -> Option<Sha256Digest> {
        (self.written == self.size && self.soundness == Soundness::Sound).then_some(self.artifact)
    }
}

/// All that survives a power cut.
#[derive(Debug, Clone)]
pub struct Flash {
    slots: BTreeMap<Slot, Content>,
    staging: Option<Content>,
    /// The slot that a patch is making, and the image: there is a record of how far it is.
    recorded: Option<(Slot, Sha256Digest)>,
    /// The slot that the boot loader falls back to.
    pub confirmed: Slot,
    /// The slot that runs.
    pub running: Slot,
    /// What the boot loader has on trial.
    pub trial: Trial,
    /// What the machine saved last.
    pub journal: Journal,
}

impl Flash {
    /// Makes the flash of a new device: one image, one journal.
    pub fn factory(slot: Slot, image: Content, journal: Journal) -> Self {
        let slots = BTreeMap::from([(slot, image)]);
        Self {
            slots,
            staging: None,
            recorded: None,
            confirmed: slot,
            running: slot,
            trial: Trial::None,
            journal,
        }
    }

    /// Returns what is in a slot.
    pub fn slot(&self, slot: Slot) -> Option<&Content> {
        self.slots.get(&slot)
    }

    /// Returns the image in a slot, when it is complete and right.
    pub fn image(&self, slot: Slot) -> Option<Sha256Digest> {
        self.slot(slot).and_then(Content::complete)
    }

    /// Returns what lies in the staging area.
    pub fn staged(&self) -> Option<&Content> {
        self.staging.as_ref()
    }

    /// Puts something into the staging area.
    pub fn stage(&mut self, content: Content) {
        self.staging = Some(content);
    }

    /// Empties the staging area.
    pub fn clear_staging(&mut self) {
        self.staging = None;
    }

    /// Starts to write an artifact at `offset`: what lies behind it is cut off; what is missing before it, or belongs to
    /// something else, is a hole that only the digest will show.
    pub fn begin(&mut self, place: Place, artifact: Sha256Digest, size: u64, offset: u64) {
        let before = self.content(place).filter(|content| content.artifact == artifact && offset > 0);
        let soundness = match before {
            Some(content) if content.written >= offset => content.soundness,
            None if offset == 0 => Soundness::Sound,
            Some(_) | None => Soundness::Damaged,
        };
        let content = Content { artifact, size, written: offset.min(size), soundness };
        match place {
            Place::Slot(slot) => {
                self.recorded = None;
                self.slots.insert(slot, content);
            }
            Place::Staging => self.staging = Some(content),
        }
    }

    /// Starts to make a slot from a patch, or goes on after a cut; returns from which byte on. What is torn in front of the
    /// record is found, and all is made anew.
    pub fn begin_patched(&mut self, slot: Slot, image: Sha256Digest, size: u64) -> u64 {
        let recorded = self.recorded == Some((slot, image));
        let before = self.slot(slot).filter(|content| {
            recorded
                && content.artifact == image
                && content.size == size
                && content.soundness == Soundness::Sound
        });
        let from = before.map_or(0, |content| content.written / RECORD_EVERY.0 * RECORD_EVERY.0);
        self.begin(Place::Slot(slot), image, size, from);
        self.recorded = Some((slot, image));
        from
    }

    /// Writes on, up to this many bytes from the start.
    pub fn grow(&mut self, place: Place, written: u64) {
        if let Some(content) = self.content_mut(place) {
            content.written = written.min(content.size).max(content.written);
        }
    }

    /// Tears a piece of what is there.
    pub fn damage(&mut self, place: Place) {
        if let Some(content) = self.content_mut(place) {
            content.soundness = Soundness::Damaged;
        }
    }

    fn content(&self, place: Place) -> Option<Content> {
        match place {
            Place::Slot(slot) => self.slots.get(&slot).copied(),
            Place::Staging => self.staging,
        }
    }

    fn content_mut(&mut self, place: Place) -> Option<&mut Content> {
        match place {
            Place::Slot(slot) => self.slots.get_mut(&slot),
            Place::Staging => self.staging.as_mut(),
        }
    }

    /// Runs the boot loader: a try is spent before it starts, as the agent's own boot loader does.
    pub fn power_on(&mut self) -> BootView {
        self.running = match self.trial {
            Trial::Armed { tries_left: 0 } => {
                self.trial = Trial::Exhausted;
                self.confirmed
            }
            Trial::Armed { tries_left } => {
                self.trial = Trial::Armed { tries_left: tries_left - 1 };
                self.confirmed.other()
            }
            Trial::None | Trial::Exhausted => self.confirmed,
        };
        self.view()
    }

    /// Says what the boot loader says to the agent.
    pub fn view(&self) -> BootView {
        BootView { running: self.running, confirmed: self.confirmed, trial: self.trial }
    }

    /// Puts the other slot on trial.
    pub fn arm(&mut self, tries: u8) {
        self.trial = Trial::Armed { tries_left: tries.max(1) };
    }

    /// Confirms the running slot.
    pub fn confirm(&mut self) {
        (self.confirmed, self.trial) = (self.running, Trial::None);
    }

    /// Ends the trial.
    pub fn revert(&mut self) {
        self.trial = Trial::None;
    }

    /// Forgets a trial that used up its boots.
    pub fn forget(&mut self) {
        if self.trial == Trial::Exhausted {
            self.trial = Trial::None;
        }
    }
}
