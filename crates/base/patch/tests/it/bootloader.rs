//! A bootloader, with memory in the place of its chip. The guide for microcontrollers shows this file.

use warden_patch::flash::workspace::{STACK_BYTES, slots};
use warden_patch::flash::{Fault, Flash, Geometry, Outcome, Patch, Progress, UpdateError, Workspace, update};

use crate::maker;

/// The chip: 4 KiB pages, 8 bytes at once; 16 pages for the image, 4 of scratch.
struct Chip {
    bytes: Vec<u8>,
}

const LAYOUT: Geometry = Geometry { page_bytes: 4096, write_bytes: 8, area_pages: 16, scratch_pages: 4 };

impl Flash for Chip {
    fn geometry(&self) -> Geometry {
        LAYOUT
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        let from = self.bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(Fault(1))?);
        Ok(())
    }

    fn erase(&mut self, page: u32) -> Result<(), Fault> {
        let start = page as usize * 4096;
        self.bytes.get_mut(start..start + 4096).ok_or(Fault(2))?.fill(0xff);
        Ok(())
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        let at = at as usize;
        let place = self.bytes.get_mut(at..at + bytes.len()).ok_or(Fault(3))?;
        place.iter_mut().zip(bytes).for_each(|(place, byte)| *place &= byte);
        Ok(())
    }
}

/// The patch: it lies in other flash, and still does so after a reset.
struct Stored {
    bytes: Vec<u8>,
}

impl Patch for Stored {
    fn len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        let from = self.bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(Fault(4))?);
        Ok(())
    }
}

/// Tables for patches that were made with `--memory 64 --copies 1024`.
type Tables = Workspace<{ slots(9) }, 1024>;

/// Called at each start, before anything is jumped into, for as long as a patch is there whose signature is right.
fn update_if_asked(
    chip: &mut Chip,
    stored: &mut Stored,
    tables: &mut Tables,
) -> Result<Outcome, UpdateError> {
    let mut feed_watchdog = |_: Progress| {};
    update(chip, stored, tables.lend(), &mut feed_watchdog)
}

#[test]
fn a_bootloader_updates_the_image_once() {
    let old = vec![0x11; 9000];
    let new = [&old[..5000], b"and something else", &old[5000..]].concat();
    let mut chip = Chip { bytes: vec![0; 20 * 4096] };
    chip.bytes[..old.len()].copy_from_slice(&old);
    let mut stored = Stored { bytes: maker::patch(&old, &new) };
    let mut tables = Box::new(Tables::new());
    assert_eq!(update_if_asked(&mut chip, &mut stored, &mut tables), Ok(Outcome::Updated));
    assert!(chip.bytes.starts_with(&new));
    assert_eq!(update_if_asked(&mut chip, &mut stored, &mut tables), Ok(Outcome::WasThere));
    chip.bytes[0] ^= 1;
    assert_eq!(update_if_asked(&mut chip, &mut stored, &mut tables), Err(UpdateError::WrongBase));
}

#[test]
fn tables_and_stack_take_64_kib_at_most() {
    assert!(size_of::<Tables>() + STACK_BYTES <= 64 << 10);
}

#[test]
fn too_small_tables_are_named() {
    let old = vec![0x11; 9000];
    let mut chip = Chip { bytes: vec![0; 20 * 4096] };
    chip.bytes[..old.len()].copy_from_slice(&old);
    let mut stored = Stored { bytes: maker::patch(&old, &[0x22; 700]) };
    let mut few = Workspace::<{ slots(9) }, 0>::new();
    let refused = update(&mut chip, &mut stored, few.lend(), &mut |_| {}).unwrap_err();
    assert_eq!(refused, UpdateError::Memory { table: "copies", needed: 1, found: 0 });
    assert_eq!(refused.to_string(), "the patch takes room for 1 copies, only 0 are lent");
}
