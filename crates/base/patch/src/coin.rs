//! Binary arithmetic coding: a bit and how likely it is, to bytes and back.
//!
//! In: bits with their probabilities; or coded bytes. Out: coded bytes; or the bits. Refuses: a stream that ends early.

/// Codes one bit after the other: an encoder writes the bit that it is told, a decoder finds it out.
pub trait Coin {
    /// Why a bit could not be coded.
    type Error;

    /// Codes a bit that is 1 with a probability of `probability` / 65,536 (1 to 65,535); returns it.
    fn toss(&mut self, probability: u16, wanted: bool) -> Result<bool, Self::Error>;

    /// Ends a window and starts the next: what was coded so far can be decoded from the bytes so far.
    fn turn(&mut self) -> Result<(), Self::Error>;
}

/// Where coded bytes come from.
pub trait Source {
    /// Why a byte could not be had.
    type Error;

    /// Returns the next byte.
    fn next(&mut self) -> Result<u8, Self::Error>;

    /// A window has ended: refuses bytes that are left over, and goes on with those of the next window.
    fn turn(&mut self) -> Result<(), Self::Error>;
}

/// Where coded bytes go to: memory, which does not fail.
pub trait Target {
    /// Adds a byte.
    fn push(&mut self, byte: u8);

    /// A window has ended.
    fn turn(&mut self);
}

/// The interval that is left, both ends included.
#[derive(Debug, Clone, Copy)]
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const WHOLE: Self = Self { low: 0, high: u32::MAX };

    /// The last number that stands for a 1.
    #[inline]
    fn split(self, probability: u16) -> u32 {
        let share = (u64::from(self.high - self.low) * u64::from(probability)) >> 16;
        #[expect(clippy::cast_possible_truncation, reason = "a share of a 32-bit range has 32 bits")]
        let share = share as u32;
        self.low + share
    }

    #[inline]
    fn take(&mut self, split: u32, bit: bool) {
        if bit {
            self.high = split;
        } else {
            self.low = split + 1;
        }
    }

    /// Says whether the first byte is decided, and drops it if it is.
    #[inline]
    fn shift(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let [byte, ..] = self.high.to_be_bytes();
        self.low <<= 8;
        self.high = (self.high << 8) | 0xff;
        Some(byte)
    }
}

/// Writes bits.
#[derive(Debug)]
pub struct Encoder<T> {
    interval: Interval,
    target: T,
}

impl<T: Target> Encoder<T> {
    /// Starts a stream.
    pub fn new(target: T) -> Self {
        Self { interval: Interval::WHOLE, target }
    }

    /// Ends the stream: as few bytes as tell it from every other one. A decoder reads [`TAIL_BYTES`] further ones.
    pub fn finish(&mut self) {
        // Any number in the interval will do: the one with the most zeros at its end, which the decoder fills in.
        let Interval { low, high } = self.interval;
        let mut kept = 0;
        let mut value = 0;
        while kept < 4 {
            kept += 1;
            let free = u32::MAX.checked_shr(kept * 8).unwrap_or(0);
            value = low.checked_add(free).map_or(low, |sum| sum & !free);
            if (low..=high).contains(&value) {
                break;
            }
        }
        for byte in value.to_be_bytes().iter().take(usize::try_from(kept).unwrap_or(4)) {
            self.target.push(*byte);
        }
        self.interval = Interval::WHOLE;
    }

    /// Returns the target.
    pub fn target(&mut self) -> &mut T {
        &mut self.target
    }
}

impl<T: Target> Coin for Encoder<T> {
    type Error = core::convert::Infallible;

    #[inline]
    fn toss(&mut self, probability: u16, wanted: bool) -> Result<bool, Self::Error> {
        let split = self.interval.split(probability.max(1));
        self.interval.take(split, wanted);
        while let Some(byte) = self.interval.shift() {
            self.target.push(byte);
        }
        Ok(wanted)
    }

    fn turn(&mut self) -> Result<(), Self::Error> {
        self.finish();
        self.target.turn();
        Ok(())
    }
}

/// How many bytes a decoder reads beyond the end of a stream at most; they count as zero.
pub const TAIL_BYTES: usize = 4;

/// Reads bits.
#[derive(Debug)]
pub struct Decoder<S> {
    interval: Interval,
    value: u32,
    source: S,
}

impl<S: Source> Decoder<S> {
    /// Prepares for streams from `source`; [`Self::start`] must come first.
    pub fn new(source: S) -> Self {
        Self { interval: Interval::WHOLE, value: 0, source }
    }

    /// Starts a stream.
    pub fn start(&mut self) -> Result<(), S::Error> {
        self.interval = Interval::WHOLE;
        self.value = 0;
        for _ in 0..TAIL_BYTES {
            self.value = (self.value << 8) | u32::from(self.source.next()?);
        }
        Ok(())
    }

    /// Returns the source.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }
}

impl<S: Source> Coin for Decoder<S> {
    type Error = S::Error;

    #[inline]
    fn toss(&mut self, probability: u16, _wanted: bool) -> Result<bool, Self::Error> {
        let split = self.interval.split(probability.max(1));
        let bit = self.value <= split;
        self.interval.take(split, bit);
        while self.interval.shift().is_some() {
            self.value = (self.value << 8) | u32::from(self.source.next()?);
        }
        Ok(bit)
    }

    fn turn(&mut self) -> Result<(), Self::Error> {
        self.source.turn()?;
        self.start()
    }
}
