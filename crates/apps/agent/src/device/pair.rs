//! A small record that survives a cut at any moment: two copies, written in turn, each with a checksum.
//!
//! In: a payload. Out: the newest payload whose checksum is right. Refuses: torn, foreign and oversized copies.
//!
//! Two alternating copies, and not a temporary file with a rename: a torn write hurts only the copy that was the older
//! one anyway, whatever the file system makes of a rename (many flash file systems and FAT promise little), and the
//! same form fits two raw flash sectors, where there is no rename at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The first bytes of each copy: "Fleetwarden pair, form 1".
const MAGIC: [u8; 4] = *b"FWP1";
/// Magic, sequence number, length, checksum.
const HEAD_BYTES: usize = 4 + 8 + 4 + 4;

/// Two copies of a record.
#[derive(Debug, Clone)]
pub struct Pair {
    copies: [PathBuf; 2],
    payload_bytes_max: u64,
}

impl Pair {
    /// Names the record `dir/name.0` and `dir/name.1`; a payload above `payload_bytes_max` is neither written nor read.
    pub fn new(dir: &Path, name: &str, payload_bytes_max: u64) -> Self {
        Self { copies: [dir.join(format!("{name}.0")), dir.join(format!("{name}.1"))], payload_bytes_max }
    }

    /// Returns the newest good payload; nothing when there is none.
    pub fn load(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.newest()?.map(|(_, _, payload)| payload))
    }

    /// Makes a payload durable; the copy before it stays untouched.
    pub fn save(&self, payload: &[u8]) -> Result<()> {
        if u64::try_from(payload.len()).is_ok_and(|length| length > self.payload_bytes_max) {
            bail!(
                "a record of {} bytes is larger than the {} allowed",
                payload.len(),
                self.payload_bytes_max
            );
        }
        let [first, second] = &self.copies;
        let (target, sequence) = match self.newest()? {
            Some((0, sequence, _)) => (second, sequence.wrapping_add(1)),
            Some((_, sequence, _)) => (first, sequence.wrapping_add(1)),
            None => (first, 1),
        };
        let is_new = !target.exists();
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(target)
            .with_context(|| format!("open {}", target.display()))?;
        file.write_all(&copy_of(sequence, payload))
            .and_then(|()| file.sync_all())
            .with_context(|| format!("write {}", target.display()))?;
        if is_new && let Some(dir) = target.parent() {
            sync_dir(dir)?;
        }
        Ok(())
    }

    fn newest(&self) -> Result<Option<(usize, u64, Vec<u8>)>> {
        let mut best: Option<(usize, u64, Vec<u8>)> = None;
        for (index, path) in self.copies.iter().enumerate() {
            let Some((sequence, payload)) = self.read(path)? else { continue };
            if best.as_ref().is_none_or(|(_, newest, _)| sequence > *newest) {
                best = Some((index, sequence, payload));
            }
        }
        Ok(best)
    }

    fn read(&self, path: &Path) -> Result<Option<(u64, Vec<u8>)>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
        };
        let mut bytes = Vec::new();
        let most = self.payload_bytes_max.saturating_add(1 + HEAD_BYTES as u64);
        file.take(most).read_to_end(&mut bytes).with_context(|| format!("read {}", path.display()))?;
        Ok(parse(&bytes))
    }
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| format!("sync {}", dir.display()))
}

fn copy_of(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sequence = sequence.to_le_bytes();
    let checksum = crc32(&[sequence.as_slice(), payload]).to_le_bytes();
    [MAGIC.as_slice(), sequence.as_slice(), length.as_slice(), checksum.as_slice(), payload].concat()
}

fn parse(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, payload) = rest.split_first_chunk::<4>()?;
    let fits = *magic == MAGIC
        && usize::try_from(u32::from_le_bytes(*length)).is_ok_and(|length| length == payload.len())
        && u32::from_le_bytes(*checksum) == crc32(&[sequence.as_slice(), payload]);
    fits.then(|| (u64::from_le_bytes(*sequence), payload.to_vec()))
}

/// CRC-32 (IEEE 802.3), bit by bit: the records are small and a table would be larger than the code.
fn crc32(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    };
    !parts.iter().flat_map(|part| part.iter()).fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::{Pair, copy_of, crc32};
    use std::fs;

    #[test]
    fn the_checksum_is_the_one_that_everybody_knows() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xCBF4_3926);
    }

    #[test]
    fn the_newest_good_copy_counts() {
        let dir = tempfile::tempdir().unwrap();
        let pair = Pair::new(dir.path(), "state", 64);
        assert_eq!(pair.load().unwrap(), None);
        for text in ["one", "two", "three"] {
            pair.save(text.as_bytes()).unwrap();
            assert_eq!(pair.load().unwrap().unwrap(), text.as_bytes());
        }
        fs::write(dir.path().join("state.0"), b"foreign").unwrap();
        assert_eq!(pair.load().unwrap().unwrap(), b"two");
        assert!(pair.save(&[0; 65]).is_err());
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_record_before() {
        let dir = tempfile::tempdir().unwrap();
        let pair = Pair::new(dir.path(), "state", 64);
        pair.save(b"before").unwrap();
        let torn = copy_of(2, b"after");
        for length in 0..torn.len() {
            fs::write(dir.path().join("state.1"), &torn[..length]).unwrap();
            assert_eq!(pair.load().unwrap().unwrap(), b"before", "torn after {length} bytes");
        }
        for place in 0..torn.len() {
            let mut flipped = torn.clone();
            flipped[place] ^= 0x10;
            fs::write(dir.path().join("state.1"), &flipped).unwrap();
            assert_eq!(pair.load().unwrap().unwrap(), b"before", "bit flipped in byte {place}");
        }
        fs::write(dir.path().join("state.1"), &torn).unwrap();
        assert_eq!(pair.load().unwrap().unwrap(), b"after");
    }
}
