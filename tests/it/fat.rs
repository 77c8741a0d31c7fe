//! The example that reads FAT images.

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use std::io::Write;
use tempfile::NamedTempFile;
use trapless_tests::{Boot, require_kvm};

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
    file
}

#[test]
fn a_file_system_is_listed_and_read() {
    require_kvm!();
    let guest = trapless_tests::guest("fat");
    // FAT16 and FAT32.
    for bytes in [16 << 20, 64 << 20] {
        let image = image(bytes);
        let run = |args: &[&str]| {
            let boot = Boot::image(guest).args(args);
            boot.disk(image.path(), |disk| disk.read_only = true).run()
        };
        let listed = run(&[]);
        listed.passed();
        let lines: Vec<String> = listed.text().lines().map(str::to_owned).collect();
        for line in [
            "        12  HELLO.TXT",
            "            SUB/",
            "    208890  SUB/LONG.TXT",
            "            SUB/DEEPER/",
            "        13  SUB/DEEPER/LAST.TXT",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
        }
        assert_eq!(lines.len(), 5, "{lines:?}");
        let read = run(&["SUB/LONG.TXT", "HELLO.TXT"]);
        read.passed();
        assert!(read.text().ends_with("line 19999\nhello, file\n"));
        assert_eq!(read.console.len(), 208_890 + 12);
        assert_ne!(run(&["NONE.TXT"]).exit_code(), Some(0));
    }
}
