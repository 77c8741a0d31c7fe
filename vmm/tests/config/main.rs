//! Configuration files: what they mean, and how each key is refused when it is wrong.

mod claims;
mod refused;
mod user;

use hypercall_abi::class::{CONSOLE, Classes, EVENT};
use std::path::Path;
use std::time::Duration;
use vmm::config::{
    Backend, Cache, Config, Console, Disk, Image, Link, Net, Port, PortEnd, Refusal, Rng, Vsock,
};

/// A file beside this crate's manifest, so that `image = "Cargo.toml"` names a file that is there and `package` has a workspace.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vm.toml");

fn parse(text: &str) -> Result<Config, Refusal> {
    Config::parse(text, Path::new(FILE))
}

#[test]
fn every_key_is_understood() {
    let config = parse(
        r#"
        [guest]
        package = "hello"
        bin = "hello-again"
        profile = "release"
        directory = "../examples"
        args = ["-v", "two words", ""]
        env = { ZEBRA = "1", ANT = "a=b", EMPTY = "" }

        [machine]
        vcpus = 4
        memory = "1GiB"
        huge_pages = false
        trapped = true
        rng = { bytes_per_second = 65536 }

        [console]
        to = { file = "src/console.txt" }

        [[disk]]
        path = "Cargo.toml"

        [[disk]]
        path = "src/lib.rs"
        name = "data"
        read_only = true
        direct = true
        cache = "writethrough"
        serial = "4711-A"
        backend = "io_uring"
        ops_per_second = 1000
        bytes_per_second = 1048576
        [[net]]
        tap = "tap0"

        [[net]]
        name = "inside"
        mac = "02:00:00:00:00:0A"
        mtu = 9000
        bytes_per_second = 1048576
        stream = "switch"

        [[net]]
        stream = { listen = "/run/card" }

        [[vsock]]
        path = "src/vsock"
        cid = 77
        ops_per_second = 500

        [[vsock]]
        path = "/run/vsock"
        name = "management"
        bytes_per_second = 65536

        [limits]
        time = "10s"
        grace = "500ms"
        poll_percent = 25
        calls = ["event", "console"]
        "#,
    )
    .unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(
        config.guest.image,
        Image::Package {
            directory: here.join("../examples"),
            package: "hello".to_owned(),
            bin: Some("hello-again".to_owned()),
            profile: Some("release".to_owned()),
        }
    );
    assert_eq!(
        config.nets,
        [
            Net::new("net0", Link::Tap("tap0".to_owned())),
            Net {
                mac: Some([2, 0, 0, 0, 0, 10]),
                mtu: Some(9000),
                bytes_per_second: Some(1 << 20),
                ..Net::new("inside", Link::Connect(here.join("switch")))
            },
            Net::new("net2", Link::Listen("/run/card".into())),
        ]
    );
    assert_eq!(config.guest.args, ["-v", "two words", ""]);
    let env = [("ZEBRA", "1"), ("ANT", "a=b"), ("EMPTY", "")];
    assert_eq!(
        config.guest.env,
        env.map(|(name, value)| (name.to_owned(), value.to_owned())),
        "in the order of the file"
    );
    assert_eq!(config.machine.vcpus, 4);
    assert_eq!(config.machine.memory, 1 << 30);
    assert!(!config.machine.huge_pages && config.machine.trapped);
    let rng = Rng {
        ops_per_second: None,
        bytes_per_second: Some(65536),
    };
    assert_eq!(config.machine.rng, Some(rng));
    assert_eq!(config.console, Console::File(here.join("src/console.txt")));
    let data = Disk {
        path: here.join("src/lib.rs"),
        name: "data".to_owned(),
        read_only: true,
        direct: true,
        cache: Cache::Writethrough,
        serial: "4711-A".to_owned(),
        backend: Backend::IoUring,
        ops_per_second: Some(1000),
        bytes_per_second: Some(1 << 20),
    };
    let first = Disk::new("disk0", here.join("Cargo.toml"));
    assert_eq!(config.disks, [first, data]);
    let first = Vsock {
        cid: 77,
        ops_per_second: Some(500),
        ..Vsock::new(here.join("src/vsock"))
    };
    let second = Vsock {
        name: "management".to_owned(),
        bytes_per_second: Some(65536),
        ..Vsock::new("/run/vsock".into())
    };
    assert_eq!(config.vsocks, [first, second]);
    assert_eq!(config.limits.time, Some(Duration::from_secs(10)));
    assert_eq!(config.limits.grace, Duration::from_millis(500));
    assert_eq!(config.limits.poll_percent, 25);
    assert_eq!(config.limits.calls, Classes::NONE.with(CONSOLE).with(EVENT));
}

#[test]
fn consoles_have_names_or_are_the_only_one_without() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guest = "[guest]\nimage = \"Cargo.toml\"\n";
    let config = parse(&format!(
        r#"{guest}
        [[console]]
        name = "log"
        to = {{ file = "log.txt" }}
        bytes_per_second = 4096
        [[console]]
        to = "none"
        [[console]]
        name = "shell"
        to = {{ socket = "/run/shell" }}
        [[console]]
        name = "user"
        to = "stdio"
        "#
    ))
    .unwrap();
    assert_eq!(config.console, Console::None);
    assert_eq!(
        config.ports,
        [
            Port {
                bytes_per_second: Some(4096),
                ..Port::new("log", PortEnd::File(here.join("log.txt")))
            },
            Port::new("shell", PortEnd::Socket("/run/shell".into())),
            Port::new("user", PortEnd::Stdio),
        ]
    );
    let port = "[[console]]\nname = \"log\"\nto = \"none\"\n";
    let config = parse(&format!("{guest}{port}")).unwrap();
    assert_eq!(config.console, Console::Stdio, "without one that says so");
    let many: String = (0..17)
        .map(|index| port.replace("log", &format!("log{index}")))
        .collect();
    let refusal = parse(&format!("{guest}{many}")).unwrap_err();
    assert!(refusal.problem.contains("at most 16 ports"), "{refusal}");
}

#[test]
fn bytes_in_a_second_are_a_number_or_a_size() {
    for (written, bytes) in [
        ("65536", 65536),
        ("\"64KiB\"", 65536),
        ("\"2 GiB\"", 2 << 30),
        ("\"10000000000GiB\"", i64::MAX as u64),
    ] {
        let text = format!(
            "[guest]\nimage = \"Cargo.toml\"\n[machine]\nrng = {{ bytes_per_second = {written} }}\n\
             [[console]]\nname = \"log\"\nto = \"none\"\nbytes_per_second = {written}\n\
             [[disk]]\npath = \"Cargo.toml\"\nbytes_per_second = {written}\n\
             [[net]]\nuser = true\nbytes_per_second = {written}\n\
             [[vsock]]\npath = \"vsock\"\nbytes_per_second = {written}\n"
        );
        let config = parse(&text).unwrap();
        let read = [
            config.machine.rng.as_ref().unwrap().bytes_per_second,
            config.ports[0].bytes_per_second,
            config.disks[0].bytes_per_second,
            config.nets[0].bytes_per_second,
            config.vsocks[0].bytes_per_second,
        ];
        assert_eq!(read, [Some(bytes); 5], "{written}");
        let again = Config::parse(&config.to_toml(), Path::new("/nowhere/at/all.toml")).unwrap();
        assert_eq!(again.nets, config.nets, "{written}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let mut config = parse("[guest]\nimage = \"Cargo.toml\"\n").unwrap();
    let (file, line) = config.guest.said_in.take().unwrap();
    assert!(file.ends_with("vm.toml") && line == 2, "{file:?}:{line}");
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!(config, Config::new(Image::File(image)));
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    // Cargo runs integration tests in the package's directory, so this path is relative to it.
    let text = "[guest]\nimage = \"lib.rs\"\n[console]\nto = { file = \"/abs\" }";
    let config = Config::parse(text, Path::new("src/vm.toml")).unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    assert_eq!(config.guest.image, Image::File(image));
    assert_eq!(config.console, Console::File("/abs".into()));
}

#[test]
fn core_calls_cannot_be_withheld() {
    let config = parse("[guest]\nimage = \"Cargo.toml\"\n[limits]\ncalls = []").unwrap();
    assert_eq!(config.limits.calls, Classes::NONE);
}

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    for text in [
        "[guest]\nimage = \"Cargo.toml\"",
        "[guest]\npackage = \"hello\"\n[console]\nto = \"none\"",
        "[guest]\nimage = \"Cargo.toml\"\n[machine]\nrng = true",
        "[guest]\nimage = \"Cargo.toml\"\n[machine]\nrng = false",
        "[guest]\nimage = \"Cargo.toml\"\n[machine.rng]\nops_per_second = 1\nbytes_per_second = 2",
        r#"
        [guest]
        image = "Cargo.toml"
        [[console]]
        to = { file = "boot.log" }
        [[console]]
        name = "one \" two"
        to = "stdio"
        [[console]]
        name = "socket"
        to = { socket = "s" }
        [[console]]
        name = "file"
        to = { file = "f" }
        ops_per_second = 7
        [[console]]
        name = "none"
        to = "none"
        "#,
        r#"
        [guest]
        package = "hello"
        bin = "b"
        profile = "release"
        directory = "src"
        args = ['a"b', "new\nline", 'back\slash', "ü\u0007"]
        env = { "with space" = "'\"", B = "2", A = "\n" }
        [machine]
        vcpus = 64
        memory = "2052KiB"
        huge_pages = false
        trapped = true
        [console]
        to = { file = "a \" b.log" }
        [[net]]
        stream = "a \" b"
        mac = "02:00:00:00:00:0a"
        mtu = 68
        ops_per_second = 5
        [[net]]
        name = "ü"
        stream = { listen = "here" }
        [[net]]
        tap = "tap9"
        [calls]
        timed = true
        [[disk]]
        path = "Cargo.toml"
        [[disk]]
        path = "src/lib.rs"
        name = "a \" b"
        serial = "s"
        ops_per_second = 1
        [[vsock]]
        path = "a b.sock"
        cid = 4294967294
        bytes_per_second = 9223372036854775807
        [limits]
        time = "90s"
        grace = "0s"
        calls = ["random"]
        "#,
    ] {
        let mut config = parse(text).unwrap();
        let effective = config.to_toml();
        let elsewhere = Path::new("/nowhere/at/all.toml");
        let mut again =
            Config::parse(&effective, elsewhere).unwrap_or_else(|e| panic!("{e}\n{effective}"));
        (config.guest.said_in, again.guest.said_in) = (None, None);
        assert_eq!(config, again, "{effective}");
    }
}

#[test]
fn a_refusal_shows_the_line_and_marks_the_part() {
    let refusal = Config::parse(
        "[guest]\nimage = \"Cargo.toml\"\n\n[machine]\n\tmemory = \"64MB\" # ample\n",
        Path::new("vm.toml"),
    )
    .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "vm.toml:5:11: \"64MB\" is not a size; write \"64MiB\"\n  \
           |\n\
         5 | \tmemory = \"64MB\" # ample\n  \
           | \t         ^^^^^^"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let missing = directory.join("no-such.toml");
    let shown = Config::load(&missing).unwrap_err().to_string();
    assert!(
        shown.contains("no-such.toml: cannot be read: No such file"),
        "{shown}"
    );

    let binary = directory.join("binary.toml");
    std::fs::write(&binary, b"[guest]\n\xff").unwrap();
    let shown = Config::load(&binary).unwrap_err().to_string();
    assert!(
        shown.contains("binary.toml: not text: byte 8 is not UTF-8"),
        "{shown}"
    );
}
