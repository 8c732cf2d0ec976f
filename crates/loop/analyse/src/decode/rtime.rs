//! The `rtime` codec of JFFS2: a byte, and how many times what followed that byte the last time is repeated.
//!
//! In: a block and its unpacked size. Out: its content. Refuses to write more.

/// Unpacks `size` bytes.
pub(crate) fn unpack(block: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
    let mut out: Vec<u8> = Vec::new();
    let mut last = [0_usize; 256];
    let mut pairs = block.chunks_exact(2);
    while out.len() < size {
        let Some([byte, count]) = pairs.next() else { return Err("it ends early") };
        out.push(*byte);
        let Some(position) = last.get_mut(usize::from(*byte)) else { continue };
        let start = *position;
        *position = out.len();
        let count = usize::from(*count).min(size.saturating_sub(out.len()));
        for at in start..start + count {
            let byte = out.get(at).copied().unwrap_or(0);
            out.push(byte);
        }
    }
    Ok(out)
}
