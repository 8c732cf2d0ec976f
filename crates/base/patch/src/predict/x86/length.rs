//! How long an instruction of 64-bit x86 is, and where its address stands.
//!
//! In: bytes. Out: length and operand. Refuses bytes that are no instruction in 64-bit mode, and AMD's XOP.
//!
//! Norm: Intel 64 Software Developer's Manual, volume 2: 2.1 (format), 2.3 (VEX), 2.7 (EVEX), appendix A (opcode maps).

/// What an instruction takes, as far as predictors care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// How long it is, in bytes.
    pub len: usize,
    /// Its address or distance.
    pub operand: Operand,
}

/// An address or distance, with the place where it stands in the instruction, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// None.
    None,
    /// A jump over 8 bits, from the end of the instruction.
    Near(usize),
    /// A conditional jump over 32 bits, from the end of the instruction.
    Branch(usize),
    /// A call or jump over 32 bits, from the end of the instruction.
    Far(usize),
    /// Memory at a distance of 32 bits from the end of the instruction.
    Relative(usize),
    /// A number of 32 bits that may be an address.
    Absolute32(usize),
    /// A number of 64 bits that may be an address.
    Absolute64(usize),
}

/// Longest instruction, in bytes (SDM volume 2, 2.3.11).
const LEN_MAX: usize = 15;

/// Decodes the instruction at the start of `bytes`.
pub fn decode(bytes: &[u8]) -> Option<Instruction> {
    let bytes = bytes.get(..LEN_MAX).unwrap_or(bytes);
    let mut at = 0;
    let mut sizes = Sizes { operand: Width::Four, address: Width::Eight };
    loop {
        match byte(bytes, at)? {
            0x66 => sizes.operand = Width::Two,
            0x67 => sizes.address = Width::Four,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            _ => break,
        }
        at += 1;
    }
    let first = byte(bytes, at)?;
    // REX must be the last prefix.
    let opcode = if first & 0xf0 == 0x40 {
        at += 1;
        if first & 8 != 0 {
            sizes.operand = Width::Eight;
        }
        byte(bytes, at)?
    } else {
        first
    };
    match opcode {
        0x0f => match byte(bytes, at + 1)? {
            0x38 => body(bytes, at + 3, Shape::modrm(Immediate::None), sizes),
            0x3a => body(bytes, at + 3, Shape::modrm(Immediate::One), sizes),
            second => body(bytes, at + 2, second_map(second)?, sizes),
        },
        // VEX and EVEX follow no REX.
        0xc5 if first == 0xc5 => body(bytes, at + 3, vector(1, byte(bytes, at + 2)?)?, sizes),
        0xc4 if first == 0xc4 => {
            body(bytes, at + 4, vector(byte(bytes, at + 1)? & 0x1f, byte(bytes, at + 3)?)?, sizes)
        }
        0x62 if first == 0x62 => {
            body(bytes, at + 5, vector(byte(bytes, at + 1)? & 7, byte(bytes, at + 4)?)?, sizes)
        }
        _ => body(bytes, at + 1, first_map(opcode, byte(bytes, at + 1))?, sizes),
    }
}

/// How wide operands and addresses are.
#[derive(Clone, Copy)]
struct Sizes {
    operand: Width,
    address: Width,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Two,
    Four,
    Eight,
}

/// What follows an opcode.
#[derive(Clone, Copy)]
struct Shape {
    modrm: ModRm,
    immediate: Immediate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ModRm {
    Absent,
    Present,
}

/// The number behind opcode and `ModR/M`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Immediate {
    None,
    One,
    Two,
    Three,
    /// As wide as the operand, but not more than four bytes.
    Operand,
    /// As wide as the operand, up to eight bytes: only MOV to a register.
    OperandFull,
    /// As wide as an address: MOV of the accumulator.
    Address,
    /// A distance of one byte.
    Near,
    /// A distance of four bytes of a conditional jump.
    Branch,
    /// A distance of four bytes.
    Far,
}

impl Shape {
    const fn bare(immediate: Immediate) -> Self {
        Self { modrm: ModRm::Absent, immediate }
    }

    const fn modrm(immediate: Immediate) -> Self {
        Self { modrm: ModRm::Present, immediate }
    }
}

/// The one-byte opcodes (SDM volume 2, table A-2).
fn first_map(opcode: u8, next: Option<u8>) -> Option<Shape> {
    // Group 3: only TEST, which is /0 and /1, has an immediate.
    let is_test = next.is_some_and(|modrm| modrm & 0x30 == 0);
    Some(match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => Shape::modrm(Immediate::None),
            4 => Shape::bare(Immediate::One),
            5 => Shape::bare(Immediate::Operand),
            _ => return None,
        },
        0x50..=0x5f
        | 0x6c..=0x6f
        | 0x90..=0x99
        | 0x9b..=0x9f
        | 0xa4..=0xa7
        | 0xaa..=0xaf
        | 0xc3
        | 0xc9
        | 0xcb
        | 0xcc
        | 0xcf
        | 0xd7
        | 0xec..=0xef
        | 0xf1
        | 0xf4
        | 0xf5
        | 0xf8..=0xfd => Shape::bare(Immediate::None),
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => Shape::modrm(Immediate::None),
        0x68 | 0xa9 => Shape::bare(Immediate::Operand),
        0x69 | 0x81 | 0xc7 => Shape::modrm(Immediate::Operand),
        0x6a | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe4..=0xe7 => Shape::bare(Immediate::One),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Shape::modrm(Immediate::One),
        0x70..=0x7f | 0xe0..=0xe3 | 0xeb => Shape::bare(Immediate::Near),
        0xa0..=0xa3 => Shape::bare(Immediate::Address),
        0xb8..=0xbf => Shape::bare(Immediate::OperandFull),
        0xc2 | 0xca => Shape::bare(Immediate::Two),
        0xc8 => Shape::bare(Immediate::Three),
        0xe8 | 0xe9 => Shape::bare(Immediate::Far),
        0xf6 => Shape::modrm(if is_test { Immediate::One } else { Immediate::None }),
        0xf7 => Shape::modrm(if is_test { Immediate::Operand } else { Immediate::None }),
        _ => return None,
    })
}

/// The opcodes behind 0F (SDM volume 2, table A-3).
fn second_map(opcode: u8) -> Option<Shape> {
    Some(match opcode {
        0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x35 | 0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => {
            Shape::bare(Immediate::None)
        }
        0x80..=0x8f => Shape::bare(Immediate::Branch),
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => Shape::modrm(Immediate::One),
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x39 | 0x3b..=0x3f | 0xa6 | 0xa7 => return None,
        _ => Shape::modrm(Immediate::None),
    })
}

/// The maps of VEX and EVEX: 1 is that of 0F, 2 that of 0F 38, 3 that of 0F 3A; 5 and 6 are EVEX alone.
fn vector(map: u8, opcode: u8) -> Option<Shape> {
    Some(match (map, opcode) {
        (1, 0x77) => Shape::bare(Immediate::None),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3, _) => Shape::modrm(Immediate::One),
        (1 | 2 | 5 | 6, _) => Shape::modrm(Immediate::None),
        _ => return None,
    })
}

/// Decodes what stands behind the opcode.
fn body(bytes: &[u8], at: usize, shape: Shape, sizes: Sizes) -> Option<Instruction> {
    let (at, memory) = match shape.modrm {
        ModRm::Absent => (at, Operand::None),
        ModRm::Present => modrm(bytes, at)?,
    };
    let wide = match sizes.operand {
        Width::Two => 2,
        Width::Four | Width::Eight => 4,
    };
    let (len, operand) = match shape.immediate {
        Immediate::None => (0, Operand::None),
        Immediate::One => (1, Operand::None),
        Immediate::Two => (2, Operand::None),
        Immediate::Three => (3, Operand::None),
        Immediate::OperandFull if sizes.operand == Width::Eight => (8, Operand::Absolute64(at)),
        Immediate::Operand | Immediate::OperandFull if wide == 4 => (4, Operand::Absolute32(at)),
        Immediate::Operand | Immediate::OperandFull => (wide, Operand::None),
        Immediate::Address if sizes.address == Width::Eight => (8, Operand::Absolute64(at)),
        Immediate::Address => (4, Operand::None),
        Immediate::Near => (1, Operand::Near(at)),
        Immediate::Branch => (4, Operand::Branch(at)),
        Immediate::Far => (4, Operand::Far(at)),
    };
    let end = at + len;
    let operand = if matches!(memory, Operand::Relative(_)) { memory } else { pick(memory, operand) };
    (end <= bytes.len()).then_some(Instruction { len: end, operand })
}

/// An immediate address stands where both may be: `mov dword [table], string`.
fn pick(memory: Operand, immediate: Operand) -> Operand {
    if immediate == Operand::None { memory } else { immediate }
}

/// Walks over `ModR/M`, SIB and displacement (SDM volume 2, 2.1.5); returns what follows and the address, if any.
fn modrm(bytes: &[u8], at: usize) -> Option<(usize, Operand)> {
    let modrm = byte(bytes, at)?;
    let at = at + 1;
    Some(match (modrm >> 6, modrm & 7) {
        // Without a base register, there is a displacement: from RIP, or absolute behind an SIB.
        (0, 5) => (at + 4, Operand::Relative(at)),
        (0, 4) if byte(bytes, at)? & 7 == 5 => (at + 5, Operand::Absolute32(at + 1)),
        (0, 4) => (at + 1, Operand::None),
        (0 | 3, _) => (at, Operand::None),
        (1, 4) => (at + 2, Operand::None),
        (1, _) => (at + 1, Operand::None),
        // A table at a fixed address, indexed by a register.
        (_, 4) => (at + 5, Operand::Absolute32(at + 1)),
        (_, _) => (at + 4, Operand::Absolute32(at)),
    })
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

#[cfg(test)]
mod tests;
