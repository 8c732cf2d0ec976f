//! What an update takes of a stack, and of memory in all.

use std::cell::Cell;

use warden_patch::flash::workspace::{STACK_BYTES, slots};
use warden_patch::flash::{Fault, Flash, Geometry, Lent, Patch, Workspace, update};

use super::{limits, made, pair};
use crate::inplace::{Bytes, InPlaceLimits, Simulated};

/// The tables of the guide: with the stack they stay within 64 KiB.
type Tables = Workspace<{ slots(9) }, 1024>;

/// Notes how deep the stack is where flash and patch are read: flash in the midst of a block, the patch in the midst of a
/// bit, below everything else.
struct Watched<'d, T>(T, &'d Cell<usize>);

fn depth() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&local)).addr()
}

impl<T> Watched<'_, T> {
    fn note(&self) {
        self.1.set(self.1.get().min(depth()));
    }
}

impl Flash for Watched<'_, Simulated> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        self.note();
        self.0.read(at, into)
    }

    fn erase(&mut self, page: u32) -> Result<(), Fault> {
        self.note();
        self.0.erase(page)
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.note();
        self.0.program(at, bytes)
    }
}

impl Patch for Watched<'_, Bytes<'_>> {
    fn len(&self) -> u32 {
        self.0.len()
    }

    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), Fault> {
        self.note();
        self.0.read(at, into)
    }
}

fn fixed() -> (Vec<u8>, Vec<u8>, Vec<u8>, Simulated) {
    let (old, new) = pair();
    let limits = InPlaceLimits { copies: Some(1024), ..limits(20, 5) };
    let patch = made(&old, &new, &limits);
    let flash = Simulated::new(limits.geometry(), &old);
    (old, new, patch, flash)
}

#[test]
fn tables_and_stack_stay_within_64_kib() {
    assert!(size_of::<Tables>() + STACK_BYTES <= 64 << 10, "{}", size_of::<Tables>());
}

#[test]
fn the_stack_is_as_deep_as_the_guide_says() {
    let (_, _, patch, flash) = fixed();
    let deepest = Cell::new(usize::MAX);
    let mut tables = Box::new(Tables::new());
    let (mut flash, mut patch) = (Watched(flash, &deepest), Watched(Bytes(&patch), &deepest));
    let start = depth();
    update(&mut flash, &mut patch, tables.lend(), &mut |_| {}).unwrap();
    let taken = start - deepest.get();
    assert!((STACK_BYTES / 2..=STACK_BYTES).contains(&taken), "{taken} bytes");
}

#[test]
fn an_update_runs_on_a_small_stack() {
    /// What starts a thread on a host lies on its stack, too, in bytes.
    const THREAD_BYTES: usize = 8 << 10;
    let (_, new, patch, mut flash) = fixed();
    let mut tables = Box::new(Tables::new());
    let run = move || {
        let lent: Lent<'_> = tables.lend();
        update(&mut flash, &mut Bytes(&patch), lent, &mut |_| {}).map(|_| flash)
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES + THREAD_BYTES).spawn(run).unwrap();
    assert!(thread.join().unwrap().unwrap().bytes().starts_with(&new));
}
