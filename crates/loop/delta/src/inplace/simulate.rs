//! A flash in memory that behaves like the real one, power cuts included.
//!
//! In: a layout, an image, when the power fails. Out: a [`Flash`]. Refuses, as a fault: writes outside the flash or across
//! pages, bytes that are programmed a second time without being erased, and everything after the power has failed.

use warden_patch::flash::{Fault, Flash, Geometry};

/// When the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// After how many erasures and programmed pieces: the next one is cut in its middle.
    pub after: u64,
    /// Decides what is left behind.
    pub seed: u64,
}

/// The fault of a flash without power.
const NO_POWER: Fault = Fault(1);

/// The fault of a caller that breaks a rule.
const BROKEN_RULE: Fault = Fault(2);

/// A flash in memory.
#[derive(Debug, Clone)]
pub struct Simulated {
    geometry: Geometry,
    bytes: Vec<u8>,
    /// Which units of writing were programmed since their page was erased.
    programmed: Vec<bool>,
    erasures: Vec<u32>,
    operations: u64,
    cut: Option<Cut>,
    has_power: bool,
}

impl Simulated {
    /// A flash that holds an image, with rubbish where scratch will be.
    pub fn new(geometry: Geometry, image: &[u8]) -> Self {
        let pages = (geometry.area_pages + geometry.scratch_pages) as usize;
        let len = pages * geometry.page_bytes as usize;
        let mut bytes = vec![0x5a; len];
        bytes.iter_mut().zip(image).for_each(|(place, byte)| *place = *byte);
        Self {
            geometry,
            bytes,
            programmed: vec![true; len / geometry.write_bytes.max(1) as usize],
            erasures: vec![0; pages],
            operations: 0,
            cut: None,
            has_power: true,
        }
    }

    /// Returns what is in the flash.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns how often each page was erased.
    pub fn erasures(&self) -> &[u32] {
        &self.erasures
    }

    /// Returns how many erasures and programmed pieces there were.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Switches the power on, until the next cut.
    pub fn power_on(&mut self, cut: Option<Cut>) {
        (self.has_power, self.operations, self.cut) = (true, 0, cut);
    }

    /// Puts an image there as a programmer on the workbench would.
    #[cfg(test)]
    pub(super) fn put(&mut self, image: &[u8]) {
        self.bytes.iter_mut().zip(image).for_each(|(place, byte)| *place = *byte);
    }

    /// Says whether the power has failed.
    pub fn is_dark(&self) -> bool {
        !self.has_power
    }

    /// Counts an operation; returns the seed of what is left behind if it is cut.
    fn count(&mut self) -> Result<Option<u64>, Fault> {
        if !self.has_power {
            return Err(NO_POWER);
        }
        let cut = self.cut.filter(|cut| cut.after == self.operations).map(|cut| cut.seed ^ self.operations);
        self.operations += 1;
        self.has_power = cut.is_none();
        Ok(cut)
    }

    fn units(&self, start: usize, len: usize) -> std::ops::Range<usize> {
        let unit = self.geometry.write_bytes as usize;
        start / unit..(start + len) / unit
    }
}

/// The next number of a row that a seed starts (`SplitMix64`).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Flash for Simulated {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        if !self.has_power {
            return Err(NO_POWER);
        }
        let found = self.bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(BROKEN_RULE)?);
        Ok(())
    }

    fn erase(&mut self, page: u32) -> Result<(), Fault> {
        let len = self.geometry.page_bytes as usize;
        let start = page as usize * len;
        let units = self.units(start, len);
        let cut = self.count()?;
        let bytes = self.bytes.get_mut(start..start + len).ok_or(BROKEN_RULE)?;
        if let Some(mut seed) = cut {
            // Some bits are erased, some are not yet.
            for byte in bytes.iter_mut() {
                *byte |= next(&mut seed).to_le_bytes()[0];
            }
        } else {
            bytes.fill(0xff);
        }
        let is_torn = cut.is_some();
        self.programmed.get_mut(units).ok_or(BROKEN_RULE)?.fill(is_torn);
        if let Some(count) = self.erasures.get_mut(page as usize) {
            *count += 1;
        }
        if is_torn { Err(NO_POWER) } else { Ok(()) }
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        let (start, len, page) = (at as usize, bytes.len(), self.geometry.page_bytes as usize);
        let unit = self.geometry.write_bytes as usize;
        let is_whole = start.is_multiple_of(unit) && len.is_multiple_of(unit) && len > 0;
        if !is_whole || start / page != (start + len - 1) / page {
            return Err(BROKEN_RULE);
        }
        let units = self.units(start, len);
        let cut = self.count()?;
        let programmed = self.programmed.get_mut(units).ok_or(BROKEN_RULE)?;
        if programmed.contains(&true) {
            return Err(BROKEN_RULE);
        }
        programmed.fill(true);
        let mut seed = cut.unwrap_or(0);
        // The units in front of the one that is cut are whole, those behind it untouched.
        let number = usize::from(next(&mut seed).to_le_bytes()[0]);
        let torn = cut.map(|_| number % (len / unit) * unit);
        let places = self.bytes.get_mut(start..start + len).ok_or(BROKEN_RULE)?;
        for (index, (place, byte)) in places.iter_mut().zip(bytes).enumerate() {
            *place = match torn {
                None => *place & byte,
                Some(torn) if index < torn => *place & byte,
                Some(torn) if index < torn + unit => *place & (byte | next(&mut seed).to_le_bytes()[0]),
                Some(_) => *place,
            };
        }
        if cut.is_some() { Err(NO_POWER) } else { Ok(()) }
    }
}
