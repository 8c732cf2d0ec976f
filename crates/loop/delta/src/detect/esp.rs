//! Images for Espressif's boot loaders: segments with their addresses.
//!
//! Norm: esptool, "Firmware Image Format".

use warden_patch::atlas::{SEGMENTS_MAX, Segment, Space};
use warden_patch::predict::{Arch, GoTables};

use super::{Detected, Kind, half, len, word};

/// The boot loaders take at most 16 segments.
const SEGMENTS_IN_FILE_MAX: u8 = 16;

/// Where ESP8266 maps its flash: what lies behind the segments runs from there.
const ESP8266_FLASH: u64 = 0x4020_0000;

/// How much flash ESP8266 maps, in bytes.
const ESP8266_FLASH_BYTES: u64 = 1 << 20;

/// RAM and ROM of ESP8266: data, ROM, instructions.
const ESP8266_MEMORY: [Segment; 3] = [
    Segment { offset: 0, file_len: 0, address: 0x3ffe_8000, memory_len: 0x1_8000 },
    Segment { offset: 0, file_len: 0, address: 0x4000_0000, memory_len: 0x1_0000 },
    Segment { offset: 0, file_len: 0, address: 0x4010_0000, memory_len: 0xc000 },
];

/// RAM of ESP32 and its kin: data and instructions.
const ESP32_MEMORY: [Segment; 2] = [
    Segment { offset: 0, file_len: 0, address: 0x3ffa_e000, memory_len: 0x5_2000 },
    Segment { offset: 0, file_len: 0, address: 0x4000_0000, memory_len: 0xc_0000 },
];

/// RAM of ESP32-C3 and its kin.
const ESP32C_MEMORY: [Segment; 1] =
    [Segment { offset: 0, file_len: 0, address: 0x3fc8_0000, memory_len: 0x8_0000 }];

pub(super) fn detect(bytes: &[u8]) -> Option<Detected> {
    let reading = |arch, segments: &[Segment]| Detected {
        arch,
        space: Space::new(segments),
        frame_index: 0,
        go: GoTables::default(),
        kind: Kind::Esp,
    };
    let [magic, count, ..] = *bytes else { return None };
    if magic != 0xe9 || !(1..=SEGMENTS_IN_FILE_MAX).contains(&count) {
        return None;
    }
    if let Some((segments, _)) = segments(bytes, 24, count) {
        let (arch, memory) = match half(bytes, 12)? {
            // ESP32, ESP32-S2, ESP32-S3.
            0 | 2 | 9 => (Arch::Xtensa, ESP32_MEMORY.as_slice()),
            // ESP32-C3, C2, C6, H2, P4, C5, C61.
            5 | 12 | 13 | 16 | 18 | 20 | 23 => (Arch::Rv32, ESP32C_MEMORY.as_slice()),
            _ => return None,
        };
        return Some(reading(arch, &join(segments, memory)));
    }
    let (mut segments, end) = segments(bytes, 8, count)?;
    let rest = len(bytes).saturating_sub(end);
    let address = ESP8266_FLASH + u64::from(end);
    // The data and instruction RAM hold what the segments put there, too: those come first.
    segments.push(Segment {
        offset: end,
        file_len: rest,
        address,
        memory_len: ESP8266_FLASH_BYTES - u64::from(end),
    });
    Some(reading(Arch::Xtensa, &join(segments, &ESP8266_MEMORY)))
}

/// Reads the segments behind a head; returns them and where they end. Refuses addresses that no chip has.
fn segments(bytes: &[u8], head: u32, count: u8) -> Option<(Vec<Segment>, u32)> {
    let mut at = head;
    let mut segments = Vec::new();
    for _ in 0..count {
        let index = usize::try_from(at).ok()?;
        let (address, file_len) = (word(bytes, index)?, word(bytes, index.checked_add(4)?)?);
        let offset = at.checked_add(8)?;
        at = offset.checked_add(file_len)?;
        let is_known = address == 0 || (0x3c00_0000..0x6000_0000).contains(&address);
        if !is_known || at > len(bytes) || u64::from(at) > ESP8266_FLASH_BYTES << 4 {
            return None;
        }
        if file_len > 0 && address != 0 {
            segments.push(Segment {
                offset,
                file_len,
                address: u64::from(address),
                memory_len: u64::from(file_len),
            });
        }
    }
    (!segments.is_empty()).then_some((segments, at))
}

/// Puts the memory of the chip behind the segments of the file, as far as there is room.
fn join(mut segments: Vec<Segment>, memory: &[Segment]) -> Vec<Segment> {
    segments.truncate(SEGMENTS_MAX - memory.len().min(SEGMENTS_MAX));
    segments.extend_from_slice(memory);
    segments
}
