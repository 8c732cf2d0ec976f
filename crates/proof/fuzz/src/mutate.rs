//! Changes to patches and images, by chance.
//!
//! In: a pair, chance. Out: a case: an old image, a patch that may be anything, perhaps a record from before a cut; or two
//! images to make a patch from. Refuses nothing.

use std::io::{Read as _, Write as _};

use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::images::Pair;
use crate::patch::{Patch, Window, spell};

/// The longest bytes that are compressed again after a change, in bytes.
const STREAM_BYTES_MAX: u64 = 4 << 20;

/// What is tried.
#[derive(Debug, Clone)]
pub(crate) enum Case {
    /// A patch with sound lengths; digests are made right as its errors tell them.
    Sound { old: Vec<u8>, patch: Box<Patch>, record: Option<Vec<u8>>, slot: Vec<u8> },
    /// Any bytes.
    Raw { old: Vec<u8>, patch: Vec<u8> },
    /// Two images.
    Make { old: Vec<u8>, new: Vec<u8>, profile: u8 },
}

/// Makes a case.
pub(crate) fn case(pairs: &[Pair], chance: &mut Chance) -> Option<Case> {
    let pair = chance.pick(pairs)?;
    if chance.below(60) == 0 {
        return Some(make_case(pair, chance));
    }
    let mut patch = Box::new(chance.pick(&pair.patches)?.clone());
    let mut old = pair.old.clone();
    if chance.below(12) == 0 {
        let mut bytes = patch.write();
        bend(&mut bytes, chance);
        return Some(Case::Raw { old, patch: bytes });
    }
    for _ in 0..=chance.below(3) {
        change(&mut patch, &mut old, pairs, chance);
    }
    let (record, slot) = record(pair, chance);
    Some(Case::Sound { old, patch, record, slot })
}

fn make_case(pair: &Pair, chance: &mut Chance) -> Case {
    let (mut old, mut new) = (pair.old.clone(), pair.new.clone());
    if chance.below(2) == 0 {
        bend(&mut old, chance);
    }
    bend(&mut new, chance);
    Case::Make { old, new, profile: chance.byte() % 3 }
}

fn change(patch: &mut Patch, old: &mut Vec<u8>, pairs: &[Pair], chance: &mut Chance) {
    match chance.below(12) {
        0 => {
            let place = 8 + chance.below(9);
            if let Some(byte) = patch.fixed.get_mut(place) {
                *byte = if chance.below(2) == 0 { byte.wrapping_add(1) } else { chance.byte() % 33 };
            }
        }
        1 => {
            let place = chance.below(3);
            if let Some(number) = patch.numbers.get_mut(place) {
                *number = chance.number(*number);
            }
        }
        2 => {
            if let Some(number) = patch.layers.as_mut().and_then(|layers| layers.get_mut(chance.below(4))) {
                *number = chance.number(*number);
            }
        }
        3 | 4 => change_table(patch, chance),
        5 => bend(old, chance),
        6 => change_windows(patch, pairs, chance),
        7 | 8 => change_frame(patch, chance),
        _ => {
            let place = chance.below(patch.windows.len());
            if let Some(window) = patch.windows.get_mut(place) {
                bend(&mut window.coded, chance);
            }
        }
    }
}

/// Changes the table of layers behind its compression.
fn change_table(patch: &mut Patch, chance: &mut Chance) {
    if chance.below(10) == 0 {
        return bend(&mut patch.table, chance);
    }
    let Some(mut plain) = unpacked(&patch.table) else { return };
    bend(&mut plain, chance);
    patch.table = zstd::bulk::compress(&plain, 3).unwrap_or_default();
}

/// Changes what a frame of the profile `fast` says, behind its compression: bytes, or whole numbers.
fn change_frame(patch: &mut Patch, chance: &mut Chance) {
    if !patch.is_one_frame() {
        return;
    }
    let Some(window) = patch.windows.first_mut() else { return };
    let Some(mut plain) = unpacked(&window.coded) else { return };
    if chance.below(2) == 0 {
        bend(&mut plain, chance);
    } else {
        let mut number = Vec::new();
        spell(chance.number(0), &mut number);
        let at = chance.below(plain.len().min(64));
        plain.splice(at..at + chance.below(3).min(plain.len() - at), number);
    }
    let Ok(mut packer) = zstd::stream::write::Encoder::new(Vec::new(), 1) else { return };
    if packer.write_all(&plain).is_ok() {
        window.coded = packer.finish().unwrap_or_default();
    }
}

fn change_windows(patch: &mut Patch, pairs: &[Pair], chance: &mut Chance) {
    let place = chance.below(patch.windows.len() + 1);
    match chance.below(4) {
        0 if patch.windows.len() > 1 => drop(patch.windows.remove(place.min(patch.windows.len() - 1))),
        1 => patch.windows.insert(place, Window { coded: Vec::new(), check: Some([0; 8]) }),
        2 => {
            let other = chance.pick(pairs).and_then(|pair| chance.pick(&pair.patches));
            let window = other.and_then(|other| chance.pick(&other.windows));
            patch.windows.extend(window.cloned());
        }
        _ => patch.windows.reverse(),
    }
    let (has_layers, count) = (patch.layers.is_some(), patch.windows.len());
    for (index, window) in patch.windows.iter_mut().enumerate() {
        window.check = (has_layers || index + 1 < count).then(|| window.check.unwrap_or_default());
    }
}

fn unpacked(frame: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(frame).ok()?;
    decoder.take(STREAM_BYTES_MAX).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// A record from before a cut, sound in form, and what the slot holds.
fn record(pair: &Pair, chance: &mut Chance) -> (Option<Vec<u8>>, Vec<u8>) {
    if chance.below(3) > 0 {
        return (None, Vec::new());
    }
    let durable = chance.below(pair.new.len() + 2);
    let slot = pair.new.get(..durable).unwrap_or(&pair.new).to_vec();
    let mut record = [&b"FWR\x01"[..], &[0; 12]].concat();
    let position = |at: usize| u64::try_from(at).unwrap_or(0).to_le_bytes().into_iter().take(6);
    record.extend(position(durable));
    record.extend(position(chance.below(durable + 1)));
    for _ in 0..3 {
        let at = if chance.below(2) == 0 { 0 } else { chance.below(pair.new.len() * 4) };
        record.extend(position(at));
    }
    record.extend(Sha256::digest(&slot).iter().take(10));
    record.extend(Sha256::digest(&record).iter().take(8));
    (Some(record), slot)
}

/// Changes some bytes.
pub(crate) fn bend(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        // The front says most: heads, superblocks, tables.
        let front = if chance.below(2) == 0 { bytes.len() } else { bytes.len().min(200) };
        let at = chance.below(front);
        match chance.below(8) {
            0 => bytes.truncate(at),
            1 => {
                let len = 1 + chance.below(20);
                let found = chance.bytes(len);
                bytes.splice(at..at, found);
            }
            2 => {
                let end = (at + 1 + chance.below(20)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            3 => {
                let end = (at + 1 + chance.below(64)).min(bytes.len());
                let again: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = chance.below(bytes.len());
                bytes.splice(to..to, again);
            }
            4 => {
                let with = if chance.below(2) == 0 { 0 } else { 0xff };
                bytes.iter_mut().skip(at).take(1 + chance.below(9)).for_each(|byte| *byte = with);
            }
            5 => {
                let number = chance.number(0).to_le_bytes();
                let width = 1 << chance.below(4);
                bytes.iter_mut().skip(at).zip(number).take(width).for_each(|(byte, number)| *byte = number);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
        }
    }
}
