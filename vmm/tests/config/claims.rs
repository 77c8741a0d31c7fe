//! What two parts of one VM cannot both have, where only the host's files say that it is one thing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use vmm::Config;
use vmm::config::Refusal;

/// What is made of these tables in a directory with an image.
fn parse(directory: &Path, tables: &str) -> Result<Config, Refusal> {
    fs::write(directory.join("guest.elf"), "").unwrap();
    let text = format!("[guest]\nimage = \"guest.elf\"\n{tables}");
    Config::parse(&text, &directory.join("vm.toml"))
}

#[track_caller]
fn refused(directory: &Path, tables: &str) -> Refusal {
    match parse(directory, tables) {
        Ok(_) => panic!("accepted:\n{tables}"),
        Err(refusal) => refusal,
    }
}

#[test]
fn two_paths_of_one_file_are_one_disk() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("a.img"), [0; 512]).unwrap();
    fs::create_dir(at.join("sub")).unwrap();
    symlink("a.img", at.join("link.img")).unwrap();
    fs::hard_link(at.join("a.img"), at.join("hard.img")).unwrap();
    for other in ["a.img", "./a.img", "sub/../a.img", "link.img", "hard.img"] {
        let disks = format!("[[disk]]\npath = \"a.img\"\n[[disk]]\npath = \"{other}\"\n");
        let refusal = refused(at, &disks);
        assert_eq!((refusal.line, refusal.column), (6, 8), "{refusal}");
        assert!(
            refusal
                .problem
                .starts_with("the disk \"disk0\" (line 4) has this file already"),
            "{refusal}"
        );
        let one = disks.replace("]]\n", "]]\nread_only = true\n");
        assert!(parse(at, &one).is_ok(), "both only read");
        refused(at, &one.replacen("true", "false", 1));
    }
    fs::write(at.join("b.img"), [0; 512]).unwrap();
    let two = "[[disk]]\npath = \"a.img\"\n[[disk]]\npath = \"b.img\"\n";
    assert!(parse(at, two).is_ok());
}

#[test]
fn a_block_device_is_one_disk_too() {
    let mut devices = fs::read_dir("/dev").unwrap().filter_map(Result::ok);
    let is_block =
        |path: &Path| fs::metadata(path).is_ok_and(|it| it.file_type().is_block_device());
    // Not every machine shows one.
    let Some(device) = devices.find(|entry| is_block(&entry.path())) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    symlink(device.path(), directory.path().join("link")).unwrap();
    let path = device.path();
    let disks = format!(
        "[[disk]]\npath = \"{}\"\n[[disk]]\npath = \"link\"\n",
        path.display()
    );
    let refusal = refused(directory.path(), &disks);
    assert!(refusal.problem.contains("\"disk0\" (line 4)"), "{refusal}");
}

#[test]
fn output_does_not_go_into_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("a.img"), [0; 512]).unwrap();
    symlink("a.img", at.join("log")).unwrap();
    let disk = "[[disk]]\npath = \"a.img\"\n";
    let port = "[[console]]\nname = \"log\"\nto = { file = \"log\" }\n";
    let refusal = refused(at, &format!("{disk}{port}"));
    assert_eq!(refusal.line, 7, "{refusal}");
    assert!(
        refusal.problem.contains("what is printed would go into it"),
        "{refusal}"
    );
    let refusal = refused(at, &format!("{port}{disk}"));
    assert_eq!(refusal.line, 7, "the later one: {refusal}");
    assert!(
        refusal.problem.starts_with("the port \"log\" (line 5)"),
        "{refusal}"
    );

    let other = port.replace("log\"\nto", "other\"\nto");
    let ports = format!("{port}{other}").replace("{ file = \"log\"", "{ file = \"text\"");
    assert!(
        parse(at, &ports).is_ok(),
        "two ports may append to one file"
    );
}

#[test]
fn a_socket_that_is_not_there_yet_is_known_by_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::create_dir(at.join("run")).unwrap();
    symlink("run", at.join("alias")).unwrap();
    let tables = "[[vsock]]\npath = \"run/s\"\n[[net]]\nstream = { listen = \"alias/s\" }\n";
    let refusal = refused(at, tables);
    assert!(
        refusal
            .problem
            .starts_with("the [[vsock]] \"vsock0\" (line 4) listens at this path already"),
        "{refusal}"
    );
    let connected = tables.replace("{ listen = \"alias/s\" }", "\"alias/s\"");
    assert!(parse(at, &connected).is_ok(), "who connects makes nothing");
}

#[test]
fn addresses_of_the_host_that_do_not_overlap_are_forwarded_each() {
    let directory = tempfile::tempdir().unwrap();
    let tables = r#"
        [[net]]
        user = { forward = ["127.0.0.1:8080:80", "udp:127.0.0.1:8080:80", "[::1]:8080:80", "127.0.0.2:8080:80", "0.0.0.0:0:80"] }
        [[net]]
        user = { forward = ["0.0.0.0:8081:80", "[::]:8081:80", "127.0.0.1:0:80", "127.0.0.1:0:80"] }
    "#;
    parse(directory.path(), tables).unwrap();
}
