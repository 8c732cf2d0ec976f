//! Code that has only moved: chunks of it are the same but for the addresses in their instructions.
//!
//! In: the bytes of a chunk of code. Out: its *body*, in which the fields that change when code moves are zero, and these
//! fields, as what they point at; and the way back. Refuses fields that are too few or too many for a body.
//!
//! Which bits are a field follows from the others alone, so that a body tells where its fields belong. A chunk begins with an
//! instruction and remembers nothing of the one before it.

use warden_patch::predict::Arch;

use super::IndexError;

/// A processor whose moved code is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// 64-bit Arm.
    A64,
    /// 32-bit Arm, 32-bit instructions.
    Arm,
}

/// Bytes of an instruction.
pub(super) const WORD_BYTES: usize = 4;

impl Code {
    /// Returns the code that a file holds, if it is one of these.
    pub(super) fn of(arch: Arch) -> Option<Self> {
        match arch {
            Arch::A64 => Some(Self::A64),
            Arch::Arm => Some(Self::Arm),
            Arch::None | Arch::Thumb | Arch::Rv32 | Arch::Rv64 | Arch::X86 | Arch::Xtensa => None,
        }
    }

    /// Returns its number in an index; 0 is no code.
    pub(super) fn number(code: Option<Self>) -> u8 {
        match code {
            None => 0,
            Some(Self::A64) => 1,
            Some(Self::Arm) => 2,
        }
    }

    /// Reads a number.
    pub(super) fn read(number: u8) -> Result<Option<Self>, IndexError> {
        match number {
            0 => Ok(None),
            1 => Ok(Some(Self::A64)),
            2 => Ok(Some(Self::Arm)),
            _ => Err(IndexError::Corrupt { what: "it names unknown code" }),
        }
    }
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The distance of a jump or call in instructions, in the lowest bits: so many of them.
    Branch(u32),
    /// The distance of a page (A64 ADRP).
    Page,
    /// Twelve bits from bit 10 on: the place in a page.
    Offset,
    /// Half of an address (Arm MOVW, MOVT).
    Half,
}

/// Finds fields, one instruction after the other.
#[derive(Debug, Clone, Copy)]
struct Finder {
    code: Code,
    /// A bit for each register that holds a page.
    pages: u32,
}

impl Finder {
    fn new(code: Code) -> Self {
        Self { code, pages: 0 }
    }

    /// Looks at the next instruction; its field may be there or zero.
    fn next(&mut self, word: u32) -> Option<Field> {
        match self.code {
            Code::A64 => self.a64(word),
            Code::Arm => arm(word),
        }
    }

    /// Arm Architecture Reference Manual, C4.1: B and BL, ADRP, and what adds the place in a page.
    fn a64(&mut self, word: u32) -> Option<Field> {
        let (destination, base) = (word & 31, word >> 5 & 31);
        if word & 0x7C00_0000 == 0x1400_0000 {
            return Some(Field::Branch(26));
        }
        if word & 0x9F00_0000 == 0x9000_0000 {
            self.pages |= 1 << destination;
            return Some(Field::Page);
        }
        let is_add = word & 0xFFC0_0000 == 0x9100_0000;
        let holds_page = base != 31 && self.pages >> base & 1 == 1;
        if !holds_page || !(is_add || word & 0x3B00_0000 == 0x3900_0000) {
            return None;
        }
        if is_add {
            self.pages &= !(1 << destination);
        }
        Some(Field::Offset)
    }
}

/// Arm Architecture Reference Manual for A32, F4.1: B and BL, MOVW and MOVT.
fn arm(word: u32) -> Option<Field> {
    let is_conditional = word >> 28 != 15;
    if word & 0x0E00_0000 == 0x0A00_0000 {
        return Some(Field::Branch(24));
    }
    (is_conditional && word & 0x0FB0_0000 == 0x0300_0000).then_some(Field::Half)
}

impl Field {
    /// Returns the bits of an instruction that are the field.
    fn mask(self) -> u32 {
        match self {
            Self::Branch(bits) => (1 << bits) - 1,
            Self::Page => 0x60FF_FFE0,
            Self::Offset => 0xFFF << 10,
            Self::Half => 0x000F_0FFF,
        }
    }

    /// Returns how many bytes it takes on its own.
    fn bytes(self) -> usize {
        match self {
            Self::Branch(bits) if bits > 24 => 4,
            Self::Branch(_) | Self::Page => 3,
            Self::Offset | Self::Half => 2,
        }
    }

    /// Returns what the field of an instruction at a place points at.
    fn read(self, word: u32, at: u64) -> u32 {
        match self {
            Self::Branch(_) => (word & self.mask()).wrapping_add(low(at >> 2)) & self.mask(),
            Self::Page => {
                ((word >> 3 & 0x1F_FFFC) | (word >> 29 & 3)).wrapping_add(low(at >> 12)) & 0x1F_FFFF
            }
            Self::Offset => word >> 10 & 0xFFF,
            Self::Half => (word >> 4 & 0xF000) | (word & 0xFFF),
        }
    }

    /// Returns the field of an instruction at a place that points there.
    fn write(self, value: u32, at: u64) -> u32 {
        match self {
            Self::Branch(_) => value.wrapping_sub(low(at >> 2)) & self.mask(),
            Self::Page => {
                let pages = value.wrapping_sub(low(at >> 12)) & 0x1F_FFFF;
                (pages & 0x1F_FFFC) << 3 | (pages & 3) << 29
            }
            Self::Offset => (value & 0xFFF) << 10,
            Self::Half => (value & 0xF000) << 4 | (value & 0xFFF),
        }
    }
}

fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Goes through the instructions of a chunk that have fields, and puts others in their place; stops where there is none, and
/// says whether it came to the end.
fn each(code: Code, bytes: &mut [u8], mut visit: impl FnMut(Field, u64, u32) -> Option<u32>) -> bool {
    let mut finder = Finder::new(code);
    for (place, chunk) in (0_u64..).zip(bytes.as_chunks_mut::<WORD_BYTES>().0) {
        let word = u32::from_le_bytes(*chunk);
        if let Some(field) = finder.next(word) {
            let Some(other) = visit(field, place * WORD_BYTES as u64, word) else { return false };
            *chunk = other.to_le_bytes();
        }
    }
    true
}

/// Makes the body of a chunk that lies at a place; returns its fields, each as a number, the highest byte first: the same
/// target is the same bytes.
pub(super) fn take_fields(code: Code, chunk: &mut [u8], at: u64) -> Vec<u8> {
    let mut fields = Vec::new();
    each(code, chunk, |field, skip, word| {
        let value = field.read(word, at.saturating_add(skip)).to_be_bytes();
        fields.extend_from_slice(value.get(WORD_BYTES - field.bytes()..).unwrap_or_default());
        Some(word & !field.mask())
    });
    fields
}

/// Makes a chunk from its body and its fields; says whether they fit.
pub(super) fn put_fields(code: Code, body: &mut [u8], at: u64, fields: &[u8]) -> bool {
    let mut rest = fields;
    let done = each(code, body, |field, skip, word| {
        let (first, behind) = rest.split_at_checked(field.bytes())?;
        rest = behind;
        let value = first.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        Some(word & !field.mask() | field.write(value, at.saturating_add(skip)))
    });
    done && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Code, put_fields, take_fields};

    fn code(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn moved_code_has_the_same_body() {
        // Arm Architecture Reference Manual: bl, adrp x0, add x0 x0, ldr x1 [x0], ret; then b and movw of A32.
        let a64 = |distance: u32, page: u32, place: u32| {
            code(&[0x9400_0000 | distance, 0x9000_0000 | page << 5, 0x9100_0000 | place << 10, 0xD65F_03C0])
        };
        let arm = |distance: u32, half: u32| code(&[0xEA00_0000 | distance, 0xE300_0000 | half, 0xE1A0_0000]);
        for (which, mut one, mut other) in
            [(Code::A64, a64(5, 7, 9), a64(6, 8, 24)), (Code::Arm, arm(5, 7), arm(1_000, 0xF_0FFF))]
        {
            assert_ne!(one, other);
            assert_ne!(take_fields(which, &mut one, 0), take_fields(which, &mut other, 0));
            assert_eq!(one, other);
        }
        // The same target from two places is the same field.
        let (mut here, mut there) = (a64(5, 7, 9), a64(4, 7, 9));
        assert_eq!(take_fields(Code::A64, &mut here, 0), take_fields(Code::A64, &mut there, 4));
    }

    #[test]
    fn fields_that_do_not_fit_are_refused() {
        let mut body = code(&[0x9400_0005]);
        let fields = take_fields(Code::A64, &mut body, 0);
        for wrong in [&fields[1..], &[&fields[..], &[0]].concat()] {
            assert!(!put_fields(Code::A64, &mut body.clone(), 0, wrong));
        }
        assert!(put_fields(Code::A64, &mut body, 0, &fields));
    }

    proptest! {
        #[test]
        fn body_and_fields_are_the_chunk(
            words in proptest::collection::vec(any::<u32>(), 0..200),
            tail in proptest::collection::vec(any::<u8>(), 0..4),
            at in any::<u64>(),
        ) {
            for which in [Code::A64, Code::Arm] {
                let chunk = [code(&words), tail.clone()].concat();
                let mut body = chunk.clone();
                let fields = take_fields(which, &mut body, at);
                let mut again = body.clone();
                prop_assert!(take_fields(which, &mut again, at).len() == fields.len());
                prop_assert_eq!(&again, &body);
                prop_assert!(put_fields(which, &mut body, at, &fields));
                prop_assert_eq!(body, chunk);
            }
        }
    }
}
