//! Numbers and stretches at places of an image.
//!
//! In: bytes and a place. Out: what stands there. Refuses (with `None`) every place that is not wholly inside.

/// Returns the stretch of `len` bytes at `at`.
pub(crate) fn get(bytes: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let len = usize::try_from(len).ok()?;
    bytes.get(at..at.checked_add(len)?)
}

/// Returns all bytes from `at` on.
pub(crate) fn from(bytes: &[u8], at: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(at).ok()?..)
}

/// Returns the `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: u64) -> Option<[u8; N]> {
    from(bytes, at)?.first_chunk::<N>().copied()
}

/// Returns the byte at `at`.
pub(crate) fn byte(bytes: &[u8], at: u64) -> Option<u8> {
    array::<1>(bytes, at).map(|[byte]| byte)
}

/// Reads 16 bits, the lowest byte first.
pub(crate) fn u16_le(bytes: &[u8], at: u64) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Reads 32 bits, the lowest byte first.
pub(crate) fn u32_le(bytes: &[u8], at: u64) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Reads 64 bits, the lowest byte first.
pub(crate) fn u64_le(bytes: &[u8], at: u64) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Reads 16 bits, the highest byte first.
pub(crate) fn u16_be(bytes: &[u8], at: u64) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// Reads 32 bits, the highest byte first.
pub(crate) fn u32_be(bytes: &[u8], at: u64) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// Reads 64 bits, the highest byte first.
pub(crate) fn u64_be(bytes: &[u8], at: u64) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}
