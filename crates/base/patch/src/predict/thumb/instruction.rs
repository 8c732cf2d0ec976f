//! Instructions of 16 and of 32 bits, and the fields of those that have to do with addresses.
//!
//! In: halfwords (Armv7-M ARM, DDI 0403, A5 "The Thumb instruction set encoding"). Out: what they are, the distances that
//! they hold, and the same instructions with others. Refuses distances that a field cannot hold.

use super::super::frame::{Field, Purpose, Sign};
use super::super::words::{mask, put, signed, signed_field, u16_at, unsigned_field};

/// What the program counter reads as, beyond the instruction's own address.
const AHEAD: i64 = 4;

/// Branches that go this far, in bytes, leave the function: their targets are worth remembering.
const FAR_BYTES: u64 = 1 << 11;

/// What an instruction has to do with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// B, 16 bits: so many bits of halfwords.
    Short { bits: u32 },
    /// CBZ, CBNZ.
    IfZero,
    /// LDR (literal) and ADR, 16 bits.
    Literal { load: Option<u32> },
    /// BL, BLX, B.W: 24 bits of halfwords.
    Jump { to_arm: bool },
    /// B.W with a condition: 20 bits of halfwords.
    WideIf,
    /// LDR.W and its kin (literal): 12 bits of bytes, and a sign.
    WideLiteral { load: Option<u32> },
    /// VLDR, LDRD (literal): 8 bits of words, and a sign.
    WordLiteral,
    /// MOVW.
    Low { register: u32 },
    /// MOVT.
    High { register: u32 },
    /// Anything else.
    Other,
}

/// An instruction: its first halfword, and the second one where it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) len: usize,
}

impl Instruction {
    pub(super) fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let first = u32::from(u16_at(bytes, at)?);
        // A5.1: the three top bits 111 and the next two not 00 say that a second halfword follows.
        if first < 0xE800 {
            return Some(Self { first, second: 0, len: 2 });
        }
        let second = u16_at(bytes, at.checked_add(2)?).map(u32::from)?;
        Some(Self { first, second, len: 4 })
    }

    pub(super) fn kind(self) -> Kind {
        if self.len == 4 { self.wide_kind() } else { self.narrow_kind() }
    }

    fn narrow_kind(self) -> Kind {
        match self.first >> 11 {
            0b1_1100 => Kind::Short { bits: 11 },
            // A7.7.12: conditions 14 and 15 are UDF and SVC.
            0b1_1010 | 0b1_1011 if self.first >> 8 & 15 < 14 => Kind::Short { bits: 8 },
            0b0_1001 => Kind::Literal { load: Some(self.first >> 8 & 7) },
            0b1_0100 => Kind::Literal { load: None },
            _ if self.first & 0xF500 == 0xB100 => Kind::IfZero,
            _ => Kind::Other,
        }
    }

    fn wide_kind(self) -> Kind {
        let Self { first, second, .. } = self;
        if first & 0xF800 == 0xF000 && second & 0x8000 != 0 {
            return match second >> 12 & 5 {
                0 if first >> 6 & 15 < 14 => Kind::WideIf,
                0 => Kind::Other,
                4 => Kind::Jump { to_arm: true },
                _ => Kind::Jump { to_arm: false },
            };
        }
        let register = second >> 8 & 15;
        match (first & 0xFBF0, second >> 15) {
            (0xF240, 0) => return Kind::Low { register },
            (0xF2C0, 0) => return Kind::High { register },
            _ => {}
        }
        match first & 0xFF7F {
            0xF85F => Kind::WideLiteral { load: Some(second >> 12) },
            0xF81F | 0xF83F | 0xF91F | 0xF93F => Kind::WideLiteral { load: None },
            0xE95F => Kind::WordLiteral,
            _ if first & 0xFF3F == 0xED1F && second & 0x0E00 == 0x0A00 => Kind::WordLiteral,
            _ => Kind::Other,
        }
    }

    /// Returns how far it jumps from the program counter, in bytes.
    pub(super) fn jump(self) -> i64 {
        let Self { first, second, .. } = self;
        // A7.7.18: I1 = NOT(J1 XOR S), I2 = NOT(J2 XOR S).
        let (sign, high, low) =
            (first >> 10 & 1, !(second >> 13 ^ first >> 10) & 1, !(second >> 11 ^ first >> 10) & 1);
        signed(sign << 23 | high << 22 | low << 21 | (first & mask(10)) << 11 | second & mask(11), 24) << 1
    }

    /// Calls and long jumps leave the function: their targets are worth remembering in any case.
    pub(super) fn is_far_jump(self) -> bool {
        self.second >> 14 & 1 == 1 || self.jump().unsigned_abs() >= FAR_BYTES
    }

    /// Returns how far the target of a branch, of a literal's load or of ADR is from the instruction, in bytes.
    pub(super) fn away(self, place: u32) -> Option<i64> {
        let kind = self.kind();
        match kind {
            Kind::Short { bits } => Some(AHEAD + (signed(self.first, bits) << 1)),
            Kind::IfZero => {
                Some(AHEAD + i64::from((self.first >> 9 & 1) << 6 | (self.first >> 3 & mask(5)) << 1))
            }
            Kind::Jump { to_arm: false } => Some(AHEAD + self.jump()),
            Kind::WideIf => Some(AHEAD + self.wide_if()),
            Kind::Literal { .. } | Kind::WideLiteral { .. } | Kind::WordLiteral => self.literal_away(place),
            Kind::Jump { to_arm: true } | Kind::Low { .. } | Kind::High { .. } | Kind::Other => None,
        }
    }

    pub(super) fn with_jump(self, away: i64) -> Option<Self> {
        let field = signed_field(away, 1, 24)?;
        let sign = field >> 23;
        let (high, low) = (!(field >> 22 ^ sign) & 1, !(field >> 21 ^ sign) & 1);
        Some(Self {
            first: self.first & !mask(11) | sign << 10 | field >> 11 & mask(10),
            second: self.second & 0xD000 | high << 13 | low << 11 | field & mask(11),
            len: 4,
        })
    }

    /// The same for B.W with a condition: A7.7.12, encoding T3.
    fn wide_if(self) -> i64 {
        let Self { first, second, .. } = self;
        let high = (first >> 10 & 1) << 2 | (second >> 11 & 1) << 1 | second >> 13 & 1;
        signed(high << 17 | (first & mask(6)) << 11 | second & mask(11), 20) << 1
    }

    pub(super) fn with_wide_if(self, away: i64) -> Option<Self> {
        let field = signed_field(away, 1, 20)?;
        let first = self.first & !(1 << 10 | mask(6)) | field >> 19 << 10 | field >> 11 & mask(6);
        let second =
            self.second & 0xD000 | (field >> 17 & 1) << 13 | (field >> 18 & 1) << 11 | field & mask(11);
        Some(Self { first, second, len: 4 })
    }

    /// Returns how far its literal is from the instruction: it counts from a whole word.
    pub(super) fn literal_away(self, place: u32) -> Option<i64> {
        let away = match self.kind() {
            Kind::Literal { .. } => i64::from(self.first & 255) << 2,
            Kind::WideLiteral { .. } => self.literal(12, 0),
            Kind::WordLiteral => self.literal(8, 2),
            Kind::Short { .. }
            | Kind::IfZero
            | Kind::Jump { .. }
            | Kind::WideIf
            | Kind::Low { .. }
            | Kind::High { .. }
            | Kind::Other => return None,
        };
        Some(AHEAD + away - i64::from(place & 3))
    }

    /// Returns how far its literal is from the word of the program counter, in bytes: the field's width and scale too.
    fn literal(self, bits: u32, shift: u32) -> i64 {
        let size = i64::from(self.second & mask(bits)) << shift;
        if self.first >> 7 & 1 == 1 { size } else { -size }
    }

    pub(super) fn with_literal(self, away: i64, bits: u32, shift: u32) -> Option<Self> {
        let size = i64::try_from(away.unsigned_abs()).ok()?;
        // Minus zero is a form of its own: the sign stays as it was where there is nothing to sign.
        let up = if size == 0 { self.first >> 7 & 1 } else { u32::from(away > 0) };
        let second = self.second & !mask(bits) | unsigned_field(size, shift, bits)?;
        Some(Self { first: self.first & !(1 << 7) | up << 7, second, len: 4 })
    }

    /// Returns the 16 bits of a MOVW or MOVT: A7.7.76, A7.7.79.
    pub(super) fn half(self) -> u32 {
        let Self { first, second, .. } = self;
        (first & 15) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 255
    }

    pub(super) fn with_half(self, half: u32) -> Self {
        let first = self.first & !(1 << 10 | 15) | half >> 12 & 15 | (half >> 11 & 1) << 10;
        Self { first, second: self.second & !(7 << 12 | 255) | (half >> 8 & 7) << 12 | half & 255, len: 4 }
    }

    /// Returns both halfwords as one number.
    pub(super) fn word(self) -> u32 {
        self.first | self.second << 16
    }

    /// Returns where it holds an offset from the stack pointer, as a part of both halfwords.
    pub(super) fn frame_field(self) -> Option<Field> {
        let field = |lowest, bits, scale| {
            Some(Field { lowest, bits, scale, sign: Sign::Up, purpose: Purpose::Inside })
        };
        let Self { first, len, .. } = self;
        if len == 2 {
            return match first >> 7 {
                0b1_0110_0000 => field(0, 7, 2),
                0b1_0110_0001 => {
                    Some(Field { lowest: 0, bits: 7, scale: 2, sign: Sign::Up, purpose: Purpose::Opens })
                }
                _ if first & 0xF000 == 0x9000 || first & 0xF800 == 0xA800 => field(0, 8, 2),
                _ => None,
            };
        }
        match first {
            _ if first & 0xFE8F == 0xF88D => field(16, 12, 0),
            0xE9CD | 0xE9DD => field(16, 8, 2),
            // ADD and ADDW whose number is below 256.
            0xF10D | 0xF20D if self.second & 0x7000 == 0 => field(16, 8, 0),
            _ => None,
        }
    }

    pub(super) fn write(self, out: &mut [u8], at: usize) {
        if self.len == 4 {
            put(out, at, self.word().to_le_bytes());
        } else {
            let [low, high, ..] = self.first.to_le_bytes();
            put(out, at, [low, high]);
        }
    }
}
