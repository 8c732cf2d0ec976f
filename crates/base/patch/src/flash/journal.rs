//! The journal: how far an update is, kept where a power cut cannot take it.
//!
//! In: the number of steps that are done. Out: the same number after a reset. Refuses nothing: a record that was torn is
//! no record.
//!
//! Two pages. Records are appended, each programmed once into erased bytes, with a check value. When a page is full, and
//! after each reset, the journal goes on in the other page, which is erased first: the page that holds the last record is
//! never the one being erased, and nothing is programmed into a page in which a write may have been torn.

use super::{Fault, Flash, Geometry, JOURNAL_PAGES, WRITE_BYTES_MAX};

/// What a record says: 8 bytes of which update, 4 bytes of steps, 4 bytes of check value.
const SAID_BYTES: usize = 16;

/// The same, as places in the flash are counted.
const SAID_LEN: u32 = 16;

/// The journal of one update.
#[derive(Debug)]
pub struct Journal {
    geometry: Geometry,
    id: u64,
    /// In which of the two pages it goes on, and at which byte of it.
    page: u32,
    at: u32,
}

impl Journal {
    /// Opens the journal of an update, by a number that no other update has.
    pub fn new(geometry: Geometry, id: u64) -> Self {
        Self { geometry, id, page: 0, at: 0 }
    }

    /// Returns what a record takes, in bytes: whole units of writing.
    fn record_bytes(&self) -> u32 {
        SAID_LEN.next_multiple_of(self.geometry.write_bytes.max(1))
    }

    fn place(&self, page: u32, at: u32) -> u32 {
        (self.geometry.journal_page() + page) * self.geometry.page_bytes + at
    }

    /// Finds the last record: how many steps are done.
    pub fn find(&mut self, flash: &mut dyn Flash) -> Result<Option<u32>, Fault> {
        let mut last = None;
        for page in 0..JOURNAL_PAGES {
            let mut at = 0;
            while at + self.record_bytes() <= self.geometry.page_bytes {
                let mut said = [0; SAID_BYTES];
                flash.read(self.place(page, at), &mut said)?;
                let done = self.said(said);
                if done.is_some() && done > last {
                    (last, self.page) = (done, page);
                }
                at += self.record_bytes();
            }
        }
        Ok(last)
    }

    /// Forgets everything, and notes that no step is done.
    pub fn start(&mut self, flash: &mut dyn Flash) -> Result<(), Fault> {
        self.clear(flash)?;
        (self.page, self.at) = (0, 0);
        self.append(flash, 0)
    }

    /// Forgets everything: the update is complete, and a record of it must never be taken for one that goes on.
    pub fn clear(&mut self, flash: &mut dyn Flash) -> Result<(), Fault> {
        for page in 0..JOURNAL_PAGES {
            flash.erase(self.geometry.journal_page() + page)?;
        }
        Ok(())
    }

    /// Goes on after a reset, in the page that does not hold the last record.
    pub fn go_on(&mut self, flash: &mut dyn Flash, done: u32) -> Result<(), Fault> {
        self.at = self.geometry.page_bytes;
        self.append(flash, done)
    }

    /// Notes that so many steps are done.
    pub fn append(&mut self, flash: &mut dyn Flash, done: u32) -> Result<(), Fault> {
        let len = self.record_bytes();
        if self.at + len > self.geometry.page_bytes {
            (self.page, self.at) = ((self.page + 1) % JOURNAL_PAGES, 0);
            flash.erase(self.geometry.journal_page() + self.page)?;
        }
        let mut record = [0xff; WRITE_BYTES_MAX as usize];
        record.iter_mut().zip(self.record(done)).for_each(|(place, byte)| *place = byte);
        flash.program(self.place(self.page, self.at), record.get(..len as usize).unwrap_or_default())?;
        self.at += len;
        Ok(())
    }

    fn record(&self, done: u32) -> [u8; SAID_BYTES] {
        let mut said = [0; SAID_BYTES];
        let head = self.id.to_le_bytes().into_iter().chain(done.to_le_bytes());
        said.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
        let [head @ .., _, _, _, _] = said;
        let check = crc32(&head).to_le_bytes();
        said.iter_mut().skip(head.len()).zip(check).for_each(|(place, byte)| *place = byte);
        said
    }

    /// Reads a record; `None` for a torn one, a free place, and records of other updates.
    fn said(&self, said: [u8; SAID_BYTES]) -> Option<u32> {
        let [.., a, b, c, d, _, _, _, _] = said;
        let done = u32::from_le_bytes([a, b, c, d]);
        (self.record(done) == said).then_some(done)
    }
}

/// The check value of a record: CRC-32 (ISO 3309), which notices each burst of up to 32 wrong bits.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_check_value_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
