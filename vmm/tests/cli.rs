//! The command `trapless` as its users meet it, as far as no VM has to run for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory of its own for each test, empty.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// What a command did: its code, standard output and standard error.
#[derive(Debug)]
struct Did {
    code: Option<i32>,
    out: String,
    err: String,
}

fn trapless(directory: &Path, args: &[&str]) -> Did {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_trapless"))
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Did {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A guest that is a package in this crate's workspace, so that a check has nothing to object to.
const GUEST: &str = concat!(
    "[guest]\npackage = \"hello\"\ndirectory = \"",
    env!("CARGO_MANIFEST_DIR"),
    "\"\n"
);

#[test]
fn help_and_version_are_answers_and_not_errors() {
    for args in [["--help"], ["-h"], ["help"]] {
        let did = trapless(here(), &args);
        assert_eq!(did.code, Some(0), "{did:?}");
        for command in ["run", "check", "build", "new", "bench"] {
            assert!(did.out.contains(&format!("\n  {command} ")), "{}", did.out);
        }
        for (code, meaning) in vmm::exit::TABLE {
            assert!(did.out.contains(meaning), "{code} is not in\n{}", did.out);
        }
        assert_eq!(did.err, "");
    }
    let did = trapless(here(), &["--version"]);
    assert_eq!(did.code, Some(0));
    assert_eq!(
        did.out,
        concat!("trapless ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_command_line_that_makes_no_sense_is_explained() {
    for (args, explained) in [
        (&[][..], "Usage: trapless <COMMAND>"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["run"], "<CONFIG.toml|IMAGE>"),
        (&["run", "a.elf", "b"], "unexpected argument 'b'"),
        (&["run", "--stat", "a.elf"], "'--stats'"),
        (
            &["run", "--memory", "64MB", "a.elf"],
            "\"64MB\" is not a size; write \"64MiB\"",
        ),
        (&["run", "--memory", "1KiB", "a.elf"], "at least \"2MiB\""),
        (
            &["run", "--vcpus", "65", "a.elf"],
            "cannot have 65 vCPUs; write a number from 1 to 64",
        ),
        (
            &["run", "--vcpus", "two", "a.elf"],
            "\"two\" is not a whole number",
        ),
        (&["run", "--time", "0s", "a.elf"], "no time at all"),
        (&["check"], "<CONFIG.toml>"),
        (&["new"], "<NAME>"),
    ] {
        let did = trapless(here(), args);
        assert_eq!(did.code, Some(64), "{args:?}: {did:?}");
        assert!(did.err.contains(explained), "{args:?}:\n{}", did.err);
        assert_eq!(did.out, "", "{args:?}");
    }
}

#[test]
fn check_says_ok_or_what_is_wrong() {
    let directory = scratch("check");
    fs::write(directory.join("right.toml"), GUEST).unwrap();
    fs::write(
        directory.join("wrong.toml"),
        "[guest]\nimage = \"/dev/null\"\n\n[machine]\nmemroy = \"1GiB\"\n",
    )
    .unwrap();

    let did = trapless(&directory, &["check", "right.toml"]);
    assert_eq!(
        (did.code, did.out.as_str(), did.err.as_str()),
        (Some(0), "right.toml: ok\n", "")
    );

    // `run` refuses it in the same words, before it does anything else.
    for command in ["check", "run", "build"] {
        let did = trapless(&directory, &[command, "wrong.toml"]);
        assert_eq!(did.code, Some(78), "{did:?}");
        assert_eq!(did.out, "");
        assert_eq!(
            did.err,
            "trapless: wrong.toml:5:1: unknown key `memroy`; did you mean `memory`? Known here: vcpus, memory, huge_pages, trapped, rng\n  \
               |\n\
             5 | memroy = \"1GiB\"\n  \
               | ^^^^^^\n"
        );
        let did = trapless(&directory, &[command, "missing.toml"]);
        assert_eq!(did.code, Some(78), "{did:?}");
        assert!(
            did.err
                .starts_with("trapless: missing.toml: cannot be read: No such file"),
            "{}",
            did.err
        );
    }
}

#[test]
fn the_effective_configuration_is_one() {
    let directory = scratch("effective");
    let text = format!("{GUEST}args = [\"a b\"]\n[limits]\ntime = \"3s\"\n");
    fs::write(directory.join("vm.toml"), text).unwrap();
    let first = trapless(&directory, &["check", "--effective", "vm.toml"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    for line in [
        "args = [\"a b\"]",
        "vcpus = 1",
        "memory = \"64MiB\"",
        "to = \"stdio\"",
        "time = \"3s\"",
        "grace = \"2s\"",
        "poll_percent = 100",
    ] {
        assert!(first.out.contains(line), "{line} is not in\n{}", first.out);
    }

    let elsewhere = scratch("effective-elsewhere");
    fs::write(elsewhere.join("vm.toml"), &first.out).unwrap();
    let second = trapless(&elsewhere, &["check", "--effective", "vm.toml"]);
    assert_eq!(second.out, first.out, "it means the same anywhere");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = scratch("pipe");
    fs::write(directory.join("vm.toml"), GUEST).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_trapless"))
        .args(["check", "--effective", "vm.toml"])
        .current_dir(&directory)
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn an_outcome_that_cannot_be_written_is_refused_before_the_run() {
    let did = trapless(
        here(),
        &["run", "--outcome", "no/such/directory/o.json", "src/lib.rs"],
    );
    assert_eq!(did.code, Some(73), "{did:?}");
    assert_eq!(
        did.err,
        "trapless: no/such/directory/o.json cannot be created: No such file or directory (os error 2)\n"
    );
}

#[test]
fn an_image_that_cannot_run_is_refused() {
    let directory = scratch("image");
    fs::write(directory.join("text.elf"), "not an ELF file").unwrap();
    fs::write(
        directory.join("text.toml"),
        "[guest]\nimage = \"text.elf\"\n",
    )
    .unwrap();
    let did = trapless(&directory, &["check", "text.toml"]);
    assert_eq!(did.code, Some(78), "{did:?}");
    assert!(did.err.contains("text.elf: "), "{}", did.err);

    let did = trapless(&directory, &["run", "no.elf"]);
    assert_eq!(did.code, Some(78), "{did:?}");
    assert_eq!(
        did.err,
        "trapless: no.elf: No such file or directory (os error 2)\n"
    );

    let did = trapless(&directory, &["run", "."]);
    assert_eq!(did.code, Some(78), "{did:?}");
    assert!(
        did.err.contains("is a directory; name a configuration"),
        "{}",
        did.err
    );
}

#[test]
fn a_guest_that_does_not_build_is_recorded() {
    let directory = scratch("build");
    let guest = GUEST.replace("hello", "no-such-package");
    fs::write(directory.join("vm.toml"), guest).unwrap();
    let did = trapless(&directory, &["run", "--outcome", "o.json", "vm.toml"]);
    assert_eq!(did.code, Some(70), "{did:?}");
    assert!(did.err.contains("no-such-package"), "{}", did.err);
    let outcome = fs::read(directory.join("o.json")).unwrap();
    let outcome: serde_json::Value = serde_json::from_slice(&outcome).unwrap();
    assert_eq!(outcome["end"], "error");
    assert_eq!(outcome["exit_code"], 70);
}

#[test]
fn build_makes_an_image_that_can_be_copied() {
    let directory = scratch("image-built");
    let guest = GUEST.replace("hello", "examples") + "bin = \"hello\"\n";
    fs::write(directory.join("vm.toml"), guest).unwrap();
    let did = trapless(&directory, &["build", "vm.toml"]);
    assert_eq!(did.code, Some(0), "{did:?}");
    let built = Path::new(did.out.trim_end());
    assert!(built.is_absolute(), "{}", did.out);

    let did = trapless(&directory, &["build", "vm.toml", "-o", "copy.elf"]);
    assert_eq!(
        (did.code, did.out.as_str()),
        (Some(0), "copy.elf\n"),
        "{}",
        did.err
    );
    assert!(fs::read(built).unwrap() == fs::read(directory.join("copy.elf")).unwrap());

    fs::write(
        directory.join("copy.toml"),
        "[guest]\nimage = \"copy.elf\"\n",
    )
    .unwrap();
    let did = trapless(&directory, &["check", "copy.toml"]);
    assert_eq!(
        (did.code, did.out.as_str()),
        (Some(0), "copy.toml: ok\n"),
        "{}",
        did.err
    );

    let did = trapless(
        &directory,
        &["build", "vm.toml", "-o", "no/such/directory.elf"],
    );
    assert_eq!(did.code, Some(73), "{did:?}");
}

#[test]
fn new_makes_a_crate() {
    let directory = scratch("new");
    let did = trapless(&directory, &["new", "in/some/fresh-guest"]);
    assert_eq!(did.code, Some(0), "{did:?}");
    assert!(
        did.out.contains("cd in/some/fresh-guest\n    cargo run\n"),
        "{}",
        did.out
    );

    let guest = directory.join("in/some/fresh-guest");
    let manifest = fs::read_to_string(guest.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("fresh-guest"));
    let sdk = manifest["dependencies"]["guest-sdk"]["path"]
        .as_str()
        .unwrap();
    assert!(Path::new(sdk).join("Cargo.toml").is_file(), "{sdk}");
    assert!(guest.join("src/main.rs").is_file());
    let did = trapless(&guest, &["check", "vm.toml"]);
    assert_eq!(did.code, Some(0), "{did:?}");
}

#[test]
fn new_refuses_what_cannot_be_a_crate() {
    let directory = scratch("new-refused");
    fs::create_dir(directory.join("taken")).unwrap();
    for (name, why) in [
        (
            "taken",
            "taken cannot be created: it is already there; choose another name, or remove it",
        ),
        ("taken/../taken", "already there"),
        ("1st", "\"1st\" is no name for a crate"),
        ("two words", "\"two words\" is no name for a crate"),
        ("grüße", "is no name for a crate"),
        ("..", "\"\" is no name for a crate"),
        ("match", "\"match\" means something else in Rust"),
        ("core", "\"core\" means something else in Rust"),
        ("guest-sdk", "\"guest-sdk\" means something else"),
    ] {
        let did = trapless(&directory, &["new", name]);
        assert_eq!(did.code, Some(73), "{name}: {did:?}");
        assert!(did.err.contains(why), "{name}: {}", did.err);
    }
    let did = trapless(&directory, &["new", "guest", "--sdk", "taken"]);
    assert_eq!(did.code, Some(73), "{did:?}");
    assert!(
        did.err
            .contains("no Cargo.toml in the SDK's directory taken"),
        "{}",
        did.err
    );
    let left: Vec<_> = fs::read_dir(&directory).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left behind: {left:?}");
}
