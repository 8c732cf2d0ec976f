//! Layers of random stretches, read and packed again; tables that want harm; storage that fails.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use super::new::SinkPlace;
use super::*;

/// What becomes of the next bytes of a plain space.
#[derive(Debug, Clone)]
struct Cut {
    len: usize,
    codec: Option<Codec>,
}

fn hint_of(codec: &Codec) -> Hint {
    if *codec == Codec::zlib(6) { Hint::Zlib } else { Hint::Zstd }
}

fn packed(codec: &Codec, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut packer = codec.packer(plain.len() as u64).unwrap();
    plain.chunks(PACK_PIECE_BYTES).for_each(|piece| packer.push(piece, &mut out).unwrap());
    packer.finish(&mut out).unwrap();
    out
}

/// Packs stretches of a plain space; returns the packed space and the layer between them, the same on both sides.
fn laid(plain: &[u8], cuts: &[Cut]) -> (Vec<u8>, Layer) {
    let (mut image, mut builder) = (Vec::new(), LayerBuilder::default());
    let (mut at, mut end, mut plain_end) = (0, 0, 0);
    for cut in cuts {
        let len = cut.len.min(plain.len() - at);
        let bytes = &plain[at..at + len];
        at += len;
        match &cut.codec {
            Some(codec) if len > 0 => {
                let stretch = packed(codec, bytes);
                let gap = (image.len() - end) as u64;
                builder.push_old(gap, stretch.len() as u64, len as u64, hint_of(codec)).unwrap();
                builder.push_new((at - len - plain_end) as u64, len as u64, codec.clone()).unwrap();
                image.extend(stretch);
                (end, plain_end) = (image.len(), at);
            }
            _ => image.extend(bytes),
        }
    }
    image.extend(&plain[at..]);
    let layer = builder.finish(image.len() as u64, (plain.len() - plain_end) as u64).unwrap();
    (image, layer)
}

/// Lays layers under a plain space, the topmost first; returns the image and the layers.
fn stacked(plain: &[u8], cuts: &[Vec<Cut>]) -> (Vec<u8>, Layers) {
    let (mut image, mut built) = (plain.to_vec(), Vec::new());
    for cuts in cuts {
        let (below, layer) = laid(&image, cuts);
        image = below;
        built.push(layer);
    }
    let mut layers = Layers::new(image.len() as u64, image.len() as u64);
    built.into_iter().rev().for_each(|layer| layers.push(layer).unwrap());
    (image, layers)
}

fn reread(layers: &Layers) -> Result<Layers, LayerError> {
    let mut bytes = Vec::new();
    layers.write(&mut bytes);
    bytes.push(0xa5);
    let mut rest = bytes.as_slice();
    let read = Layers::read(&mut rest, layers.old_len, layers.new_len)?;
    assert_eq!(rest, [0xa5], "what follows is left");
    Ok(read)
}

fn repacked(layers: &Layers, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut image = Vec::new();
    let mut sink = NewSink::new(layers, &mut image);
    plain.chunks(piece).for_each(|piece| sink.push(piece).unwrap());
    sink.finish().unwrap();
    image
}

/// Reads everything, front to back, in pieces.
fn unpacked(layers: &Layers, image: &[u8], piece: usize) -> Result<Vec<u8>, LayerError> {
    let (mut image, mut scratch) = (Cursor::new(image), Cursor::new(Vec::new()));
    let mut old = OldPlain::new(layers, &mut image, Some(&mut scratch))?;
    let mut plain = vec![0; usize::try_from(old.len()).unwrap()];
    for (index, into) in plain.chunks_mut(piece).enumerate() {
        old.read_at((index * piece) as u64, into)?;
    }
    Ok(plain)
}

/// Bytes that pack, but not to nothing; the same for the same seed.
fn text(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu.\n0"[(state >> 28) as usize]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let codec = prop_oneof![
        2 => any::<()>().prop_map(|()| None),
        1 => any::<()>().prop_map(|()| Some(Codec::zlib(6))),
        1 => any::<()>().prop_map(|()| Some(Codec::zstd(3))),
    ];
    vec((0_usize..9000, codec).prop_map(|(len, codec)| Cut { len, codec }), 0..12)
}

proptest! {
    #[test]
    fn what_is_unpacked_and_packed_again_is_the_image(
        (len, seed) in (0_usize..60_000, any::<u32>()),
        cuts in vec(cuts(), 0..4),
        piece in 1_usize..5000,
    ) {
        let plain = text(len, seed);
        let (image, layers) = stacked(&plain, &cuts);
        let layers = if layers.stack.iter().all(|layer| !layer.old.is_empty()) {
            assert_eq!(reread(&layers).unwrap(), layers);
            reread(&layers).unwrap()
        } else {
            layers
        };
        assert_eq!(unpacked(&layers, &image, piece).unwrap(), plain);
        assert_eq!(repacked(&layers, &plain, piece), image);
    }

    #[test]
    fn reads_from_anywhere_are_the_unpacked_bytes(
        seed in any::<u32>(),
        cuts in vec(cuts(), 1..3),
        reads in vec((any::<u32>(), 0_usize..20_000), 1..40),
    ) {
        let plain = text(50_000, seed);
        let (image, layers) = stacked(&plain, &cuts);
        let mut image = Cursor::new(image);
        let mut old = OldPlain::new(&layers, &mut image, None).unwrap();
        for (at, len) in reads {
            let at = at as usize % plain.len();
            let mut bytes = vec![0; len.min(plain.len() - at)];
            old.read_at(at as u64, &mut bytes).unwrap();
            assert_eq!(bytes, &plain[at..at + bytes.len()]);
        }
    }

    #[test]
    fn packing_goes_on_from_any_place_that_it_told(
        seed in any::<u32>(),
        cuts in vec(cuts(), 1..4),
        pieces in vec(1_usize..6000, 1..30),
    ) {
        let plain = text(40_000, seed);
        let (image, layers) = stacked(&plain, &cuts);
        let mut sink_out = Vec::new();
        let mut sink = NewSink::new(&layers, &mut sink_out);
        let mut places = vec![(0, SinkPlace::default())];
        let mut at = 0;
        for piece in pieces {
            let end = (at + piece).min(plain.len());
            sink.push(&plain[at..end]).unwrap();
            at = end;
            places.extend(sink.place().map(|place| (at, place)));
        }
        for (at, place) in places {
            let mut rest = Vec::new();
            let mut sink = NewSink::resume(&layers, place, &mut rest);
            sink.push(&plain[at..]).unwrap();
            assert_eq!(sink.finish().unwrap(), image.len() as u64);
            assert_eq!(rest, &image[usize::try_from(place.written).unwrap()..]);
        }
    }

    #[test]
    fn tables_of_any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..80), old_len in 0_u64..1 << 20) {
        if let Ok(layers) = Layers::read(&mut bytes.as_slice(), old_len, 1000) {
            assert!(layers.old_plain_len() <= PLAIN_BYTES_MAX);
            assert_eq!(reread(&layers).unwrap(), layers);
        }
    }
}

/// 2.5 MB in one zlib stream between two short ones.
fn long_stream() -> (Vec<u8>, Vec<u8>, Layers) {
    let plain = text(2_700_000, 9);
    let zlib = Some(Codec::zlib(6));
    let cuts = [(100_000, zlib.clone()), (500, None), (2_500_000, zlib), (99_000, Some(Codec::zstd(3)))];
    let cuts = cuts.map(|(len, codec)| Cut { len, codec }).to_vec();
    let (image, layers) = stacked(&plain, &[cuts]);
    (plain, image, layers)
}

#[test]
fn long_streams_go_through_scratch_storage() {
    let (plain, image, layers) = long_stream();
    assert_eq!(layers.scratch(), ByteCount(2_500_000));
    assert!(layers.memory() < ByteCount::mib(16), "{}", layers.memory());
    assert_eq!(unpacked(&layers, &image, 1000).unwrap(), plain);
    assert_eq!(unpacked(&layers, &image, 700_000).unwrap(), plain);
    assert_eq!(repacked(&layers, &plain, 1000), image);
}

#[test]
fn a_long_stream_in_a_long_stream_is_unpacked() {
    let plain = text(3_000_000, 5);
    let codec = Some(Codec::zlib(6));
    let inner = vec![
        Cut { len: 100, codec: None },
        Cut { len: 2_000_000, codec: codec.clone() },
        Cut { len: 9000, codec },
    ];
    let outer = vec![Cut { len: 10, codec: None }, Cut { len: 1_500_000, codec: Some(Codec::zstd(3)) }];
    let (image, layers) = stacked(&plain, &[inner, outer]);
    assert_eq!(layers.scratch(), ByteCount(3_500_000));
    assert_eq!(unpacked(&layers, &image, 4096).unwrap(), plain);
    assert_eq!(repacked(&layers, &plain, 4096), image);
}

#[test]
fn long_streams_without_scratch_storage_are_refused() {
    let (_, image, layers) = long_stream();
    let error = OldPlain::new(&layers, &mut Cursor::new(image), None).err().unwrap();
    assert_eq!(error.to_string(), "the patch needs 2.3 MiB of scratch storage, and there is none");
}

#[test]
fn addresses_of_the_packed_space_are_found_in_the_plain_one() {
    let mut builder = LayerBuilder::default();
    builder.push_old(100, 50, 1000, Hint::Zlib).unwrap();
    builder.push_old(0, 50, 10, Hint::Zlib).unwrap();
    let layer = builder.finish(300, 0).unwrap();
    for (packed, plain) in
        [(0, 0), (99, 99), (100, 100), (149, 100), (150, 1100), (199, 1100), (200, 1110), (300, 1210)]
    {
        assert_eq!(layer.old_plain_at(packed), plain, "{packed}");
    }
}

#[test]
fn many_stretches_share_little_memory() {
    let plain = text(12 << 20, 3);
    let cuts = vec![Cut { len: 128 << 10, codec: Some(Codec::zlib(6)) }; 96];
    let (image, layers) = stacked(&plain, &[cuts]);
    let mut image = Cursor::new(image);
    let mut old = OldPlain::new(&layers, &mut image, None).unwrap();
    let mut bytes = [0; 1000];
    for at in (0..plain.len() - 1000).step_by(50_000) {
        old.read_at(at as u64, &mut bytes).unwrap();
        assert_eq!(bytes, plain[at..at + 1000]);
    }
    assert!(old.cache.held_bytes() <= CACHE_BYTES_MAX);
    assert!(layers.memory() < ByteCount::mib(6), "{}", layers.memory());
}

#[test]
fn the_table_of_a_file_system_is_small() {
    let mut builder = LayerBuilder::default();
    for index in 0..150 {
        builder.push_old(0, 40_000 + index, 131_072, Hint::Zlib).unwrap();
        builder.push_new(0, 131_072, Codec::zlib(6)).unwrap();
    }
    let mut layers = Layers::new(10_000_000, 10_000_000);
    layers.push(builder.finish(10_000_000, 0).unwrap()).unwrap();
    let mut bytes = Vec::new();
    layers.write(&mut bytes);
    assert_eq!(bytes.len(), 1071, "5 bytes for each old stretch, 2 for each new one");
}

/// A table by its bytes, for an old image of 1,000 bytes.
fn check_refused(bytes: &[u8], text: &str) {
    let error = Layers::read(&mut &*bytes, 1000, 1000).unwrap_err();
    assert_eq!(error.to_string(), text, "{bytes:?}");
}

#[test]
fn hostile_tables_are_refused() {
    let corrupt = |what: &str| format!("the table of packed stretches is corrupt: {what}");
    let limit = |found: u64, what: &str, limit: u64| {
        format!("the table of packed stretches has {found} {what}, only {limit} are allowed")
    };
    check_refused(&[], &corrupt("it ends too early"));
    check_refused(&[4], &limit(4, "layers", 3));
    check_refused(&[1, 65], &limit(65, "hints", 64));
    check_refused(&[1, 1, 11], "read a codec of the table of packed stretches");
    check_refused(&[1, 2, 0, 0], &corrupt("a codec is listed twice"));
    check_refused(&[1, 1, 0, 1, 7, 7], "read a codec of the table of packed stretches");
    check_refused(&[1, 1, 0, 0, 0x81, 0x80, 4], &limit(65_537, "stretches", 65_536));
    check_refused(&[1, 1, 0, 0, 0x80, 0x80, 4, 0], &corrupt("it ends too early"));
    check_refused(&[1, 0, 0, 0, 0, 0], &corrupt("a layer unpacks nothing"));
    check_refused(&[1, 0, 0, 1, 0, 1, 1, 0, 0], &corrupt("a stretch has a codec that is not listed"));
    check_refused(&[1, 1, 0, 0, 1, 0, 0, 1, 0, 0], &corrupt("a stretch is empty"));
    check_refused(&[1, 1, 0, 0, 1, 0, 1, 0, 0, 0], &corrupt("a stretch is empty"));
    check_refused(&[1, 1, 0, 0, 1, 0x80, 0, 1, 0, 0, 0], &corrupt("a number is misspelled"));
    check_refused(&[1, 1, 0, 0, 2, 0, 0, 1, 1, 9, 9, 0, 0], &corrupt("a length is misspelled"));
    // Stretches that end behind the image: 900 + 101 bytes of 1,000.
    check_refused(&[1, 1, 0, 0, 1, 0x84, 7, 101, 9, 0, 0], &corrupt("a stretch lies outside of the base"));
    // Sums that exceed the limit: 4 GiB - 1 of plain bytes, twice.
    let long = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let twice = [&[1, 1, 0, 0, 2, 0, 0, 1, 1][..], &long, &[0, 0, 0]].concat();
    check_refused(&twice, &limit((1 << 33) - 2, "bytes", 1 << 32));
    let gap = [&[1, 1, 0, 0, 1][..], &[0xff; 9], &[1, 1, 1, 0, 0]].concat();
    check_refused(&gap, &limit(u64::MAX, "bytes", 1 << 32));
    let tail = [&[1, 0, 1, 1, 0, 6, 15, 8, 1, 0x78, 0x9c, 0, 1, 0, 9][..], &[0xff; 9], &[1]].concat();
    check_refused(&tail, &limit(u64::MAX, "bytes", 1 << 32));
    let lens = [&[1, 1, 0, 0, 1, 0, 1][..], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0, 0]].concat();
    check_refused(&lens, &limit((1 << 33) - 1, "bytes", u64::from(u32::MAX)));
}

/// Layers with one zlib stretch on the old side.
fn one_stretch(packed_len: usize, plain_len: u64) -> Layers {
    let mut builder = LayerBuilder::default();
    builder.push_old(0, packed_len as u64, plain_len, Hint::Zlib).unwrap();
    let mut layers = Layers::new(packed_len as u64, 0);
    layers.push(builder.finish(packed_len as u64, 0).unwrap()).unwrap();
    layers
}

#[test]
fn stretches_of_another_length_are_refused() {
    for len in [1000, 3_000_000] {
        let stretch = packed(&Codec::zlib(6), &text(len, 1));
        let len = len as u64;
        for plain_len in [len - 1, len + 1, len / 2, len * 2] {
            let (image, stretch) = (&stretch, &one_stretch(stretch.len(), plain_len));
            let error = unpacked(stretch, image, 500).unwrap_err();
            assert!(matches!(error, LayerError::PlainLength { layer: 1, start: 0, .. }), "{error:?}");
        }
    }
}

#[test]
fn stretches_that_are_none_are_refused() {
    for plain_len in [1000, 3_000_000] {
        let whole = packed(&Codec::zlib(6), &text(usize::try_from(plain_len).unwrap(), 1));
        for stretch in [&[0xee; 500], &whole[..whole.len() - 9]] {
            let error = unpacked(&one_stretch(stretch.len(), plain_len), stretch, 500).unwrap_err();
            assert_eq!(error.to_string(), "unpack the base at 0 of layer 1");
            assert!(matches!(error, LayerError::Unpack { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_failed_stretch_is_tried_again() {
    let stretch = packed(&Codec::zlib(6), &text(3_000_000, 1));
    let layers = one_stretch(stretch.len(), 3_000_000);
    let mut image = Cursor::new(stretch);
    let mut scratch = Failing { inner: Cursor::new(Vec::new()), good: 2 };
    let mut old = OldPlain::new(&layers, &mut image, Some(&mut scratch)).unwrap();
    let mut bytes = [0; 10];
    let error = old.read_at(0, &mut bytes).unwrap_err();
    assert!(matches!(error, LayerError::Scratch { at: 1.., .. }), "{error:?}");
    let error = old.read_at(0, &mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "use the scratch storage at byte 0");
}

/// Storage that fails after some writes, and reads nothing.
struct Failing {
    inner: Cursor<Vec<u8>>,
    good: u32,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.good = self.good.checked_sub(1).ok_or_else(|| io::Error::other("worn out"))?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("worn out"))
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[test]
fn errors_of_storage_keep_their_place() {
    let layers = Layers::new(1000, 10);
    let mut image = Failing { inner: Cursor::new(vec![0; 1000]), good: 0 };
    let error = OldPlain::new(&layers, &mut image, None).unwrap().read_at(900, &mut [0; 9]).unwrap_err();
    assert_eq!(error.to_string(), "read the base at byte 900");
    let mut short = Cursor::new(vec![0; 500]);
    let mut old = OldPlain::new(&layers, &mut short, None).unwrap();
    let error = old.read_at(600, &mut [0; 9]).unwrap_err();
    assert_eq!(error.to_string(), "read the base at byte 600");
    let error = old.read_at(995, &mut [0; 9]).unwrap_err();
    assert_eq!(error.to_string(), "the patch reads 9 bytes at 995 of the unpacked base, which has 1000");
    assert!(old.read_at(u64::MAX, &mut [0; 9]).is_err());
    let error = NewSink::new(&layers, &mut image).push(&[0; 10]).unwrap_err();
    assert_eq!(error.to_string(), "write the result");
}

#[test]
fn more_or_less_than_the_image_is_refused() {
    let plain = text(5000, 4);
    let codec = Some(Codec::zlib(6));
    let (image, layers) = stacked(&plain, &[vec![Cut { len: 10, codec: None }, Cut { len: 2000, codec }]]);
    let mut out = Vec::new();
    let error = NewSink::new(&layers, &mut out).push(&[plain.as_slice(), b"x"].concat()).unwrap_err();
    assert_eq!(error.to_string(), "the patch makes 5001 plain bytes of layer 1, not the 5000 that it says");
    for len in [0, 1500, 4999] {
        let mut sink = NewSink::new(&layers, &mut out);
        sink.push(&plain[..len]).unwrap();
        assert!(matches!(sink.finish(), Err(LayerError::NewLength { layer: 1, .. })), "{len}");
    }
    for new_len in [image.len() as u64 - 1, image.len() as u64 + 1] {
        let layers = Layers { new_len, ..layers.clone() };
        let mut sink = NewSink::new(&layers, &mut out);
        let result = sink.push(&plain).and_then(|()| sink.finish());
        assert!(matches!(result, Err(LayerError::NewLength { layer: 0, .. })), "{new_len}");
    }
}
