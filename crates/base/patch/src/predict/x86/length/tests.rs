//! Real encodings of x86-64 and how long they are.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::{Instruction, Operand, decode};

/// Instructions as assemblers write them, with the address that stands in them.
const REAL: [(&[u8], Operand); 48] = [
    (&[0x90], Operand::None),
    (&[0xc3], Operand::None),
    (&[0x55], Operand::None),
    (&[0xcc], Operand::None),
    (&[0xf3, 0x0f, 0x1e, 0xfa], Operand::None),
    (&[0x48, 0x89, 0xe5], Operand::None),
    (&[0x48, 0x83, 0xec, 0x18], Operand::None),
    (&[0x48, 0x81, 0xec, 0, 1, 0, 0], Operand::Absolute32(3)),
    (&[0x8b, 0x44, 0x24, 0x0c], Operand::None),
    (&[0x48, 0x8b, 0x84, 0x24, 0, 1, 0, 0], Operand::Absolute32(4)),
    (&[0x48, 0x8d, 0x3d, 1, 2, 3, 4], Operand::Relative(3)),
    (&[0x8b, 0x05, 1, 2, 3, 4], Operand::Relative(2)),
    (&[0xff, 0x25, 1, 2, 3, 4], Operand::Relative(2)),
    (&[0xf2, 0xff, 0x25, 1, 2, 3, 4], Operand::Relative(3)),
    (&[0xc7, 0x05, 1, 2, 3, 4, 5, 0, 0, 0], Operand::Relative(2)),
    (&[0x66, 0xc7, 0x05, 1, 2, 3, 4, 5, 0], Operand::Relative(3)),
    (&[0x83, 0x3d, 1, 2, 3, 4, 0], Operand::Relative(2)),
    (&[0x80, 0x3d, 1, 2, 3, 4, 0], Operand::Relative(2)),
    (&[0xf6, 0x05, 1, 2, 3, 4, 8], Operand::Relative(2)),
    (&[0xf7, 0x15, 1, 2, 3, 4], Operand::Relative(2)),
    (&[0xf7, 0xc7, 1, 0, 0, 0], Operand::Absolute32(2)),
    (&[0xe8, 1, 2, 3, 4], Operand::Far(1)),
    (&[0x66, 0x66, 0x48, 0xe8, 1, 2, 3, 4], Operand::Far(4)),
    (&[0xe9, 1, 2, 3, 4], Operand::Far(1)),
    (&[0xeb, 0x10], Operand::Near(1)),
    (&[0x74, 0xfe], Operand::Near(1)),
    (&[0xe3, 0x05], Operand::Near(1)),
    (&[0x0f, 0x84, 1, 2, 3, 4], Operand::Branch(2)),
    (&[0x0f, 0xb6, 0x05, 1, 2, 3, 4], Operand::Relative(3)),
    (&[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], Operand::Absolute32(4)),
    (&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], Operand::Absolute32(6)),
    (&[0x0f, 0xa2], Operand::None),
    (&[0x0f, 0xba, 0xe0, 0x05], Operand::None),
    (&[0x66, 0x0f, 0x6f, 0x05, 1, 2, 3, 4], Operand::Relative(4)),
    (&[0x66, 0x0f, 0x38, 0xdc, 0xc1], Operand::None),
    (&[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x08], Operand::None),
    (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], Operand::Absolute64(2)),
    (&[0xbf, 1, 2, 3, 4], Operand::Absolute32(1)),
    (&[0x66, 0xb8, 1, 2], Operand::None),
    (&[0x68, 1, 2, 3, 4], Operand::Absolute32(1)),
    (&[0xff, 0x24, 0xc5, 1, 2, 3, 4], Operand::Absolute32(3)),
    (&[0xa1, 1, 2, 3, 4, 5, 6, 7, 8], Operand::Absolute64(1)),
    (&[0xc2, 8, 0], Operand::None),
    (&[0xc8, 8, 0, 0], Operand::None),
    (&[0xc5, 0xf8, 0x77], Operand::None),
    (&[0xc5, 0xfd, 0x6f, 0x05, 1, 2, 3, 4], Operand::Relative(4)),
    (&[0xc4, 0xe3, 0x75, 0x0f, 0xc2, 0x08], Operand::None),
    (&[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x05, 1, 2, 3, 4], Operand::Relative(6)),
];

#[test]
fn real_instructions_are_as_long_as_they_are() {
    for (bytes, operand) in REAL {
        assert_eq!(decode(bytes), Some(Instruction { len: bytes.len(), operand }), "{bytes:02x?}");
        let more = [bytes, &[0x5a; 4]].concat();
        assert_eq!(decode(&more), Some(Instruction { len: bytes.len(), operand }), "{bytes:02x?}");
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None, "{bytes:02x?}");
    }
}

#[test]
fn what_is_no_instruction_in_64_bit_mode_has_no_length() {
    for bytes in
        [[0x06, 0, 0], [0x60, 0, 0], [0x82, 0, 0], [0x9a, 0, 0], [0xd6, 0, 0], [0xea, 0, 0], [0x0f, 0x04, 0]]
    {
        assert_eq!(decode(&[bytes.as_slice(), &[0; 12]].concat()), None, "{bytes:02x?}");
    }
    assert_eq!(decode(&[0x66; 20]), None);
}

proptest! {
    #[test]
    fn any_bytes_have_a_length_within_them(bytes in vec(any::<u8>(), 0..24)) {
        if let Some(instruction) = decode(&bytes) {
            assert!((1..=15).contains(&instruction.len) && instruction.len <= bytes.len());
        }
    }
}
