//! Tells a new file by an old one: what kind of code it is, and which copies it takes.
//!
//! In: both files. Out: a part with its copies. Refuses nothing.

mod gaps;
mod holes;

use warden_patch::atlas::Space;
use warden_patch::chart::Copy;
use warden_patch::part::Part;
use warden_patch::predict::Arch;

use crate::detect::{Detected, candidates, data};
use crate::matcher::{self, MatchOptions};
use crate::normalise::normalise;
use crate::plan::{Extent, Planned, PlannedPart};
use crate::stream::write::{Told, price};

use holes::Stretches;

/// How the names of a file system's own data start: tables, no code.
const OWN_DATA: [&str; 4] = ["<squashfs ", "<erofs ", "<ext ", "<ubi "];

/// Tells the parts of a plan.
pub(crate) fn tell_all(planned: &Planned<'_>) -> Vec<Told> {
    planned.parts.iter().map(|part| tell_part(planned, part)).collect()
}

fn tell_part(planned: &Planned<'_>, part: &PlannedPart) -> Told {
    let new = slice(&planned.new_plain, part.new.start, part.new.end);
    let Some((start, end)) = reach(&part.old) else { return alone(new) };
    let old = slice(&planned.old_plain, start, end);
    if old.is_empty() {
        return alone(new);
    }
    let whole = planned.parts.len() == 1;
    let inside = part.old.iter().filter(|extent| extent.start >= start && extent.start < end);
    let files = (Stretches::new(inside, start), Stretches::new(&part.file, part.new.start));
    let mut told = if part.path.is_empty() && !whole && gaps::is_long(old, new) {
        tell_data(old, new, plain(gaps::copies(old, new)))
    } else if !part.path.is_empty() && (files.0.have_holes() || files.1.have_holes()) {
        tell_as_best(old, new, holes::readings((&files.0, old), (&files.1, new)))
    } else if part.at() > 0 || OWN_DATA.iter().any(|name| part.path.starts_with(name)) {
        tell_data(old, new, found(old, new, Arch::None))
    } else {
        tell(old, new)
    };
    told.part.old_start = start;
    told
}

fn slice(bytes: &[u8], start: u64, end: u64) -> &[u8] {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    bytes.get(place(start)..place(end)).unwrap_or_default()
}

/// Returns the stretch of the old plain bytes that holds an old file; of a scattered one, its longest extent.
fn reach(extents: &[Extent]) -> Option<(u64, u64)> {
    let start = extents.iter().map(|extent| extent.start).min()?;
    let end = extents.iter().map(|extent| extent.start.saturating_add(extent.len)).max()?;
    let held: u64 = extents.iter().map(|extent| extent.len).fold(0, u64::saturating_add);
    if end - start <= held.saturating_mul(2) {
        return Some((start, end));
    }
    let longest = extents.iter().max_by_key(|extent| extent.len)?;
    Some((longest.start, longest.start.saturating_add(longest.len)))
}

/// Tells `new` by `old`, in each likely way; keeps the way that costs the fewest bytes.
pub(crate) fn tell(old: &[u8], new: &[u8]) -> Told {
    tell_as_best(old, new, readings(old, new))
}

fn tell_as_best(old: &[u8], new: &[u8], readings: Vec<(Detected, Detected)>) -> Told {
    let mut ways = readings.into_iter().map(|reading| tell_as(old, new, reading));
    let (Some(first), second) = (ways.next(), ways.next()) else { return alone(new) };
    let Some(second) = second else { return first };
    let mut best = (price(old, new, &first), first);
    for told in core::iter::once(second).chain(ways) {
        let price = price(old, new, &told);
        if price < best.0 {
            best = (price, told);
        }
    }
    best.1
}

/// The likely readings of both files: the old one as it looks like, the new one in the same way.
fn readings(old: &[u8], new: &[u8]) -> Vec<(Detected, Detected)> {
    let of_new = candidates(new);
    let mut readings = Vec::new();
    for old in candidates(old) {
        let same = |new: &&Detected| new.arch == old.arch && new.kind == old.kind;
        if let Some(new) = of_new.iter().find(same) {
            readings.push((old, *new));
        }
    }
    if readings.is_empty() {
        readings.push((data(old), data(new)));
    }
    readings
}

fn tell_as(old: &[u8], new: &[u8], (of_old, of_new): (Detected, Detected)) -> Told {
    let copies = if is_masked(of_old.arch) {
        let masked_old = normalise(of_old.arch, old, &of_old.space);
        found(&masked_old, &normalise(of_new.arch, new, &of_new.space), of_old.arch)
    } else {
        found(old, new, of_old.arch)
    };
    let part = Part {
        new_len: narrow(new.len()),
        old_start: 0,
        old_len: narrow(old.len()),
        arch: of_old.arch,
        spaces: (of_old.space, of_new.space),
        frame_index: (of_old.frame_index, of_new.frame_index),
        go: (of_old.go, of_new.go),
    };
    Told { part, copies }
}

/// Whether copies are found better among masked bytes. Where instructions have many lengths, masks fall on wrong bytes too
/// often: measured, patches of x86-64 and RISC-V became a quarter larger with them.
fn is_masked(arch: Arch) -> bool {
    matches!(arch, Arch::A64 | Arch::Thumb | Arch::Arm | Arch::Xtensa)
}

fn found(old: &[u8], new: &[u8], arch: Arch) -> Vec<Copy> {
    plain(matcher::copies(old, new, MatchOptions { search_step_bytes: step_bytes(arch) }))
}

/// Returns copies as the coded stream has them.
pub(crate) fn plain(copies: Vec<matcher::Copy>) -> Vec<Copy> {
    copies.into_iter().map(|copy| Copy { new: copy.new, old: copy.old, len: copy.len }).collect()
}

/// Tells a file that holds no code that we know.
pub(crate) fn tell_data(old: &[u8], new: &[u8], copies: Vec<Copy>) -> Told {
    let spaces = (Space::flat(0, narrow(old.len())), Space::flat(0, narrow(new.len())));
    let part = Part { new_len: narrow(new.len()), old_len: narrow(old.len()), spaces, ..Part::default() };
    Told { part, copies }
}

/// Tells a file that has no predecessor.
pub(crate) fn alone(new: &[u8]) -> Told {
    let spaces = (Space::flat(0, 0), Space::flat(0, narrow(new.len())));
    Told { part: Part { new_len: narrow(new.len()), spaces, ..Part::default() }, copies: Vec::new() }
}

fn step_bytes(arch: Arch) -> usize {
    match arch {
        // Instructions lie at multiples of four; of the others, half of the places would be missed.
        Arch::A64 => 4,
        Arch::None | Arch::Thumb | Arch::Arm | Arch::Rv32 | Arch::Rv64 | Arch::X86 | Arch::Xtensa => 1,
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
