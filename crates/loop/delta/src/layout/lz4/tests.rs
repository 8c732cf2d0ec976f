//! Blocks whose sequences are known.

use super::{packed_len, unpack};

/// Three bytes, a copy of them six bytes long, five more.
const BLOCK: &[u8] = b"\x32abc\x03\x00\x50vwxyz";
const PLAIN: &[u8] = b"abcabcabcvwxyz";

#[test]
fn a_block_ends_where_its_bytes_are_complete() {
    let padded = [BLOCK, &[0; 20]].concat();
    assert_eq!(packed_len(&padded, PLAIN.len() as u64), Some(BLOCK.len() as u64));
    assert_eq!(packed_len(BLOCK, PLAIN.len() as u64), Some(BLOCK.len() as u64));
    for wrong in [0, 1, 8, 9, 13, 15, 1000] {
        assert_eq!(packed_len(&padded, wrong), None, "{wrong}");
    }
}

#[test]
fn a_block_unpacks_to_at_most_what_it_may() {
    assert_eq!(unpack(BLOCK, 14).as_deref(), Some(PLAIN));
    assert_eq!(unpack(BLOCK, 13), None);
    // From before the first byte, from nowhere, without an end, of no end.
    assert_eq!(unpack(b"\x32abc\x04\x00\x50vwxyz", 100), None);
    assert_eq!(unpack(b"\x32abc\x00\x00\x50vwxyz", 100), None);
    assert_eq!(unpack(b"\x32abc\x03", 100), None);
    assert_eq!(unpack(&[b"\x3fabc\x03\x00".as_slice(), &[255; 100]].concat(), 100), None);
    assert_eq!(unpack(b"", 100), None);
}
