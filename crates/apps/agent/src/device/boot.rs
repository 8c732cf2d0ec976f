//! Boot control: which slot boots, and how often an unproven one may try.
//!
//! In: what the machine decides. Out: a [`BootView`] after each boot. Refuses to guess: when its state is lost it
//! boots the slot whose content is the confirmed image, and none other.
//!
//! Only boots of a slot on trial count. A confirmed slot may be switched off and on as often as people like: counting
//! its boots would turn three power cuts into a silent downgrade.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use warden_model::device::Slot;

use super::pair::Pair;
use crate::machine::{BootView, Trial};

/// Largest boot state, in bytes: it fits one flash sector with room to spare.
const STATE_BYTES_MAX: u64 = 1024;
/// The version that is written and read.
const VERSION: u32 = 1;

/// A boot loader, as the agent sees it.
pub trait BootControl {
    /// Says what runs and what is on trial.
    fn view(&self) -> Result<BootView>;
    /// Puts the slot that does not run on trial; it may boot `tries` times before it is given up.
    fn arm(&mut self, tries: u8) -> Result<()>;
    /// Makes the running slot the confirmed one.
    fn confirm(&mut self) -> Result<()>;
    /// Ends the trial: the next boot takes the confirmed slot.
    fn revert(&mut self) -> Result<()>;
    /// Forgets a trial that used up its boots, after somebody has taken note of it.
    fn forget(&mut self) -> Result<()>;
}

/// Boot control on two slot files, with its own small boot loader ([`SlotFiles::boot`]).
#[derive(Debug)]
pub struct SlotFiles {
    pair: Pair,
    running: Option<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    confirmed: Name,
    trial: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    A,
    B,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    None,
    Armed { tries_left: u8 },
    Exhausted,
}

impl Name {
    fn of(slot: Slot) -> Self {
        match slot {
            Slot::A => Self::A,
            Slot::B => Self::B,
        }
    }

    fn slot(self) -> Slot {
        match self {
            Self::A => Slot::A,
            Self::B => Slot::B,
        }
    }
}

impl SlotFiles {
    /// Opens the boot state in `dir`.
    pub fn open(dir: &Path) -> Self {
        Self { pair: Pair::new(dir, "state", STATE_BYTES_MAX), running: None }
    }

    /// Writes the first boot state of a device: one confirmed slot, nothing on trial.
    pub fn create(&self, confirmed: Slot) -> Result<()> {
        self.save(State { version: VERSION, confirmed: Name::of(confirmed), trial: Phase::None })
    }

    /// Chooses the slot to run, as a boot loader does at power-on. `is_confirmed_image` is asked only when both
    /// copies of the state are lost.
    pub fn boot(&mut self, is_confirmed_image: &dyn Fn(Slot) -> bool) -> Result<BootView> {
        let mut state = match self.load()? {
            Some(state) => state,
            None => self.recover(is_confirmed_image)?,
        };
        let confirmed = state.confirmed.slot();
        let running = match state.trial {
            Phase::Armed { tries_left: 0 } => {
                state.trial = Phase::Exhausted;
                self.save(state)?;
                confirmed
            }
            // The try is spent before it starts: a hang in the very first instruction counts too.
            Phase::Armed { tries_left } => {
                state.trial = Phase::Armed { tries_left: tries_left - 1 };
                self.save(state)?;
                confirmed.other()
            }
            Phase::None | Phase::Exhausted => confirmed,
        };
        self.running = Some(running);
        self.view()
    }

    /// Takes up the state without booting; the confirmed slot counts as running.
    pub fn look(&mut self) -> Result<BootView> {
        let state = self.state()?;
        self.running = Some(state.confirmed.slot());
        self.view()
    }

    fn recover(&self, is_confirmed_image: &dyn Fn(Slot) -> bool) -> Result<State> {
        let Some(slot) = Slot::ALL.iter().copied().find(|slot| is_confirmed_image(*slot)) else {
            bail!("both copies of the boot state are lost, and no slot holds the confirmed image");
        };
        let state = State { version: VERSION, confirmed: Name::of(slot), trial: Phase::None };
        self.save(state)?;
        Ok(state)
    }

    fn load(&self) -> Result<Option<State>> {
        let Some(bytes) = self.pair.load()? else { return Ok(None) };
        let state: State = serde_json::from_slice(&bytes).context("read the boot state")?;
        if state.version != VERSION {
            bail!("the boot state has version {}, only {VERSION} is understood", state.version);
        }
        Ok(Some(state))
    }

    fn state(&self) -> Result<State> {
        self.load()?.context("there is no boot state")
    }

    fn save(&self, state: State) -> Result<()> {
        self.pair.save(&serde_json::to_vec(&state)?).context("save the boot state")
    }
}

impl BootControl for SlotFiles {
    fn view(&self) -> Result<BootView> {
        let state = self.state()?;
        let confirmed = state.confirmed.slot();
        let trial = match state.trial {
            Phase::None => Trial::None,
            Phase::Armed { tries_left } => Trial::Armed { tries_left },
            Phase::Exhausted => Trial::Exhausted,
        };
        Ok(BootView { running: self.running.unwrap_or(confirmed), confirmed, trial })
    }

    fn arm(&mut self, tries: u8) -> Result<()> {
        let state = self.state()?;
        if self.running.is_some_and(|running| running != state.confirmed.slot()) {
            bail!("a slot on trial runs: it cannot put another one on trial");
        }
        self.save(State { trial: Phase::Armed { tries_left: tries.max(1) }, ..state })
    }

    fn confirm(&mut self) -> Result<()> {
        let state = self.state()?;
        let running = self.running.unwrap_or(state.confirmed.slot());
        self.save(State { confirmed: Name::of(running), trial: Phase::None, ..state })
    }

    fn revert(&mut self) -> Result<()> {
        let state = self.state()?;
        self.save(State { trial: Phase::None, ..state })
    }

    fn forget(&mut self) -> Result<()> {
        let state = self.state()?;
        match state.trial {
            Phase::Exhausted => self.save(State { trial: Phase::None, ..state }),
            Phase::None | Phase::Armed { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BootControl, SlotFiles};
    use crate::machine::Trial;
    use std::fs;
    use warden_model::device::Slot;

    fn boots(dir: &std::path::Path) -> (Slot, Slot, Trial) {
        let view = SlotFiles::open(dir).boot(&|slot| slot == Slot::B).unwrap();
        (view.running, view.confirmed, view.trial)
    }

    fn fresh() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        SlotFiles::open(dir.path()).create(Slot::A).unwrap();
        dir
    }

    #[test]
    fn a_confirmed_slot_may_boot_as_often_as_it_likes() {
        let dir = fresh();
        for _ in 0..20 {
            assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::None));
        }
    }

    #[test]
    fn a_slot_on_trial_is_given_up_after_its_tries() {
        let dir = fresh();
        SlotFiles::open(dir.path()).arm(2).unwrap();
        assert_eq!(boots(dir.path()), (Slot::B, Slot::A, Trial::Armed { tries_left: 1 }));
        assert_eq!(boots(dir.path()), (Slot::B, Slot::A, Trial::Armed { tries_left: 0 }));
        assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::Exhausted));
        assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::Exhausted), "until somebody took note");
        SlotFiles::open(dir.path()).forget().unwrap();
        assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::None));
    }

    #[test]
    fn confirming_makes_the_trial_the_slot_to_fall_back_to() {
        let dir = fresh();
        SlotFiles::open(dir.path()).arm(3).unwrap();
        let mut control = SlotFiles::open(dir.path());
        control.boot(&|_| false).unwrap();
        assert!(control.arm(1).is_err(), "what is not confirmed itself must not arm");
        control.confirm().unwrap();
        assert_eq!(boots(dir.path()), (Slot::B, Slot::B, Trial::None));
    }

    #[test]
    fn reverting_ends_the_trial_at_once() {
        let dir = fresh();
        SlotFiles::open(dir.path()).arm(3).unwrap();
        let mut control = SlotFiles::open(dir.path());
        control.boot(&|_| false).unwrap();
        control.revert().unwrap();
        assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::None));
    }

    #[test]
    fn with_both_copies_lost_the_content_decides() {
        let dir = fresh();
        for name in ["state.0", "state.1"] {
            fs::write(dir.path().join(name), b"torn").unwrap();
        }
        assert!(SlotFiles::open(dir.path()).boot(&|_| false).is_err());
        assert_eq!(boots(dir.path()), (Slot::B, Slot::B, Trial::None));
    }

    #[test]
    fn a_cut_at_any_byte_of_arming_leaves_the_confirmed_slot_or_the_whole_arming() {
        let dir = fresh();
        SlotFiles::open(dir.path()).arm(3).unwrap();
        let armed = fs::read(dir.path().join("state.1")).unwrap();
        for length in 0..armed.len() {
            fs::write(dir.path().join("state.1"), &armed[..length]).unwrap();
            assert_eq!(boots(dir.path()), (Slot::A, Slot::A, Trial::None), "cut after {length} bytes");
        }
    }
}
