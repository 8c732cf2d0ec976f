//! Small images of many formats, made by hand after the same norms that the readers follow.

use super::build::gzip;
use crate::decode::crc;

pub(super) const TEXT: &[u8] = b"what an image holds, in a few words";

fn le(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn be(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

pub(super) fn uimage(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 64];
    put(&mut head, 0, b"\x27\x05\x19\x56");
    put(&mut head, 12, &be(&[len(data)]));
    head[30] = kind;
    put(&mut head, 32, b"test");
    let sum = crc::ethernet(&head);
    put(&mut head, 4, &be(&[sum]));
    head.extend(data);
    head
}

pub(super) fn uimage_multi() -> Vec<u8> {
    let mut data = be(&[len(TEXT), 5, 0]);
    data.extend(TEXT);
    data.resize(data.len().next_multiple_of(4), 0);
    data.extend(b"other");
    uimage(4, &data)
}

pub(super) fn trx(parts: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut offsets = vec![0; 3];
    for (offset, part) in offsets.iter_mut().zip(parts) {
        *offset = 28 + len(&body);
        body.extend(*part);
    }
    let mut image = b"HDR0".to_vec();
    image.extend(le(&[28 + len(&body), 0, 1 << 16]));
    image.extend(le(&offsets));
    image.extend(body);
    image
}

/// A FIT with one image in the tree and one behind it.
pub(super) fn fit() -> Vec<u8> {
    let strings = b"data\0data-offset\0data-size\0";
    let name = |name: &[u8]| {
        let mut name = [name, b"\0"].concat();
        name.resize(name.len().next_multiple_of(4), 0);
        [be(&[1]), name].concat()
    };
    let property = |at: u32, value: &[u8]| {
        let mut property = be(&[3, len(value), at]);
        property.extend(value);
        property.resize(property.len().next_multiple_of(4), 0);
        property
    };
    let structure = [
        name(b""),
        name(b"images"),
        name(b"kernel"),
        property(0, TEXT),
        be(&[2]),
        name(b"rootfs"),
        property(5, &be(&[0])),
        property(17, &be(&[5])),
        be(&[2, 2, 2, 9]),
    ]
    .concat();
    let total = 40 + 16 + len(&structure) + len(strings);
    let mut tree =
        be(&[0xd00d_feed, total, 56, 56 + len(&structure), 40, 17, 16, 0, len(strings), len(&structure)]);
    tree.extend([0; 16]);
    tree.extend(structure);
    tree.extend(strings);
    tree.resize(tree.len().next_multiple_of(4), 0);
    tree.extend(b"outer");
    tree
}

pub(super) fn sparse() -> Vec<u8> {
    let mut raw = TEXT.to_vec();
    raw.resize(1024, 0);
    let mut image = le(&[0xed26_ff3a, 1, 0x1c | (0xc << 16), 1024, 4, 3, 0]);
    image.extend(le(&[0xcac1, 1, 12 + 1024]));
    image.extend(raw);
    image.extend(le(&[0xcac2, 1, 16, 0x4443_4241]));
    image.extend(le(&[0xcac3, 2, 12]));
    image
}

pub(super) fn android_boot() -> Vec<u8> {
    let mut image = vec![0; 2048];
    put(&mut image, 0, b"ANDROID!");
    put(&mut image, 8, &le(&[len(TEXT), 0, 5]));
    put(&mut image, 36, &le(&[2048, 0]));
    image.extend(TEXT);
    image.resize(4096, 0);
    image.extend(b"other");
    image
}

fn jffs2_node(kind: u16, rest: &[u8]) -> Vec<u8> {
    let mut head = [0x85, 0x19].to_vec();
    head.extend(kind.to_le_bytes());
    head.extend(le(&[12 + len(rest)]));
    head.extend(le(&[crc::raw(0, &head)]));
    head.extend(rest);
    head.resize(head.len().next_multiple_of(4), 0xff);
    head
}

fn jffs2_entry(parent: u32, inode: u32, version: u32, name: &[u8]) -> Vec<u8> {
    let mut rest = le(&[parent, version, inode, 0]);
    rest.extend([u8::try_from(name.len()).unwrap(), 8, 0, 0]);
    let mut head = [0x85, 0x19].to_vec();
    head.extend(0xe001_u16.to_le_bytes());
    head.extend(le(&[12 + len(&rest) + 8 + len(name)]));
    head.extend(le(&[crc::raw(0, &head)]));
    head.extend(&rest);
    rest.extend(le(&[crc::raw(0, &head), crc::raw(0, name)]));
    rest.extend(name);
    jffs2_node(0xe001, &rest)
}

fn jffs2_inode(
    inode: u32,
    version: u32,
    mode: u32,
    (offset, size): (u32, u32),
    codec: u8,
    (packed, unpacked): (&[u8], u32),
) -> Vec<u8> {
    let mut rest = le(&[inode, version, mode, 0, size, 0, 0, 0, offset, len(packed), unpacked]);
    rest.extend([codec, 0, 0, 0]);
    rest.extend(le(&[crc::raw(0, packed)]));
    let mut head = [0x85, 0x19].to_vec();
    head.extend(0xe002_u16.to_le_bytes());
    head.extend(le(&[12 + len(&rest) + 4 + len(packed)]));
    head.extend(le(&[crc::raw(0, &head)]));
    head.extend(&rest);
    rest.extend(le(&[crc::raw(0, &head[..60])]));
    rest.extend(packed);
    jffs2_node(0xe002, &rest)
}

/// A file in two pieces, one of them packed and overwritten in part, and one that is deleted again.
pub(super) fn jffs2() -> Vec<u8> {
    let size = len(TEXT);
    let wrong = [b"XXXX", &TEXT[4..20]].concat();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zlib, &TEXT[10..]).unwrap();
    [
        jffs2_entry(1, 2, 1, b"etc"),
        jffs2_inode(2, 1, 0o040_755, (0, 0), 0, (b"", 0)),
        jffs2_entry(2, 3, 1, b"text"),
        jffs2_inode(3, 1, 0o100_644, (0, size), 0, (&wrong, 20)),
        jffs2_inode(3, 2, 0o100_644, (10, size), 6, (&zlib.finish().unwrap(), size - 10)),
        jffs2_inode(3, 3, 0o100_644, (0, size), 0, (&TEXT[..6], 6)),
        jffs2_entry(1, 4, 1, b"gone"),
        jffs2_entry(1, 0, 2, b"gone"),
    ]
    .concat()
}

pub(super) fn romfs() -> Vec<u8> {
    let mut image = b"-rom1fs-\0\0\0\0\0\0\0\0test\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    image.extend(be(&[2, 0, len(TEXT), 0]));
    image.extend(b"text\0\0\0\0\0\0\0\0\0\0\0\0");
    image.extend(TEXT);
    image.resize(image.len().next_multiple_of(16), 0);
    let size = len(&image);
    put(&mut image, 8, &be(&[size]));
    let sum = image
        .chunks(4)
        .fold(0_u32, |sum, word| sum.wrapping_add(u32::from_be_bytes(word.try_into().unwrap())));
    put(&mut image, 12, &be(&[0_u32.wrapping_sub(sum)]));
    image
}

pub(super) fn yaffs2() -> Vec<u8> {
    let chunk = |page: &[u8], object: u32, chunk: u32, bytes: u32| {
        let mut image = vec![0xff; 2048 + 64];
        put(&mut image, 0, page);
        put(&mut image, 2048, &le(&[0x1000, object, chunk, bytes]));
        image
    };
    let header = |kind: u32, name: &[u8], size: u32| {
        let mut page = vec![0; 512];
        put(&mut page, 0, &le(&[kind, 1]));
        put(&mut page, 8, &[0xff, 0xff]);
        put(&mut page, 10, name);
        put(&mut page, 268, &le(&[0o100_644]));
        put(&mut page, 292, &le(&[size]));
        put(&mut page, 300, b"text");
        page
    };
    [
        chunk(&header(1, b"text", len(TEXT)), 0x101, 0, 0xffff),
        chunk(TEXT, 0x101, 1, len(TEXT)),
        chunk(&header(2, b"link", 0), 0x102, 0, 0xffff),
    ]
    .concat()
}

/// A UBI image of one static volume.
pub(super) fn ubi(content: &[u8]) -> Vec<u8> {
    let block = |volume: u32, is_static: bool, data: &[u8]| {
        let mut block = vec![0xff; 16384];
        let mut erase = b"UBI#\x01".to_vec();
        erase.resize(16, 0);
        erase.extend(be(&[64, 128]));
        erase.resize(60, 0);
        let sum = crc::raw(u32::MAX, &erase);
        erase.extend(be(&[sum]));
        let mut head = b"UBI!\x01".to_vec();
        head.extend([if is_static { 2 } else { 1 }, 0, 0]);
        head.extend(be(&[volume, 0, 0, len(data)]));
        head.resize(60, 0);
        let sum = crc::raw(u32::MAX, &head);
        head.extend(be(&[sum]));
        put(&mut block, 0, &erase);
        put(&mut block, 64, &head);
        put(&mut block, 128, data);
        block
    };
    let mut record = be(&[1, 1, 0]);
    record.extend([2, 0, 0, 4]);
    record.extend(b"boot");
    record.resize(168, 0);
    let sum = crc::raw(u32::MAX, &record);
    record.extend(be(&[sum]));
    [block(0x7fff_efff, false, &record), block(0, true, content)].concat()
}

pub(super) fn ar() -> Vec<u8> {
    let mut image = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", &b"2.0\n"[..]), ("text/", TEXT)] {
        image
            .extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len()).bytes());
        image.extend(content);
        image.resize(image.len().next_multiple_of(2), b'\n');
    }
    image
}

pub(super) fn zip() -> Vec<u8> {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflate, &TEXT.repeat(3)).unwrap();
    let deflated = deflate.finish().unwrap();
    let (mut image, mut directory) = (Vec::new(), Vec::new());
    let entries: [(&[u8], u16, &[u8], u32); 2] =
        [(b"etc/text", 0, TEXT, len(TEXT)), (b"more", 8, &deflated, len(TEXT) * 3)];
    for (name, method, packed, size) in entries {
        let common = [
            &20_u16.to_le_bytes()[..],
            &[0, 0],
            &method.to_le_bytes(),
            &le(&[0, 0, len(packed), size]),
            &u16::try_from(name.len()).unwrap().to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend(le(&[0o100_644 << 16, len(&image)]));
        directory.extend(name);
        image.extend(b"PK\x03\x04");
        image.extend(&common);
        image.extend(name);
        image.extend(packed);
    }
    let start = len(&image);
    image.extend(&directory);
    image.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    image.extend(le(&[len(&directory), start]));
    image.extend([0, 0]);
    image
}

/// A 7z archive of one file, stored.
pub(super) fn sevenzip() -> Vec<u8> {
    let size = u8::try_from(TEXT.len()).unwrap();
    let mut header = vec![1, 4, 6, 0, 1, 9, size, 0, 7, 11, 1, 0, 1, 1, 0, 12, size, 0, 0];
    let name: Vec<u8> = "text\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    header.extend([5, 1, 17, u8::try_from(name.len() + 1).unwrap(), 0]);
    header.extend(name);
    header.extend([0, 0]);
    let mut start = u64::from(size).to_le_bytes().to_vec();
    start.extend((header.len() as u64).to_le_bytes());
    start.extend(le(&[crc::ethernet(&header)]));
    let mut image = b"7z\xbc\xaf\x27\x1c\0\x04".to_vec();
    image.extend(le(&[crc::ethernet(&start)]));
    image.extend(start);
    image.extend(TEXT);
    image.extend(header);
    image
}

pub(super) fn intel_hex() -> Vec<u8> {
    let record = |kind: u8, address: u16, data: &[u8]| {
        let [high, low] = address.to_be_bytes();
        let mut bytes = vec![u8::try_from(data.len()).unwrap(), high, low, kind];
        bytes.extend(data);
        bytes.push(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte)));
        bytes.iter().fold(":".to_owned(), |line, byte| format!("{line}{byte:02X}")) + "\r\n"
    };
    let (first, second) = TEXT.split_at(16);
    [record(4, 0, &[8, 0]), record(0, 0, first), record(0, 16, second), record(1, 0, b"")]
        .concat()
        .into_bytes()
}

pub(super) fn s_records() -> Vec<u8> {
    let record = |kind: char, address: &[u8], data: &[u8]| {
        let mut bytes = vec![u8::try_from(address.len() + data.len() + 1).unwrap()];
        bytes.extend(address);
        bytes.extend(data);
        bytes.push(!bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
        bytes.iter().fold(format!("S{kind}"), |line, byte| format!("{line}{byte:02X}")) + "\n"
    };
    [record('0', &[0, 0], b"x"), record('3', &[8, 0, 0, 0], TEXT), record('7', &[0; 4], b"")]
        .concat()
        .into_bytes()
}

pub(super) fn uf2() -> Vec<u8> {
    let mut block = b"UF2\n\x57\x51\x5d\x9e".to_vec();
    block.extend(le(&[0, 0x0800_0000, len(TEXT), 0, 1, 0]));
    block.extend(TEXT);
    block.resize(508, 0);
    block.extend(le(&[0x0ab1_6f30]));
    block
}

pub(super) fn mcuboot() -> Vec<u8> {
    let mut image = le(&[0x96f3_b83d, 0, 32, len(TEXT), 0, 1 | 2 << 8 | 3 << 16, 9, 0]);
    image.extend(TEXT);
    image.extend([0x07, 0x69, 4, 0]);
    image
}

/// A UEFI volume with one file of one raw section.
pub(super) fn uefi() -> Vec<u8> {
    let section = [&((4 + len(TEXT)) | (0x19 << 24)).to_le_bytes()[..], TEXT].concat();
    let mut file = vec![0x11; 16];
    file.extend([0, 0, 2, 0]);
    file.extend((24 + len(&section)).to_le_bytes());
    file.extend(section);
    file.resize(file.len().next_multiple_of(8), 0xff);
    let mut volume = vec![0; 72];
    put(&mut volume, 32, &(72 + file.len() as u64 + 64).to_le_bytes());
    put(&mut volume, 40, b"_FVH");
    put(&mut volume, 48, &[72, 0]);
    let sum =
        volume.chunks(2).fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes([word[0], word[1]])));
    put(&mut volume, 50, &0_u16.wrapping_sub(sum).to_le_bytes());
    volume.extend(file);
    volume.resize(volume.len() + 64, 0xff);
    volume
}

/// A disk with an MBR and one FAT12 partition.
pub(super) fn disk() -> Vec<u8> {
    let mut disk = vec![0; 512];
    let fat = fat();
    disk[450] = 1;
    put(&mut disk, 454, &le(&[1, len(&fat) / 512]));
    put(&mut disk, 510, &[0x55, 0xaa]);
    disk.extend(fat);
    disk
}

/// A FAT12 volume with one file of a long name.
pub(super) fn fat() -> Vec<u8> {
    let mut image = vec![0; 64 * 512];
    put(&mut image, 0, b"\xeb\x3c\x90MSDOS5.0");
    put(&mut image, 11, &[0, 2, 1, 1, 0, 1, 16, 0, 64, 0, 0xf8, 1, 0]);
    put(&mut image, 510, &[0x55, 0xaa]);
    // Cluster 2 is the end of its chain.
    put(&mut image, 512, &[0xf8, 0xff, 0xff, 0xff, 0x0f]);
    let root = 1024;
    let name: Vec<u8> = "a long name.t".encode_utf16().flat_map(u16::to_le_bytes).collect();
    image[root] = 0x41;
    put(&mut image, root + 1, &name[..10]);
    image[root + 11] = 0x0f;
    put(&mut image, root + 14, &name[10..22]);
    put(&mut image, root + 28, &name[22..26]);
    put(&mut image, root + 32, b"ALONGN~1T  \x20");
    put(&mut image, root + 32 + 26, &[2, 0]);
    put(&mut image, root + 32 + 28, &le(&[len(TEXT)]));
    put(&mut image, 1024 + 512, TEXT);
    image
}

/// A program for a PC with its configuration, as `vmlinux` has it.
pub(super) fn kernel_configuration() -> Vec<u8> {
    let mut image = vec![0x90; 600];
    image.extend(b"IKCFG_ST");
    image.extend(gzip(b"CONFIG_MODULES=y\n"));
    image.extend(b"IKCFG_ED");
    image
}
