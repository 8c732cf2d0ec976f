//! The head of a part: which old file it is told by, and where both are loaded.
//!
//! In: for an encoder, the part. Out: the part. Refuses: places outside the images, unknown processors.

use crate::atlas::{SEGMENTS_MAX, Segment, Space};
use crate::coder::{Coder, Kind, unzigzag, zigzag};
use crate::part::{Broken, Part};
use crate::predict::{Arch, GoTables};

/// What is left of both images when a part starts.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// How many bytes of the new image are still to come.
    pub new_left: u64,
    /// How long the old image is, in bytes.
    pub old_len: u64,
    /// Where the old file of the part before ended.
    pub old_expected: u64,
}

/// Codes the head of a part.
pub fn head<C: Coder, E>(coder: &mut C, wanted: &Part, room: Room) -> Result<Part, E>
where
    E: From<C::Error> + From<Broken>,
{
    let rest = u64::from(u64::from(wanted.new_len) == room.new_left);
    let kind = coder.number(Kind::PartKind, (wanted.arch as u64) << 1 | rest)?;
    let arch = Arch::from_number(kind >> 1).ok_or(Broken::Head)?;
    let new_len = if kind & 1 == 1 {
        room.new_left
    } else {
        coder.number(Kind::PartSize, u64::from(wanted.new_len))?
    };
    if new_len > room.new_left {
        return Err(Broken::BeyondImage.into());
    }
    let new_len = u32::try_from(new_len).map_err(|_| Broken::Head)?;
    // The old file is mostly about as long as the new one.
    let longer = zigzag(i64::from(wanted.old_len) - i64::from(new_len));
    let longer = unzigzag(coder.number(Kind::PartSize, longer)?);
    let old_len = i64::from(new_len).checked_add(longer).and_then(|len| u32::try_from(len).ok());
    let old_len = old_len.ok_or(Broken::Head)?;
    let old_start = if old_len == 0 { room.old_expected } else { place(coder, wanted.old_start, room)? };
    let end = old_start.checked_add(u64::from(old_len));
    if end.is_none_or(|end| end > room.old_len) {
        return Err(Broken::OldOutsideImage.into());
    }
    let mut part = Part { new_len, old_start, old_len, arch, ..Part::default() };
    if arch == Arch::None {
        (part.spaces.0, part.spaces.1) = (Space::flat(0, old_len), Space::flat(0, new_len));
        return Ok(part);
    }
    part.spaces = spaces::<C, E>(coder, wanted)?;
    let old = coder.number(Kind::Segment, wanted.frame_index.0)?;
    if old != 0 {
        part.frame_index = (old, change(coder, old, wanted.frame_index.1)?);
    }
    part.go = go_tables::<C, E>(coder, wanted)?;
    Ok(part)
}

fn place<C: Coder>(coder: &mut C, wanted: u64, room: Room) -> Result<u64, C::Error> {
    let expected = room.old_expected.cast_signed();
    let seek = coder.number(Kind::PartPlace, zigzag(wanted.cast_signed().wrapping_sub(expected)))?;
    Ok(room.old_expected.wrapping_add_signed(unzigzag(seek)))
}

/// Codes a number as its difference from one that is known.
fn change<C: Coder>(coder: &mut C, known: u64, wanted: u64) -> Result<u64, C::Error> {
    let seek = coder.number(Kind::SegmentChange, zigzag(wanted.wrapping_sub(known).cast_signed()))?;
    Ok(known.wrapping_add_signed(unzigzag(seek)))
}

/// Codes the tables of Go programs: whether there are some, then the old ones, then what has changed.
fn go_tables<C: Coder, E>(coder: &mut C, wanted: &Part) -> Result<(GoTables, GoTables), E>
where
    E: From<C::Error> + From<Broken>,
{
    let (old, new) = (numbers(&wanted.go.0), numbers(&wanted.go.1));
    let mut found = ([0; GO_NUMBERS], [0; GO_NUMBERS]);
    if coder.number(Kind::PartKind, u64::from(wanted.go != (GoTables::default(), GoTables::default())))? == 0
    {
        return Ok((GoTables::default(), GoTables::default()));
    }
    let places = found.0.iter_mut().zip(found.1.iter_mut());
    for ((old, new), (old_place, new_place)) in old.iter().zip(new).zip(places) {
        *old_place = coder.number(Kind::Segment, *old)?;
        *new_place = change(coder, *old_place, new)?;
    }
    let of = |numbers: [u64; GO_NUMBERS]| tables(numbers).ok_or(Broken::Head);
    Ok((of(found.0)?, of(found.1)?))
}

/// How many numbers tell the tables of a Go program.
const GO_NUMBERS: usize = 9;

fn numbers(go: &GoTables) -> [u64; GO_NUMBERS] {
    let GoTables { text, types, types_end, data, names, units, lines, functions, count } = *go;
    let [names, units, lines, functions, count] = [names, units, lines, functions, count].map(u64::from);
    [text, types, types_end, data, names, units, lines, functions, count]
}

fn tables(numbers: [u64; GO_NUMBERS]) -> Option<GoTables> {
    let [text, types, types_end, data, rest @ ..] = numbers;
    let mut narrow = [0; 5];
    for (narrow, wide) in narrow.iter_mut().zip(rest) {
        *narrow = u32::try_from(wide).ok()?;
    }
    let [names, units, lines, functions, count] = narrow;
    Some(GoTables { text, types, types_end, data, names, units, lines, functions, count })
}

fn spaces<C: Coder, E>(coder: &mut C, wanted: &Part) -> Result<(Space, Space), E>
where
    E: From<C::Error> + From<Broken>,
{
    let (old, new) = &wanted.spaces;
    let count = coder.number(Kind::Segment, old.segments().len() as u64)?;
    let count = usize::try_from(count).ok().filter(|count| *count <= SEGMENTS_MAX).ok_or(Broken::Head)?;
    let mut spaces = ([Segment::default(); SEGMENTS_MAX], [Segment::default(); SEGMENTS_MAX]);
    let (mut before, mut distance) = (Segment::default(), 0_u64);
    for index in 0..count {
        let wanted_old = old.segments().get(index).copied().unwrap_or_default();
        let wanted_new = new.segments().get(index).copied().unwrap_or_default();
        let end = u64::from(before.offset) + u64::from(before.file_len);
        let offset = change(coder, end, u64::from(wanted_old.offset))?;
        let file_len = coder.number(Kind::Segment, u64::from(wanted_old.file_len))?;
        // Segments of one file lie mostly at the same distance from their places in the file.
        let wanted_distance = wanted_old.address.wrapping_sub(u64::from(wanted_old.offset));
        distance = change(coder, distance, wanted_distance)?;
        let memory_len = change(coder, file_len, wanted_old.memory_len)?;
        let narrow = |value: u64| u32::try_from(value).map_err(|_| E::from(Broken::Head));
        let found = Segment {
            offset: narrow(offset)?,
            file_len: narrow(file_len)?,
            address: distance.wrapping_add(offset),
            memory_len,
        };
        let moved = Segment {
            offset: narrow(change(coder, offset, u64::from(wanted_new.offset))?)?,
            file_len: narrow(change(coder, file_len, u64::from(wanted_new.file_len))?)?,
            address: change(coder, found.address, wanted_new.address)?,
            memory_len: change(coder, memory_len, wanted_new.memory_len)?,
        };
        if let (Some(old), Some(new)) = (spaces.0.get_mut(index), spaces.1.get_mut(index)) {
            (*old, *new) = (found, moved);
        }
        before = found;
    }
    let cut = |segments: &[Segment]| Space::new(segments.get(..count).unwrap_or_default());
    Ok((cut(&spaces.0), cut(&spaces.1)))
}
