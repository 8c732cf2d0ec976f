//! How a segment is said: the same code for who makes a patch and who applies it.
//!
//! In: a coder in fresh tables; the copies; bytes of the new image that are there already. Out: the segment. Refuses: what
//! coder and images refuse.
//!
//! Each segment can be decoded without any other: its tables start afresh, hear the copies of the whole image (they are in
//! the patch once, in front of all segments), then bytes of the new image that lie beside the segment.

use core::cell::Cell;
use core::ops::Range;

use super::Order;
use crate::chart::{ChartMemory, Copy, Lesson};
use crate::coder::Coder;
use crate::coin::Coin;
use crate::head::{Room, head};
use crate::part::{Broken, Io, Part, Windows, control, stretch};

/// A coin that can be told what it would have shown: statistics learn from bytes that nobody sends.
#[derive(Debug)]
pub struct Primed<'p, C> {
    coin: C,
    told: &'p Cell<bool>,
}

impl<'p, C> Primed<'p, C> {
    /// Wraps a coin; while `told` is set, nothing is read or written.
    pub fn new(coin: C, told: &'p Cell<bool>) -> Self {
        Self { coin, told }
    }

    /// Returns the coin.
    pub fn into_coin(self) -> C {
        self.coin
    }
}

impl<C: Coin> Coin for Primed<'_, C> {
    type Error = C::Error;

    fn toss(&mut self, probability: u16, wanted: bool) -> Result<bool, C::Error> {
        if self.told.get() { Ok(wanted) } else { self.coin.toss(probability, wanted) }
    }

    fn turn(&mut self) -> Result<(), C::Error> {
        self.coin.turn()
    }
}

/// The sizes of both images, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the old one.
    pub base: u32,
    /// Of the new one.
    pub result: u32,
}

/// Codes the copies of the whole image. An encoder's `copies` starts with the `count` wanted ones; a decoder fills it.
pub fn copies<C: Coder, E>(
    coder: &mut C,
    wanted: (&Part, usize),
    sizes: Sizes,
    copies: &mut [Copy],
) -> Result<(Part, usize), E>
where
    E: From<C::Error> + From<Broken>,
{
    let room = Room { new_left: u64::from(sizes.result), old_len: u64::from(sizes.base), old_expected: 0 };
    let part = head::<C, E>(coder, wanted.0, room)?;
    if part.new_len != sizes.result {
        return Err(Broken::Head.into());
    }
    let count = control::<C, E>(coder, &part, copies, wanted.1)?;
    coder.turn()?;
    Ok((part, count))
}

/// Returns which bytes prepare the literals of a segment: those beside it, on the side from which work comes.
/// Nothing writes there while the segment is decoded. Behind the base, nobody knows what the flash holds.
pub fn primer(order: Order, log: u32, segment: &Range<u32>, sizes: Sizes) -> Range<u32> {
    if log == 0 {
        return 0..0;
    }
    let len = 1_u32.checked_shl(log).unwrap_or(0);
    let (start, end) = match order {
        Order::Forward => (segment.start.saturating_sub(len), segment.start),
        Order::Backward => (segment.end, segment.end.saturating_add(len)),
    };
    start.min(sizes.base)..end.min(sizes.base)
}

/// Lets the literals learn from bytes.
pub fn prime<C: Coder>(coder: &mut C, told: &Cell<bool>, bytes: &[u8]) -> Result<(), C::Error> {
    told.set(true);
    for byte in bytes {
        coder.literal(*byte)?;
    }
    told.set(false);
    Ok(())
}

/// Codes the bytes of a segment.
pub fn bytes<C: Coder, I: Io>(
    coder: &mut C,
    io: &mut I,
    told: (&Part, &[Copy]),
    memory: (&mut [u16], &mut [Lesson]),
    segment: Range<u32>,
) -> Result<(), I::Error>
where
    I::Error: From<C::Error>,
{
    let (order, lessons) = memory;
    // A segment is one window: nothing of it is overwritten before all of it is there.
    let mut windows = Windows::new(u64::from(segment.end - segment.start), u64::MAX);
    stretch(coder, io, told.0, told.1, ChartMemory { order, lessons }, (segment, &mut windows))
}
