//! `trapless run` with real VMs: how each way to end looks from outside.

mod guests;
#[path = "../../benches/foundation/image.rs"]
mod image;

use hypercall_abi::device::kind;
use hypercall_abi::note::Note;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Ends the test it stands in where there is no KVM and the environment says to skip.
macro_rules! require_kvm {
    () => {
        if let Err(error) = fs::File::options().read(true).write(true).open("/dev/kvm") {
            let skip = std::env::var_os("TRAPLESS_SKIP_KVM").is_some_and(|value| value == "1");
            assert!(skip, "no KVM on this machine: /dev/kvm: {error} (TRAPLESS_SKIP_KVM=1 skips the tests that need it)");
            eprintln!("skipped, no KVM");
            return;
        }
    };
}

mod trapped; // after the macro that it uses

/// A guest's files, in a directory of its own.
struct Guest {
    directory: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    outcome: Value,
}

impl Guest {
    /// A guest of this code, with these lines in its configuration.
    fn new(name: &str, code: &[u8], config: &str) -> Guest {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("guest.elf"), image::elf(code)).unwrap();
        let config = format!("[guest]\nimage = \"guest.elf\"\n{config}");
        fs::write(directory.join("vm.toml"), config).unwrap();
        Guest { directory }
    }

    fn start(&self, args: &[&str]) -> Running<'_> {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_trapless")), args)
    }

    /// As `start`, by a command that ends in `trapless`.
    fn start_by(&self, mut command: Command, args: &[&str]) -> Running<'_> {
        let mut child = command
            .args(["run", "vm.toml", "--outcome", "outcome.json"])
            .args(args)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running {
            guest: self,
            child,
            out,
            read: String::new(),
        }
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }
}

/// A run that has not ended yet, as far as anybody knows.
struct Running<'g> {
    guest: &'g Guest,
    child: Child,
    out: BufReader<ChildStdout>,
    read: String,
}

impl Running<'_> {
    /// Waits until the guest has printed this line.
    fn line(mut self, expected: &str) -> Self {
        let from = self.read.len();
        self.out.read_line(&mut self.read).unwrap();
        assert_eq!(&self.read[from..], format!("{expected}\n"));
        self
    }

    fn signal(self, name: &str) -> Self {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
        self
    }

    fn end(mut self) -> Ended {
        self.out.read_to_string(&mut self.read).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let outcome = fs::read(self.guest.directory.join("outcome.json")).unwrap();
        Ended {
            code: output.status.code(),
            out: self.read,
            err: String::from_utf8(output.stderr).unwrap(),
            outcome: serde_json::from_slice(&outcome).unwrap(),
        }
    }
}

#[test]
fn the_guests_code_is_the_exit_code() {
    require_kvm!();
    for code in [0, 7, 64, 255] {
        let ended = Guest::new("code", &guests::exit(code), "").run(&[]);
        assert_eq!(ended.code, Some(code.into()));
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
        assert_eq!(ended.outcome["end"], "exit");
        assert_eq!(ended.outcome["exit_code"], code);
        assert_eq!(
            ended.outcome["calls"],
            json!({"exit": {"made": 1, "refused": 0, "polled": 0, "batched": 0}})
        );
    }
}

#[test]
fn output_is_the_guests_and_statistics_go_beside_it() {
    require_kvm!();
    let ended = Guest::new("hello", &image::hello(), "").run(&["--stats"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "hello\n"));
    let mut words = ended.err.split_whitespace();
    for expected in [
        "exits",
        "2",
        "call",
        "2",
        "calls",
        "2",
        "exit",
        "1",
        "console_write",
        "1",
    ] {
        assert_eq!(words.next(), Some(expected), "{}", ended.err);
    }
    assert_eq!(ended.outcome["exits"]["total"], 2);
    let first = ended.outcome["to_first_call_ns"].as_u64().unwrap();
    let end = ended.outcome["to_end_ns"].as_u64().unwrap();
    assert!(0 < first && first <= end, "{first} {end}");
}

#[test]
fn each_call_is_counted_once() {
    require_kvm!();
    let ended = Guest::new("calls", &image::calls(1000), "").run(&[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.outcome["calls"]["null"]["made"], 1000);
    assert_eq!(ended.outcome["exits"]["call"], 1001);
    // A guest without the SDK notes nothing: the handler's time is the host's own.
    let null = &ended.outcome["times"]["null"]["trapped"];
    assert_eq!(null["handler"]["count"], 1000, "{null}");
    for part in ["whole", "guest", "transport"] {
        assert_eq!(null[part], Value::Null, "{null}");
    }
    let charged = ended.outcome["vcpus"][0]["cpu_ns"].as_u64();
    assert!(charged.is_some_and(|ns| ns > 0), "{}", ended.outcome);
    assert!(ended.outcome["poller"]["awake_share"].is_number());
}

#[test]
fn arguments_on_the_command_line_replace_the_configured_ones() {
    require_kvm!();
    let guest = Guest::new(
        "args",
        &guests::exit_with_argument_count(),
        "args = [\"a\", \"b\", \"c\"]",
    );
    assert_eq!(
        guest.run(&[]).code,
        Some(4),
        "the image's name is the first"
    );
    assert_eq!(guest.run(&["--", "--stats"]).code, Some(2));
}

#[test]
fn an_image_runs_without_a_configuration() {
    require_kvm!();
    let guest = Guest::new("image", &guests::exit(9), "");
    let status = Command::new(env!("CARGO_BIN_EXE_trapless"))
        .args(["run", "guest.elf", "--memory", "3MiB", "--vcpus", "3"])
        .current_dir(&guest.directory)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(9));
}

#[test]
fn check_refuses_an_image_as_run_does() {
    require_kvm!();
    let guest = Guest::new("needs", &guests::exit(0), "[machine]\nmemory = \"2MiB\"");
    let trapless = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trapless"));
        let output = command.args(args).current_dir(&guest.directory).output();
        let output = output.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), err)
    };
    let note = Note::DEFAULT.said_in("src/main.rs", 7);
    let stack = Note {
        stack_bytes: 3 << 20,
        ..note
    };
    for (note, said) in [
        (
            note.needs(kind::BLOCK).needs(kind::RNG),
            "src/main.rs:7 says that it needs a disk device and a device for random numbers, and the configuration that runs it (vm.toml:2) has none of them; add a [[disk]] and write rng = true in [machine]",
        ),
        (stack, "raise machine.memory"),
    ] {
        let image = image::noted(note, &guests::exit(0));
        fs::write(guest.directory.join("guest.elf"), image).unwrap();
        let check = trapless(&["check", "vm.toml"]);
        assert_eq!(check.0, Some(78), "{check:?}");
        assert!(check.1.contains(said), "{check:?}");
        assert_eq!(check, trapless(&["run", "vm.toml"]));
    }
}

#[test]
fn a_guest_that_spins_or_sleeps_dies_at_its_time_limit() {
    require_kvm!();
    for code in [guests::spin(), image::wait()] {
        let guest = Guest::new("limit", &code, "[limits]\ntime = \"1h\"");
        let ended = guest.run(&["--time", "100ms"]);
        assert_eq!(ended.code, Some(124), "{ended:?}");
        assert_eq!(
            ended.err,
            "trapless: stopped at the guest's time limit of 100ms\n"
        );
        assert_eq!(ended.outcome["end"], "time_limit");
    }
}

#[test]
fn a_signal_stops_a_guest_that_does_not_listen() {
    require_kvm!();
    for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let guest = Guest::new("signal", &guests::spin(), "[limits]\ngrace = \"1h\"");
        let ended = guest.start(&[]).line("up").signal(signal).end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.err, format!("trapless: stopped by SIG{signal}\n"));
        assert_eq!(ended.outcome["end"], "stopped");
        assert_eq!(ended.outcome["signal"], format!("SIG{signal}"));
        assert_eq!(ended.outcome["exit_code"], code);
    }
}

#[test]
fn a_guest_that_listens_ends_by_itself() {
    require_kvm!();
    let guest = Guest::new("polite", &guests::polite(), "[limits]\ngrace = \"1h\"");
    let ended = guest.start(&[]).line("up").signal("INT").line("told").end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(7), ""));
    assert_eq!(ended.outcome["end"], "exit");
    assert_eq!(ended.outcome["signal"], "SIGINT");
}

#[test]
fn a_guest_that_listens_and_stays_is_stopped_after_its_grace() {
    require_kvm!();
    let guest = Guest::new("grace", &guests::stubborn(), "[limits]\ngrace = \"100ms\"");
    let ended = guest
        .start(&[])
        .line("up")
        .signal("TERM")
        .line("told")
        .end();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert_eq!(ended.outcome["signal"], "SIGTERM");
}

#[test]
fn a_second_signal_cuts_the_grace_short() {
    require_kvm!();
    let guest = Guest::new("second", &guests::stubborn(), "[limits]\ngrace = \"1h\"");
    let running = guest.start(&[]).line("up").signal("INT").line("told");
    let ended = running.signal("TERM").end();
    assert_eq!(ended.code, Some(130), "the first one says why: {ended:?}");
    assert_eq!(ended.err, "trapless: stopped by SIGINT\n");
}

#[test]
fn a_second_hang_up_leaves_the_guest_its_grace() {
    require_kvm!();
    let guest = Guest::new("hung-up", &guests::stubborn(), "[limits]\ngrace = \"1h\"");
    let running = guest.start(&[]).line("up").signal("HUP").line("told");
    let mut running = running.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let ended = running.child.try_wait().unwrap();
    assert!(ended.is_none(), "{ended:?}");
    let ended = running.signal("TERM").end();
    assert_eq!(ended.code, Some(129), "the first one says why: {ended:?}");
}

#[test]
fn a_hang_up_that_was_ignored_stays_ignored() {
    require_kvm!();
    let guest = Guest::new("nohup", &guests::polite(), "[limits]\ngrace = \"1h\"");
    // As `nohup` does it, which not every small system has.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    nohup.arg(env!("CARGO_BIN_EXE_trapless"));
    let running = guest.start_by(nohup, &[]).line("up").signal("HUP");
    let ended = running.signal("INT").line("told").end();
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(ended.outcome["signal"], "SIGINT", "the first that came");
}

#[test]
fn a_fault_and_a_panic_have_codes_and_reports() {
    require_kvm!();
    let ended = Guest::new("fault", &guests::fault(), "").run(&[]);
    assert_eq!(ended.code, Some(120), "{ended:?}");
    assert!(ended.err.contains("fault"), "{}", ended.err);
    assert_eq!(ended.outcome["end"], "fault");
    let vector = hypercall_abi::fault::vector::INVALID_OPCODE;
    let fault = json!({"kind": "exception", "vector": vector, "code": 0, "address": null});
    assert_eq!(ended.outcome["fault"], fault);

    let ended = Guest::new("panic", &guests::panic(), "").run(&[]);
    assert_eq!(ended.code, Some(101), "{ended:?}");
    assert!(ended.err.contains("panic"), "{}", ended.err);
    assert_eq!(ended.outcome["end"], "panic");
}

#[test]
fn a_new_crate_runs_at_once() {
    require_kvm!();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let guest = scratch.join("fresh");
    let _ = fs::remove_dir_all(&guest);
    let new = Command::new(env!("CARGO_BIN_EXE_trapless"))
        .args(["new", "fresh"])
        .current_dir(scratch)
        .status()
        .unwrap();
    assert!(new.success());

    // With this workspace's lock file and target directory its dependencies are there already.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::copy(workspace.join("Cargo.lock"), guest.join("Cargo.lock")).unwrap();
    let cargo = |verb| {
        let output = Command::new(env!("CARGO"))
            .args([verb, "--offline"])
            .current_dir(&guest)
            .env("CARGO_TARGET_DIR", scratch.parent().unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "cargo {verb}: {err}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(cargo("run"), "Hello from fresh, 5 letters long.\n");
    let tested = cargo("test");
    for test in ["punctuation_is_no_letter", "the_heap_grows", "time_passes"] {
        assert!(tested.contains(&format!("{test} ... ok\n")), "{tested}");
    }
}
