//! The little DER that certificates-only messages need (X.690): values in, bytes out, and back; refuses indefinite
//! and overlong lengths.

/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(crate) const SET: u8 = 0x31;
/// `OBJECT IDENTIFIER`.
pub(crate) const OBJECT_ID: u8 = 0x06;
/// `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub(crate) const CONTEXT_1: u8 = 0xa1;

/// Writes one value: tag, length, contents.
pub(crate) fn write(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        // A length takes at most eight bytes.
        out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
        out.extend(bytes);
    }
    out.extend_from_slice(contents);
    out
}

/// One value, and what follows it.
pub(crate) struct Read<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    /// The value with its tag and length.
    pub(crate) whole: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Reads one value; nothing when it is cut off or not in its one DER form.
pub(crate) fn read(bytes: &[u8]) -> Option<Read<'_>> {
    let (&tag, after_tag) = bytes.split_first()?;
    let (&first, after_length) = after_tag.split_first()?;
    let (length, body) = match first {
        0..=0x7f => (usize::from(first), after_length),
        0x81..=0x84 => {
            let (digits, body) = after_length.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            // One spelling only: the shortest.
            (digits.first() != Some(&0) && length > 0x7f).then_some((length, body))?
        }
        // Indefinite, or longer than anything that is ever read here.
        _ => return None,
    };
    let (contents, rest) = body.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    Some(Read { tag, contents, whole, rest })
}

/// Reads one value of this tag; returns its contents and what follows.
pub(crate) fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = read(bytes)?;
    (value.tag == tag).then_some((value.contents, value.rest))
}

#[cfg(test)]
mod tests {
    use super::{SEQUENCE, expect, read, write};

    #[test]
    fn values_of_every_length_survive_the_round_trip() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = write(SEQUENCE, &vec![7; length]);
            let (contents, rest) = expect(SEQUENCE, &bytes).unwrap();
            assert_eq!((contents.len(), rest.len()), (length, 0));
        }
    }

    #[test]
    fn other_spellings_and_cut_values_are_refused() {
        for bad in
            [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80, 0, 0], &[0x30, 0x81, 1, 7], &[0x30, 0x82, 0, 200]]
        {
            assert!(read(bad).is_none(), "{bad:?}");
        }
        assert!(read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).is_none());
    }
}
