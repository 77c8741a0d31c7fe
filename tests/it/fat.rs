//! The example that reads FAT images.

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use std::io::Write;
use tempfile::NamedTempFile;
use trapless_tests::{Boot, Finished, require_kvm};

/// An image as `mkfs.vfat` makes it, with files in it.
fn image(bytes: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    let mut disk = file.reopen().unwrap();
    format_volume(&mut disk, FormatVolumeOptions::new()).unwrap();
    let system = FileSystem::new(disk, FsOptions::new()).unwrap();
    let root = system.root_dir();
    let write = |name: &str, bytes: &[u8]| {
        let mut file = root.create_file(name).unwrap();
        file.write_all(bytes).unwrap();
    };
    write("HELLO.TXT", b"hello, file\n");
    root.create_dir("SUB").unwrap();
    root.create_dir("SUB/DEEPER").unwrap();
    let long: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    write("SUB/LONG.TXT", long.as_bytes());
    write("SUB/DEEPER/LAST.TXT", b"the last one\n");
    write(
        "SUB/A long name, größer than 13 letters.text",
        b"\xff\xfelong",
    );
    file
}

/// Lists or prints what is in an image, by the example.
fn run(image: &NamedTempFile, args: &[&str]) -> Finished {
    let boot = Boot::image(trapless_tests::guest("fat")).args(args);
    boot.disk(image.path(), |disk| disk.read_only = true).run()
}

/// The lines of a listing.
fn listed(image: &NamedTempFile, args: &[&str]) -> Vec<String> {
    let finished = run(image, args);
    finished.passed();
    finished.text().lines().map(str::to_owned).collect()
}

#[test]
fn a_file_system_is_listed_and_read() {
    require_kvm!();
    // FAT16 and FAT32.
    for bytes in [16 << 20, 64 << 20] {
        let image = image(bytes);
        let mut all = listed(&image, &[]);
        all.sort();
        let mut expected = [
            "        12  HELLO.TXT",
            "            SUB/",
            "    208890  SUB/LONG.TXT",
            "            SUB/DEEPER/",
            "        13  SUB/DEEPER/LAST.TXT",
            "         6  SUB/A long name, größer than 13 letters.text",
        ];
        expected.sort();
        assert_eq!(all, expected);
        let read = run(&image, &["SUB/LONG.TXT", "HELLO.TXT"]);
        read.passed();
        assert!(read.text().ends_with("line 19999\nhello, file\n"));
        assert_eq!(read.console.len(), 208_890 + 12);
    }
}

#[test]
fn directories_are_listed_and_names_are_long_or_short_in_any_case() {
    require_kvm!();
    let image = image(16 << 20);
    for path in ["SUB/DEEPER", "sub/deeper/", "/Sub/Deeper"] {
        let lines = listed(&image, &[path]);
        assert_eq!(lines, ["        13  SUB/DEEPER/LAST.TXT"]);
    }
    assert_eq!(listed(&image, &["sub"]).len(), 4);
    for path in [
        "SUB/A long name, größer than 13 letters.text",
        "sub/a LONG name, GRÖßER than 13 letters.text",
        "sub/alongn~1.tex",
    ] {
        let read = run(&image, &[path]);
        read.passed();
        assert_eq!(read.text(), "\u{fffd}\u{fffd}long", "{path}");
        assert_eq!(read.console, b"\xff\xfelong", "{path}");
    }
}

/// The library takes a short name for the long one before it where their checksums are the same.
#[test]
fn a_short_name_is_no_other_files_long_one() {
    require_kvm!();
    let checksum = |name: &str| {
        let add = |sum: u8, byte| sum.rotate_right(1).wrapping_add(byte);
        name.bytes().fold(0, add)
    };
    let long = checksum("A-VERY~1TXT");
    let mut names = ('A'..='Z').flat_map(|letter| (0..999).map(move |n| format!("{letter}{n:03}")));
    let alike = names.find(|name| checksum(&format!("{name}    TXT")) == long);
    let alike = alike.unwrap();

    let image = image(16 << 20);
    let system = FileSystem::new(image.reopen().unwrap(), FsOptions::new()).unwrap();
    let root = system.root_dir();
    for name in ["a-very-long-name.txt", &format!("{alike}.TXT")] {
        root.create_file(name).unwrap();
    }
    drop(root);
    system.unmount().unwrap();
    // The second has no long name any more: that is the entry in front of it.
    let mut bytes = std::fs::read(image.path()).unwrap();
    let entry = format!("{alike}    TXT");
    let at = bytes.windows(11).position(|name| name == entry.as_bytes());
    let before = at.unwrap() - 32;
    assert_eq!(bytes[before + 11], 0x0f);
    bytes[before] = 0xe5;
    std::fs::write(image.path(), bytes).unwrap();

    let lines = listed(&image, &[]);
    for name in ["a-very-long-name.txt", &format!("{alike}.TXT")] {
        let line = format!("         0  {name}");
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
}

#[test]
fn what_cannot_be_shown_is_explained() {
    require_kvm!();
    let refusal = |image: &NamedTempFile, path: &[&str]| {
        let finished = run(image, path);
        assert_eq!(finished.exit_code(), Some(1), "{}", finished.text());
        finished.text()
    };
    let sixteen = image(16 << 20);
    for (path, said) in [
        (
            "NONE.TXT",
            "/NONE.TXT: there is no NONE.TXT in /; without a path, everything is listed",
        ),
        (
            "sub/none",
            "/sub/none: there is no none in /SUB/; without a path, everything is listed",
        ),
        (
            "HELLO.TXT/x",
            "/HELLO.TXT/x: HELLO.TXT is a file, and no directory",
        ),
    ] {
        let text = refusal(&sixteen, &[path]);
        assert!(text.contains(said), "{text}");
    }
    let twelve = image(2 << 20);
    let empty = NamedTempFile::new().unwrap();
    empty.as_file().set_len(1 << 20).unwrap();
    for (image, why) in [(twelve, "FAT12 is unsupported"), (empty, "Bad BPB footer")] {
        let text = refusal(&image, &[]);
        assert!(text.contains(why), "{text}");
        assert!(
            text.contains("`mkfs.vfat -F 16 -C FILE 16384` makes one"),
            "{text}"
        );
    }
}
