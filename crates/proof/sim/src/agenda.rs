//! The agenda: what will happen, in the order of virtual time.
//!
//! In: happenings and their moments. Out: the next one. Refuses nothing; what is planned for the same moment happens in the
//! order in which it was planned, so that a run can be repeated.

use std::collections::BTreeMap;

use warden_agent::machine::Input;
use warden_model::{DeviceId, Timestamp};

use crate::link::Request;

/// The number of a device's life: each power-on or cut starts another one, and what was meant for an earlier one is void.
pub type Life = u64;

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Happening {
    /// The boot loader of a device runs.
    PowerOn {
        /// The device.
        device: DeviceId,
        /// In which life.
        life: Life,
    },
    /// The agent of a device starts.
    Up {
        /// The device.
        device: DeviceId,
        /// In which life.
        life: Life,
    },
    /// A device has carried out what its machine asked for.
    Done {
        /// The device.
        device: DeviceId,
        /// In which life.
        life: Life,
    },
    /// A message arrives at the server.
    Arrives {
        /// Who sent it.
        device: DeviceId,
        /// The message.
        request: Box<Request>,
        /// Who waits for the answer, and until when; nobody waits for a copy that was held up on its way.
        reply: Option<(Life, Timestamp)>,
    },
    /// An answer, or the lack of one, reaches the device.
    Answered {
        /// The device.
        device: DeviceId,
        /// In which life it asked.
        life: Life,
        /// The answer.
        input: Box<Input>,
    },
    /// The power of a device goes.
    PowerCut {
        /// The device.
        device: DeviceId,
        /// In which life.
        life: Life,
    },
    /// The server's loop turns.
    Turn,
}

/// All that will happen.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
}

impl Agenda {
    /// Plans something.
    pub fn at(&mut self, moment: Timestamp, happening: Happening) {
        self.planned += 1;
        self.entries.insert((moment, self.planned), happening);
    }

    /// Returns the moment of the next happening.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((moment, _), _)| *moment)
    }

    /// Takes the next happening.
    pub fn take(&mut self) -> Option<(Timestamp, Happening)> {
        self.entries.pop_first().map(|((moment, _), happening)| (moment, happening))
    }
}

/// Returns the moment so many milliseconds later.
pub fn later(moment: Timestamp, millis: u64) -> Timestamp {
    Timestamp(moment.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
}
