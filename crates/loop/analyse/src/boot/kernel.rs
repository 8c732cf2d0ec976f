//! Linux kernels: what boots on PCs (bzImage), what is in them (vmlinux), and the configuration that they were built with.
//!
//! In: an image. Out: the packed kernel of a bzImage; of a vmlinux its configuration. Refuses payloads that lead outside.
//! A zImage of ARM has no table: the kernel in it is found by its mark.
//!
//! Layout of the head as in "Documentation/arch/x86/boot.rst"; the marks of the configuration as in "kernel/configs.c".

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::Door;
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static BZIMAGE: Format = Format {
    name: "Linux kernel (bzImage)",
    extension: "bzimage",
    magics: &[(0x202, b"HdrS")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let (start, length) = payload(bytes)?;
        let end = start.saturating_add(length);
        // The size of the protected-mode part, in paragraphs of sixteen bytes.
        let said = u64::from(bytes.u32(Endian::Little, 0x1f4)?) * 16 + setup_bytes(bytes)?;
        Some(Claim::new("Linux kernel (bzImage)", end.max(said.min(bytes.length()))))
    },
    unpack: Unpack::Tree(|bytes, door| {
        let (start, length) = payload(bytes).ok_or_else(|| bad("its header makes no sense"))?;
        // Behind all streams but gzip stand four bytes with the unpacked size, for the code that unpacks.
        door.offer_part("vmlinux", bytes.slice(start, length))
    }),
};

pub(crate) static VMLINUX: Format = Format {
    name: "Linux kernel (vmlinux)",
    extension: "elf",
    magics: &[(0, b"\x7fELF")],
    carve: Carve::AtStart,
    claim: |bytes| is_kernel(bytes).then(|| Claim::new("Linux kernel (vmlinux)", bytes.length())),
    unpack: Unpack::Tree(walk_elf),
};

pub(crate) static CONFIG: Format = Format {
    name: "kernel configuration",
    extension: "ikconfig",
    magics: &[(0, CONFIG_MARK)],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let window = bytes.head(0, CONFIG_BYTES_MAX);
        let end = window.windows(8).position(|mark| mark == b"IKCFG_ED")? as u64;
        Some(Claim::new("kernel configuration", end + 8))
    },
    unpack: Unpack::Tree(|bytes, door| {
        door.offer_part("config", bytes.slice(8, bytes.length().saturating_sub(16)))
    }),
};

const CONFIG_MARK: &[u8] = b"IKCFG_ST\x1f\x8b\x08";

/// Longest packed configuration; real ones have some 40 KiB.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Smallest kernel; every other program with addresses that high is a boot loader.
const KERNEL_BYTES_MIN: u64 = 512 * 1024;

fn setup_bytes(bytes: &Bytes<'_>) -> Option<u64> {
    let sectors = match bytes.u8(0x1f1)? {
        0 => 4,
        sectors => u64::from(sectors),
    };
    Some((sectors + 1) * 512)
}

/// Where the packed kernel is, and how long.
fn payload(bytes: &Bytes<'_>) -> Option<(u64, u64)> {
    let has_table = bytes.u16(Endian::Little, 0x206)? >= 0x208 && bytes.has(0x1fe, b"\x55\xaa");
    let offset = u64::from(bytes.u32(Endian::Little, 0x248)?);
    let length = u64::from(bytes.u32(Endian::Little, 0x24c)?);
    (has_table && offset > 0 && length > 16).then_some((setup_bytes(bytes)?.saturating_add(offset), length))
}

/// Says whether an ELF file is a kernel: it is linked to the upper half of the address space.
fn is_kernel(bytes: &Bytes<'_>) -> bool {
    let head = bytes.head(0, 64);
    let endian = if head.get(5) == Some(&2) { Endian::Big } else { Endian::Little };
    let fields = Fields { bytes: &head, endian };
    let is_wide = fields.u8(4) == 2;
    let table = if is_wide { fields.u64(32) } else { u64::from(fields.u32(28)) };
    let segment = bytes.head(table, 56);
    let segment = Fields { bytes: &segment, endian };
    let is_high =
        if is_wide { segment.u64(16) >= 0xffff_0000_0000_0000 } else { segment.u32(8) >= 0x8000_0000 };
    matches!(fields.u16(16), 2 | 3) && is_high && bytes.length() >= KERNEL_BYTES_MIN
}

fn walk_elf(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    door.offer_raw("vmlinux", bytes.clone())?;
    let mut at = 0;
    let mut buffer = vec![0; 256 * 1024];
    while at < bytes.length() {
        door.step()?;
        let count = bytes.read_some(at, &mut buffer)?;
        let window = buffer.get(..count).unwrap_or_default();
        if let Some(found) = find(window, CONFIG_MARK) {
            let start = at + found as u64 + 8;
            let rest = bytes.head(start, CONFIG_BYTES_MAX);
            let length = find(&rest, b"IKCFG_ED").ok_or_else(early)?;
            return door.offer_part("config", bytes.slice(start, length as u64));
        }
        if count <= CONFIG_MARK.len() {
            break;
        }
        at += (count - CONFIG_MARK.len()) as u64;
    }
    Ok(())
}

/// Finds a text; its first byte is rare enough to look at nothing else.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let first = text.first()?;
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..).is_some_and(|rest| rest.starts_with(text)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
