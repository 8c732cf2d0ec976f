//! A patch taken apart, as `docs/reference/patch-format.md` tells it, and put together again after changes.
//!
//! In: the bytes of a patch. Out: its fields, and bytes with the lengths made right. Refuses what is no patch; it is only
//! asked about patches that were just made.

/// A window: its coded bytes and its check value.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) coded: Vec<u8>,
    pub(crate) check: Option<[u8; 8]>,
}

/// A patch.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    /// Letters, version, profile, layers, sizes of tables.
    pub(crate) fixed: [u8; 17],
    pub(crate) base: [u8; 32],
    pub(crate) result: [u8; 32],
    /// Base size, result size, copies.
    pub(crate) numbers: [u64; 3],
    /// With layers: base and result unpacked, scratch, memory.
    pub(crate) layers: Option<[u64; 4]>,
    /// The coded table of layers.
    pub(crate) table: Vec<u8>,
    pub(crate) windows: Vec<Window>,
}

/// The profile `fast`, as the head spells it.
pub(crate) const FAST: u8 = 3;

impl Patch {
    /// Takes a patch apart.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let fixed = take::<17>(&mut rest)?;
        let (base, result) = (take(&mut rest)?, take(&mut rest)?);
        let numbers = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let (mut layers, mut table_len) = (None, 0);
        if fixed.get(9).is_some_and(|layers| *layers > 0) {
            layers = Some([number(&mut rest)?, number(&mut rest)?, number(&mut rest)?, number(&mut rest)?]);
            table_len = usize::try_from(number(&mut rest)?).ok()?;
        }
        let count = number(&mut rest)?;
        let mut heads = Vec::new();
        for index in 1..=count {
            let len = usize::try_from(number(&mut rest)?).ok()?;
            let check = if index < count || layers.is_some() { Some(take(&mut rest)?) } else { None };
            heads.push((len, check));
        }
        let (table, mut rest) = rest.split_at_checked(table_len)?;
        let mut windows = Vec::new();
        for (len, check) in heads {
            let (coded, behind) = rest.split_at_checked(len)?;
            windows.push(Window { coded: coded.to_vec(), check });
            rest = behind;
        }
        Some(Self { fixed, base, result, numbers, layers, table: table.to_vec(), windows })
    }

    /// Puts it together; lengths are those of what is there.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = [&self.fixed[..], &self.base, &self.result].concat();
        for number in self.numbers {
            spell(number, &mut out);
        }
        if let Some(layers) = self.layers {
            for number in layers {
                spell(number, &mut out);
            }
            spell(length(&self.table), &mut out);
        }
        spell(u64::try_from(self.windows.len()).unwrap_or(u64::MAX), &mut out);
        for window in &self.windows {
            spell(length(&window.coded), &mut out);
            out.extend(window.check.iter().flatten());
        }
        out.extend_from_slice(&self.table);
        self.windows.iter().for_each(|window| out.extend_from_slice(&window.coded));
        out
    }

    /// Says whether it is coded as one plain Zstandard frame that ends with its only window.
    pub(crate) fn is_one_frame(&self) -> bool {
        self.fixed.get(8) == Some(&FAST) && self.windows.len() == 1
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for group in 0..10 {
        let [byte] = take(rest)?;
        value |= u64::from(byte & 0x7f) << (group * 7);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Spells a number as the head of a patch does.
pub(crate) fn spell(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}
