//! Kernels of Linux in their wrappers.
//!
//! In: an image and a place. Out: the packed payload, or the streams inside a kernel that is not packed (its
//! configuration, an initramfs). Refuses what lacks a wrapper's magic, or whose wrapper says more than the image has.

use super::Scan;
use super::bytes::{array, be32, begins, byte, crc32, head, le16, le32, le64, length, round_up, slice};
use super::carving::Wanted;

/// The sector of a PC boot loader.
const SECTOR_BYTES: u64 = 512;

/// The header of U-Boot's legacy images.
const UIMAGE_HEADER_BYTES: u64 = 64;

/// The most parts of a U-Boot multi-file image: kernel, initramfs and device tree make three.
const UIMAGE_PARTS_MAX: u64 = 16;

/// Looks for a kernel at a place; returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    if begins(image, start, &[0x27, 0x05, 0x19, 0x56]) {
        return uimage(scan, image, start);
    }
    if begins(image, start, b"MZ\0\0zimg") {
        return zboot(scan, image, start);
    }
    if begins(image, start + 0x202, b"HdrS") && begins(image, start + 0x1fe, &[0x55, 0xaa]) {
        return bzimage(scan, image, start);
    }
    if begins(image, start + 0x24, &[0x18, 0x28, 0x6f, 0x01]) {
        return zimage(scan, image, start);
    }
    // arm64 Image (Documentation/arch/arm64/booting.rst) and RISC-V Image, which shares its header.
    if begins(image, start + 0x38, b"ARM\x64") || begins(image, start + 0x38, b"RSC\x05") {
        // Its length counts memory that the file need not hold.
        let len = le64(image, start + 16)?;
        let end = start.checked_add(len)?.min(length(image));
        scan.carve(head(image, end), start + 64, Wanted::Streams);
        return Some(end);
    }
    None
}

/// An EFI application that unpacks its payload (`drivers/firmware/efi/libstub/zboot-header.S`).
fn zboot(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let payload = start.checked_add(le32(image, start + 8)?)?;
    let end = payload.checked_add(le32(image, start + 12)?).filter(|end| *end <= length(image))?;
    scan.stream(head(image, end), payload, 0);
    // The end of the application behind the payload is small, and nothing tells where it is.
    Some(end)
}

/// The PC's kernel (Documentation/arch/x86/boot.rst).
fn bzimage(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let sectors = match byte(image, start + 0x1f1)? {
        0 => 4,
        count => u64::from(count),
    };
    let setup_end = start + (sectors + 1) * SECTOR_BYTES;
    // `payload_offset` and `payload_length` came with version 2.08 of the protocol.
    if le16(image, start + 0x206)? < 0x208 {
        return None;
    }
    let payload = setup_end + le32(image, start + 0x248)?;
    let payload_end = payload + le32(image, start + 0x24c)?;
    if payload_end > length(image) {
        return None;
    }
    // Behind all but gzip stand four bytes with the unpacked length; they are not part of the stream.
    scan.stream(head(image, payload_end), payload, 0);
    let end = setup_end + le32(image, start + 0x1f4)? * 16;
    Some(end.clamp(payload_end, length(image)))
}

/// 32-bit Arm's kernel that unpacks itself (`arch/arm/boot/compressed/head.S`): where its payload lies is said nowhere.
fn zimage(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let len = le32(image, start + 0x2c)?.checked_sub(le32(image, start + 0x28)?)?;
    let end = start.checked_add(len).filter(|end| *end <= length(image))?;
    scan.carve(head(image, end), start + 0x30, Wanted::Streams);
    Some(end)
}

/// U-Boot's legacy image (`include/image.h` of U-Boot): a header with a checksum of its own, and the payload.
fn uimage(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    let before = slice(image, start, 4)?;
    let behind = slice(image, start + 8, UIMAGE_HEADER_BYTES - 8)?;
    if crc32(&[before, &[0; 4], behind]) != be32(image, start + 4)? {
        return None;
    }
    let data = start + UIMAGE_HEADER_BYTES;
    let end = data.checked_add(be32(image, start + 12)?).filter(|end| *end <= length(image))?;
    let image = head(image, end);
    let [_, kind] = array::<2>(image, start + 29)?;
    // Type 4 is several files in one: their lengths, a zero, and the files, each at a multiple of four bytes.
    if kind == 4 {
        uimage_parts(scan, image, data)?;
    } else if scan.run(image, data).is_none() {
        scan.carve(image, data, Wanted::Streams);
    }
    Some(end)
}

fn uimage_parts(scan: &mut Scan<'_>, image: &[u8], data: u64) -> Option<()> {
    let sizes = (0..UIMAGE_PARTS_MAX).map_while(|part| be32(image, data + 4 * part).filter(|size| *size > 0));
    let sizes = sizes.collect::<Vec<_>>();
    let mut at = data + 4 * (u64::try_from(sizes.len()).ok()? + 1);
    for size in sizes {
        let end = at.checked_add(size).filter(|end| *end <= length(image))?;
        scan.run(head(image, end), at);
        at = round_up(end, 4)?;
    }
    Some(())
}
