//! What the usual tools write, where they are installed.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Runs a tool on some input; `None`, said aloud, when it is not there.
#[expect(clippy::disallowed_methods, reason = "tests run the real tools, and feed them while they write")]
fn run(tool: &str, arguments: &[&str], input: &[u8], folder: &std::path::Path) -> Option<Vec<u8>> {
    let child = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        writeln!(std::io::stderr(), "skipped: {tool} is not installed").unwrap();
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}");
    Some(output.stdout)
}

/// 300 KB that pack to about a third: numbers as text.
fn plain() -> Vec<u8> {
    (0..60_000_u64).flat_map(|n| format!("{:x} ", n * n % 65_521).into_bytes()).collect()
}

#[test]
fn streams_of_tools_are_measured_to_the_byte() {
    let plain = plain();
    let folder = tempfile::tempdir().unwrap();
    let tools: &[(&str, &[&str], Hint)] = &[
        ("gzip", &["-1"], Hint::Gzip),
        ("gzip", &["-9"], Hint::Gzip),
        ("xz", &["-0"], Hint::Xz(None)),
        ("xz", &["-9e", "--check=none", "--block-size=50000"], Hint::Xz(None)),
        ("xz", &["-T2", "--block-size=100000", "--x86", "--lzma2=preset=6"], Hint::Xz(None)),
        ("xz", &["--format=lzma", "-1"], Hint::Lzma),
        ("zstd", &["-1", "-c"], Hint::Zstd),
        ("zstd", &["-19", "--no-check", "-c"], Hint::Zstd),
        ("lz4", &["-1", "-c"], Hint::Lz4Frame),
        ("lz4", &["-9", "-B4", "-BD", "-BX", "-c"], Hint::Lz4Frame),
        ("lz4", &["-l", "-9", "-c"], Hint::Lz4Legacy),
    ];
    for (tool, arguments, hint) in tools {
        let Some(stream) = run(tool, arguments, &plain, folder.path()) else { continue };
        let (layout, _) = look(&[&stream[..], b"behind it"].concat());
        let [packed] = layout.packed.as_slice() else { panic!("{tool} {arguments:?}: {layout:?}") };
        let found = (packed.len, packed.plain_len_max, packed.hint);
        assert_eq!(found, (length(&stream), length(&plain), *hint), "{tool} {arguments:?}");
    }
}

#[test]
fn a_long_legacy_stream_has_blocks_of_8_mib() {
    let plain = plain().repeat(30);
    let folder = tempfile::tempdir().unwrap();
    let Some(stream) = run("lz4", &["-l", "-1", "-c"], &plain, folder.path()) else { return };
    let with_size = [&stream[..], &u32::try_from(plain.len()).unwrap().to_le_bytes()].concat();
    let (layout, end) = look(&with_size);
    assert_eq!(end, Some(length(&stream)));
    assert_eq!(layout.packed[0].plain_len_max, length(&plain));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests make a tree for the real tools")]
fn archives_of_tools_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let deep = "d".repeat(90);
    let files = ["one".to_owned(), format!("{deep}/{deep}/two"), "three.gz".to_owned()];
    std::fs::create_dir_all(folder.path().join(format!("{deep}/{deep}"))).unwrap();
    let gzip = build::sample("gzip -9n");
    for (file, data) in files.iter().zip([&plain()[..1_000], b"two", &gzip]) {
        std::fs::write(folder.path().join(file), data).unwrap();
    }
    let list = files.join("\n") + "\n";
    let names = files.iter().map(String::as_str).collect::<Vec<_>>();
    let tools: &[(&str, &[&str])] = &[
        ("tar", &["--format=ustar", "-cT-"]),
        ("tar", &["--format=gnu", "-cT-"]),
        ("tar", &["--format=pax", "-cT-"]),
        ("cpio", &["-o", "-H", "newc"]),
        ("cpio", &["-o", "-H", "crc"]),
        ("zip", &["-q", "-", "-@"]),
        ("zip", &["-q", "-0", "-", "-@"]),
        ("zip", &["-q", "-fd", "-", "-@"]),
    ];
    for (tool, arguments) in tools {
        let Some(image) = run(tool, arguments, list.as_bytes(), folder.path()) else { continue };
        let (layout, end) = look(&image);
        let paths = layout.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>();
        assert_eq!(paths, names, "{tool} {arguments:?}");
        // cpio fills up its last block.
        assert_eq!(end.map(|end| skip_zeros(&image, end)), Some(length(&image)), "{tool} {arguments:?}");
        // Into a pipe, zip packs even what has been packed.
        let gzips = layout.packed.iter().filter(|p| p.hint == Hint::Gzip || p.plain_len_max == 45).count();
        assert_eq!(gzips, 1, "{tool} {arguments:?}: {}", show(&layout));
    }
    let Some(_) = run("ar", &["rc", "archive.a", names[1], names[0], names[2]], b"", folder.path()) else {
        return;
    };
    let image = std::fs::read(folder.path().join("archive.a")).unwrap();
    let (layout, end) = look(&image);
    let paths = layout.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>();
    assert_eq!((paths, end), (vec!["two", "one", "three.gz"], Some(length(&image))));
}
