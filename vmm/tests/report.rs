//! The fault report against a real image: compiled here, by the toolchain that runs the tests.

use hypercall_abi::Status;
use object::{Object, ObjectSection, ObjectSymbol};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use vmm::fault::{CallRecord, Cause, Fault, Panic, Registers};
use vmm::report::{Colour, render_fault, render_panic};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/guest.rs");

/// The guest with line tables.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| compile("with-lines", &["-Cdebuginfo=line-tables-only"]))
}

fn compile(name: &str, more: &[&str]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}"));
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--crate-type=bin",
            "--crate-name=guest",
            "-Copt-level=2",
        ])
        .args([
            "-Cpanic=abort",
            "-Crelocation-model=static",
            "-Cforce-frame-pointers=yes",
        ])
        .arg("-Clink-args=-nostartfiles -nostdlib -static -no-pie")
        .args(
            [
                "rust_eh_personality",
                "_Unwind_Resume",
                "memcpy",
                "memmove",
                "memset",
                "memcmp",
                "bcmp",
            ]
            .map(|symbol| format!("-Clink-arg=-Wl,--defsym={symbol}=0")),
        )
        .args(more)
        .args(["-o".as_ref(), path.as_os_str(), SOURCE.as_ref()])
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// The address and size of the symbol whose name contains `part`.
fn symbol(image: &Path, part: &str) -> (u64, u64) {
    let bytes = std::fs::read(image).expect("the image is there");
    let elf = object::File::parse(&*bytes).expect("the image is an ELF file");
    let found = elf
        .symbols()
        .find(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
    let found = found.unwrap_or_else(|| panic!("no symbol contains {part}"));
    (found.address(), found.size())
}

/// The line of the guest's source that contains `part`, from 1.
fn line(part: &str) -> usize {
    let source = std::fs::read_to_string(SOURCE).expect("the source is there");
    1 + source
        .lines()
        .position(|line| line.contains(part))
        .expect("the line is there")
}

fn fault(vector: u32, code: u32, address: u64, backtrace: &[u64]) -> Fault {
    let rip = backtrace.first().copied().unwrap_or(0);
    Fault {
        vcpu: 0,
        cause: Cause::Exception {
            vector,
            code,
            address,
        },
        registers: Registers {
            rip,
            cr2: address,
            rflags: 0x246,
            ..Registers::default()
        },
        backtrace: backtrace.to_vec(),
        stack: (0x50_0000, 0x54_0000),
        calls: vec![CallRecord {
            number: 0,
            args: [0; 3],
            status: None,
            result: 0,
        }],
    }
}

/// An address of the store in `faults::write`, found as the first one that is in an inlined function.
fn store() -> u64 {
    let (start, size) = symbol(image(), "faults5write");
    (start..start + size)
        .find(|&at| {
            render_fault(&fault(14, 7, 0, &[at]), image(), Colour::Never).contains("(inlined)")
        })
        .expect("some instruction comes from the inlined function")
}

#[test]
fn a_fault_is_shown_where_it_happened() {
    let (start, size) = symbol(image(), "_start");
    let report = render_fault(
        &fault(
            14,
            7,
            0x20_1000,
            &[
                store(),
                start + size - 1,
                0x1234_5678_9abc_def0,
                0x1_0008,
                0,
            ],
        ),
        image(),
        Colour::Never,
    );
    let inlined = line("// the inlined line");
    let inlining = line("// the line that inlines");
    let expected = [
        "fault on vCPU 0: page fault: write to read-only memory at 0x201000\n".to_owned(),
        format!("tests/report/guest.rs:{inlined}:21 in poke\n"),
        format!("{inlined} |         unsafe {{ at.write_volatile(7) }} // the inlined line\n"),
        "   |                     ^\n".to_owned(),
        "poke (inlined)\n".to_owned(),
        "guest::faults::write\n".to_owned(),
        format!("tests/report/guest.rs:{inlining}:9\n"),
        "_start\n".to_owned(),
        "   2  0x123456789abcdef0  no symbol\n".to_owned(),
        "   3  0x00010008  the hypercall page\n".to_owned(),
        "   4  0x00000000  null\n".to_owned(),
        "  flags 0x246 [PF ZF IF]\n".to_owned(),
        "null  0x0 0x0 0x0  does not return\n".to_owned(),
    ];
    for part in expected {
        assert!(report.contains(&part), "no {part:?} in\n{report}");
    }
    let widest = report.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns in\n{report}");
}

#[test]
fn an_instruction_is_named_from_the_image() {
    let (plain, _) = symbol(image(), "plain");
    let report = render_fault(&fault(13, 0, 0, &[plain + 1]), image(), Colour::Never);
    assert!(
        report.contains("privileged instruction `hlt` at ring 3\n"),
        "{report}"
    );
}

#[test]
fn a_panic_is_shown_where_its_author_put_it() {
    let (begin, _) = symbol(image(), "rust_begin_unwind");
    let (check, size) = symbol(image(), "panic_bounds_check");
    let (index, index_size) = symbol(image(), "faults5index");
    let line = line("table[at]");
    let panic = Panic {
        vcpu: 1,
        message: "index out of bounds:\nthe len is 3\x1b[2J".to_owned(),
        location: Some(("report/guest.rs".to_owned(), line as u32, 9)),
        registers: Registers::default(),
        backtrace: vec![begin + 1, check + size, index + index_size],
        calls: Vec::new(),
    };
    let report = render_panic(&panic, image(), Colour::Never);
    let expected = [
        "panic on vCPU 1: index out of bounds:\n  the len is 3\\u{1b}[2J\n".to_owned(),
        format!("tests/report/guest.rs:{line}:9 in guest::faults::index\n"),
        format!("{line} |         table[at]\n"),
        "  core::panicking::panic_bounds_check\n".to_owned(),
        "  guest::faults::index\n".to_owned(),
    ];
    for part in expected {
        assert!(report.contains(&part), "no {part:?} in\n{report}");
    }
}

#[test]
fn recursion_is_counted_not_repeated() {
    let (start, _) = symbol(image(), "_start");
    let report = render_fault(
        &fault(14, 6, 0x4f_fff8, &[start + 8; 64]),
        image(),
        Colour::Never,
    );
    assert!(report.contains("the same 61 more times\n"), "{report}");
    assert!(report.contains("cut after 64 frames\n"), "{report}");
    assert!(report.contains("= hint: recursion without end"), "{report}");
}

#[test]
fn an_image_without_lines_gives_functions_and_offsets() {
    let bare = compile("without-lines", &["-Cstrip=debuginfo"]);
    let (start, _) = symbol(&bare, "_start");
    let report = render_fault(&fault(0, 0, 0, &[start + 4]), &bare, Colour::Never);
    assert!(report.contains("_start + 0x4\n"), "{report}");
    assert!(report.contains("the image has no line tables"), "{report}");

    let stripped = compile("stripped", &["-Cstrip=symbols"]);
    for nothing in [
        stripped.as_path(),
        Path::new("/nowhere/x\x1by"),
        Path::new("/dev/zero"),
        Path::new("/"),
    ] {
        let report = render_fault(&fault(0, 0, 0, &[start]), nothing, Colour::Never);
        assert!(
            report.contains(&format!("{start:#010x}  no symbol\n")),
            "{report}"
        );
        assert!(report.contains("no symbols could be read from"), "{report}");
        assert!(!report.contains('\x1b'), "{report}");
    }
}

#[test]
fn a_damaged_image_gives_a_report_all_the_same() {
    let whole = std::fs::read(image()).expect("the image is there");
    let addresses = [
        store(),
        symbol(image(), "_start").0,
        symbol(image(), "faults5index").0,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    // The headers, and each part of the line tables, as much as all the rest.
    let elf = object::File::parse(&*whole).expect("the image is an ELF file");
    let mut windows = vec![0..whole.len(), 0..4096];
    windows.extend(elf.sections().filter_map(|section| {
        let (start, size) = section.file_range()?;
        let debug = section.name().ok()?.starts_with(".debug") && size != 0;
        debug.then_some(start as usize..(start + size) as usize)
    }));
    assert!(windows.len() > 5, "{windows:?}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-damaged");
    for round in 0..120 {
        let mut bytes = whole.clone();
        let window = &windows[round % windows.len()];
        for _ in 0..1 + random() % 64 {
            bytes[window.start + random() % window.len()] = random() as u8;
        }
        if round % 7 == 0 {
            bytes.truncate(random() % whole.len());
        }
        std::fs::write(&path, &bytes).expect("the damaged image is written");
        let report = render_fault(&fault(14, 7, 0x20_1000, &addresses), &path, Colour::Never);
        assert!(report.contains("page fault: write to"), "round {round}");
        assert!(report.contains("registers"), "round {round}");
    }
}

#[test]
fn colours_only_colour() {
    let plain = render_fault(&fault(14, 7, 0x20_1000, &[store()]), image(), Colour::Never);
    let mut coloured = render_fault(&fault(14, 7, 0x20_1000, &[store()]), image(), Colour::Ansi);
    assert!(!plain.contains('\x1b'));
    while let Some(start) = coloured.find('\x1b') {
        let end = start + coloured[start..].find('m').expect("a colour ends");
        coloured.replace_range(start..=end, "");
    }
    assert_eq!(coloured, plain);
}

/// Values of every kind that a guest might leave behind: any at all, and those near an edge.
fn word() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        1,
        0xffff,
        0x1_0000,
        0x20_0000,
        0x4f_ffff,
        0x50_0000,
        1 << 47,
        u64::MAX - 7,
        u64::MAX,
    ];
    prop_oneof![
        any::<u64>(),
        prop::sample::select(edges.to_vec()),
        0x20_0000..0x20_4000_u64
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_guest_breaks_a_report(
        kind in 0..4,
        numbers in (any::<u32>(), 0..32_u32, any::<u32>()),
        gpr in prop::array::uniform16(word()),
        words in prop::array::uniform5(word()),
        stack in (word(), word()),
        backtrace in prop::collection::vec(word(), 0..70),
        message in any::<String>(),
        file in any::<String>(),
        calls in prop::collection::vec((any::<u32>(), word(), any::<Option<u32>>()), 0..4),
    ) {
        let (code, vector, vcpu) = numbers;
        let [rip, rflags, address, cr3, fs_base] = words;
        let registers = Registers { gpr, rip, rflags, cr2: address, cr3, fs_base, gs_base: 0 };
        let cause = match kind {
            0 => Cause::Exception { vector, code, address },
            1 => Cause::Nested { vector, code, address, first: code },
            2 => Cause::TripleFault,
            _ => Cause::Broken(message.clone()),
        };
        let calls: Vec<_> = calls
            .into_iter()
            .map(|(number, arg, status)| CallRecord {
                number,
                args: [arg; 3],
                status: status.map(Status),
                result: arg,
            })
            .collect();
        let fault = Fault { vcpu, cause, registers, backtrace: backtrace.clone(), stack, calls: calls.clone() };
        let panic =
            Panic { vcpu, message, location: Some((file, code, vector)), registers, backtrace, calls };
        for report in [
            render_fault(&fault, image(), Colour::Never),
            render_panic(&panic, image(), Colour::Never),
        ] {
            prop_assert!(report.ends_with('\n'));
            prop_assert!(!report.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
