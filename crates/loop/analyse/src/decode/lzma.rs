//! Raw LZMA, as vendors put it into file systems: with all, some or none of the header in front.
//!
//! In: a block. Out: its content. Refuses windows beyond 64 MiB, and more than may come out.

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

/// Largest window of a raw decoder: no block of a file system needs more than a MiB, archives some dozens.
const WINDOW_BYTES_MAX: u32 = 64 << 20;

/// Encoders of vendors leave off the last bytes of the range coder where nothing depends on them.
static PADDING: [u8; 5] = [0; 5];

/// What stands in front of the packed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// Properties, window, and the size in eight bytes.
    Alone,
    /// Properties and window.
    Short,
    /// Nothing: the properties are the builder's.
    Nothing { lc: u32, lp: u32, pb: u32 },
}

/// The headers that are tried, the most likely first.
pub(crate) const HEADERS: [Header; 6] = [
    Header::Alone,
    Header::Short,
    Header::Nothing { lc: 0, lp: 2, pb: 2 },
    Header::Nothing { lc: 3, lp: 0, pb: 2 },
    Header::Nothing { lc: 1, lp: 2, pb: 2 },
    Header::Nothing { lc: 0, lp: 0, pb: 2 },
];

/// Splits a properties byte: lc + 9 (lp + 5 pb).
pub(crate) fn split_properties(byte: u8) -> Option<(u32, u32, u32)> {
    let byte = u32::from(byte);
    (byte < 225).then_some((byte % 9, byte / 9 % 5, byte / 45))
}

/// Unpacks a block of at most `most` bytes.
pub(crate) fn unpack(header: Header, block: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    let properties = || -> Option<(u32, u32, u32)> { split_properties(*block.first()?) };
    let ((lc, lp, pb), skipped, said) = match header {
        Header::Alone => {
            let size = block.get(5..13).and_then(|size| size.first_chunk::<8>()).ok_or("it ends early")?;
            let size = u64::from_le_bytes(*size);
            let said = usize::try_from(size).ok().filter(|size| *size <= most);
            if said.is_none() && size != u64::MAX {
                return Err("its size is beyond the block");
            }
            (properties().ok_or("it has no properties")?, 13, said)
        }
        Header::Short => (properties().ok_or("it has no properties")?, 5, None),
        Header::Nothing { lc, lp, pb } => ((lc, lp, pb), 0, None),
    };
    let packed = block.get(skipped..).ok_or("it ends early")?;
    // The first byte of the range coder is always zero.
    if packed.first() != Some(&0) || lc + lp > 4 {
        return Err("it is no LZMA");
    }
    let window = u32::try_from(most).unwrap_or(WINDOW_BYTES_MAX).clamp(1 << 12, WINDOW_BYTES_MAX);
    raw(packed, (lc, lp, pb), window, said.unwrap_or(most), said)
}

/// Unpacks raw LZMA; `said` is how long it is, where that is known.
pub(crate) fn raw(
    packed: &[u8],
    (lc, lp, pb): (u32, u32, u32),
    window: u32,
    most: usize,
    said: Option<usize>,
) -> Result<Vec<u8>, &'static str> {
    let mut options = LzmaOptions::new_preset(6).map_err(|_| "there is no decoder")?;
    options.literal_context_bits(lc).literal_position_bits(lp).position_bits(pb).dict_size(window);
    let mut filters = Filters::new();
    filters.lzma1(&options);
    run(&filters, packed, most, said)
}

/// Runs a raw decoder over a block.
pub(crate) fn run(
    filters: &Filters,
    packed: &[u8],
    most: usize,
    said: Option<usize>,
) -> Result<Vec<u8>, &'static str> {
    let mut stream = Stream::new_raw_decoder(filters).map_err(|_| "its properties do not exist")?;
    let mut out = Vec::new();
    let mut used = 0;
    let mut packed = packed;
    let mut is_padded = false;
    loop {
        if out.len() >= most {
            break;
        }
        // Room grows with what comes out, not with what is claimed.
        let room = (out.len() * 2).clamp(16 * 1024, 16 << 20).min(most - out.len());
        let start = out.len();
        out.resize(start + room, 0);
        let input = packed.get(used..).unwrap_or_default();
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream.process(input, out.get_mut(start..).unwrap_or_default(), Action::Run);
        used += usize::try_from(stream.total_in() - before_in).unwrap_or(0);
        let written = usize::try_from(stream.total_out() - before_out).unwrap_or(0);
        out.truncate(start + written);
        match status {
            Ok(Status::StreamEnd) => break,
            Ok(_) if written == 0 && !is_padded && used >= packed.len() => {
                (packed, used, is_padded) = (&PADDING, 0, true);
            }
            Ok(_) if written == 0 => break,
            Ok(_) => {}
            Err(_) => return Err("its bits make no sense"),
        }
    }
    match said {
        Some(said) if said != out.len() => Err("it ends early"),
        _ if out.is_empty() && most > 0 => Err("nothing comes out"),
        _ => Ok(out),
    }
}
