//! SHA-256 (FIPS 180-4), so that a bootloader needs nothing beside this crate to know its images.
//!
//! In: bytes. Out: their digest. Refuses nothing.
//!
//! On hosts the crate `sha2` does the same, faster; here, a crate without dependencies is the proof that nothing allocates.

/// FIPS 180-4 section 4.2.2: the constants of the 64 rounds.
const ROUNDS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// FIPS 180-4 section 5.3.3: the hash value that a message starts with.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The size of a block, in bytes.
const BLOCK_BYTES: usize = 64;

/// A digest on its way.
#[derive(Debug, Clone)]
pub struct Sha256 {
    state: [u32; 8],
    block: [u8; BLOCK_BYTES],
    filled: usize,
    len: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self { state: START, block: [0; BLOCK_BYTES], filled: 0, len: 0 }
    }
}

impl Sha256 {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.len = self.len.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(BLOCK_BYTES - self.filled));
            self.block.iter_mut().skip(self.filled).zip(piece).for_each(|(place, byte)| *place = *byte);
            self.filled += piece.len();
            rest = behind;
            if self.filled == BLOCK_BYTES {
                compress(&mut self.state, &self.block);
                self.filled = 0;
            }
        }
    }

    /// Returns the digest of everything that was added.
    pub fn finish(mut self) -> [u8; 32] {
        let bits = self.len.wrapping_mul(8);
        // FIPS 180-4 section 5.1.1: a one, zeros, and the length of the message in bits.
        self.update(&[0x80]);
        while self.filled != BLOCK_BYTES - 8 {
            self.update(&[0]);
        }
        self.update(&bits.to_be_bytes());
        let mut digest = [0; 32];
        let words = self.state.iter().flat_map(|word| word.to_be_bytes());
        digest.iter_mut().zip(words).for_each(|(place, byte)| *place = byte);
        digest
    }
}

/// FIPS 180-4 section 6.2.2, with a schedule of sixteen words that moves on with the rounds.
#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
fn compress(state: &mut [u32; 8], block: &[u8; BLOCK_BYTES]) {
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for constant in ROUNDS {
        let sum = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let first = h.wrapping_add(sum).wrapping_add(choice).wrapping_add(constant).wrapping_add(words[0]);
        let sum = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let second = sum.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(second));
        let near = words[1].rotate_right(7) ^ words[1].rotate_right(18) ^ (words[1] >> 3);
        let far = words[14].rotate_right(17) ^ words[14].rotate_right(19) ^ (words[14] >> 10);
        let next = words[0].wrapping_add(near).wrapping_add(words[9]).wrapping_add(far);
        words.rotate_left(1);
        words[15] = next;
    }
    for (place, value) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *place = place.wrapping_add(value);
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;
    use std::string::String;
    use std::vec;

    use super::Sha256;

    fn hex(digest: [u8; 32]) -> String {
        let mut text = String::new();
        digest.iter().try_for_each(|byte| write!(text, "{byte:02x}")).unwrap();
        text
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        // NIST, examples of SHA-256, and a million times the letter a.
        let cases: [(&[u8], &str); 3] = [
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ];
        for (bytes, expected) in cases {
            let mut whole = Sha256::default();
            whole.update(bytes);
            assert_eq!(hex(whole.finish()), expected);
        }
        let mut pieces = Sha256::default();
        for _ in 0..1000 {
            vec![b'a'; 1000].chunks(37).for_each(|piece| pieces.update(piece));
        }
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(hex(pieces.finish()), million);
    }
}
