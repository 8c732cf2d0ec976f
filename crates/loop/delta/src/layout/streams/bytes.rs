//! Numbers and stretches out of an image.
//!
//! In: bytes and a place. Out: what stands there. Refuses (`None`) every place that is not wholly inside.

/// Returns `len` bytes from a place.
pub(super) fn slice(image: &[u8], start: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    image.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

/// Returns everything from a place on.
pub(super) fn tail(image: &[u8], start: u64) -> Option<&[u8]> {
    image.get(usize::try_from(start).ok()?..)
}

/// Returns the image up to a place; all of it when the place lies behind its end.
pub(super) fn head(image: &[u8], end: u64) -> &[u8] {
    usize::try_from(end).ok().and_then(|end| image.get(..end)).unwrap_or(image)
}

/// Says whether a place begins with a magic.
pub(super) fn begins(image: &[u8], start: u64, magic: &[u8]) -> bool {
    tail(image, start).is_some_and(|bytes| bytes.starts_with(magic))
}

/// Returns the bytes of a place as an array.
pub(super) fn array<const N: usize>(image: &[u8], start: u64) -> Option<[u8; N]> {
    tail(image, start)?.first_chunk::<N>().copied()
}

/// Returns a byte.
pub(super) fn byte(image: &[u8], start: u64) -> Option<u8> {
    array::<1>(image, start).map(|[byte]| byte)
}

/// Returns a 16-bit number, little endian.
pub(super) fn le16(image: &[u8], start: u64) -> Option<u64> {
    array(image, start).map(|bytes| u64::from(u16::from_le_bytes(bytes)))
}

/// Returns a 32-bit number, little endian.
pub(super) fn le32(image: &[u8], start: u64) -> Option<u64> {
    array(image, start).map(|bytes| u64::from(u32::from_le_bytes(bytes)))
}

/// Returns a 64-bit number, little endian.
pub(super) fn le64(image: &[u8], start: u64) -> Option<u64> {
    array(image, start).map(u64::from_le_bytes)
}

/// Returns a 32-bit number, big endian.
pub(super) fn be32(image: &[u8], start: u64) -> Option<u64> {
    array(image, start).map(|bytes| u64::from(u32::from_be_bytes(bytes)))
}

/// Returns how many bytes an image has.
pub(super) fn length(image: &[u8]) -> u64 {
    u64::try_from(image.len()).unwrap_or(u64::MAX)
}

/// Returns the next multiple of a power of two.
pub(super) fn round_up(value: u64, unit: u64) -> Option<u64> {
    value.checked_add(unit.checked_sub(1)?).map(|sum| sum & !(unit - 1))
}

/// Returns a name that ends at the first NUL, as text.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Reads digits of a base (8, 10 or 16), with blanks and NULs around them.
pub(super) fn digits(bytes: &[u8], base: u32) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    u64::from_str_radix(text.trim_matches(|c| c == ' ' || c == '\0'), base).ok()
}

/// Computes the CRC-32 of gzip, xz, U-Boot and zip (ISO 3309).
pub(super) fn crc32(parts: &[&[u8]]) -> u64 {
    let mut crc = flate2::Crc::new();
    for part in parts {
        crc.update(part);
    }
    u64::from(crc.sum())
}

/// Returns a 16-bit number, big endian.
pub(super) fn be16(image: &[u8], start: u64) -> Option<u64> {
    array(image, start).map(|bytes| u64::from(u16::from_be_bytes(bytes)))
}
