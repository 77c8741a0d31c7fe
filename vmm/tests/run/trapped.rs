//! Guests that trap where others call: what they come to, and what those get that may not.

use super::{Ended, Guest, fs, guests, image};
use hypercall_abi::note::Note;
use hypercall_abi::version::feature;
use std::mem::offset_of;
use std::process::Command;

const ON: &str = "[machine]\ntrapped = true\n";

fn run(name: &str, code: &[u8], config: &str, args: &[&str]) -> Ended {
    Guest::new(&format!("trapped-{name}"), code, config).run(args)
}

/// Sends each byte when the serial port's line status says that it may.
fn send(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| {
            [
                0x66, 0xba, 0xfd, 0x03, // mov dx, 0x3fd
                0xec, 0xa8, 0x20, 0x74, 0xfb, // in al, dx; test al, 0x20; jz to the in
                0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
                0xb0, *byte, 0xee, // mov al, byte; out dx, al
            ]
        })
        .collect()
}

#[test]
fn the_serial_port_and_the_call_print_the_same() {
    require_kvm!();
    let code = [send(b"hello\n"), guests::exit(0)].concat();
    let trapped = run("uart", &code, ON, &[]);
    assert_eq!(trapped.code, Some(0), "{trapped:?}");
    let called = run("call", &image::hello(), ON, &[]);
    assert_eq!(trapped.out, called.out);
    assert_eq!(trapped.outcome["exits"]["port"], 12);
    assert_eq!(trapped.outcome["exits"]["total"], 13);
    assert_eq!(called.outcome["exits"]["total"], 2);
}

#[test]
fn without_the_trapped_side_ports_and_instructions_fault() {
    require_kvm!();
    let rdmsr = [&[0xb9, 0x10, 0, 0, 0, 0x0f, 0x32], &guests::exit(0)[..]].concat();
    for code in [send(b"x"), rdmsr.clone(), vec![0xf4]] {
        let ended = run("off", &code, "", &[]);
        assert_eq!(ended.code, Some(120), "{ended:?}");
        assert_eq!(ended.outcome["exits"]["emulated"], 0);
    }
    let ended = run("on", &rdmsr, ON, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.outcome["exits"]["emulated"], 1);
    assert_eq!(ended.outcome["exits"]["exception"], 0);
}

#[test]
fn a_halt_that_nothing_can_end_is_a_fault() {
    require_kvm!();
    let ended = run("halt", &[0xf4], ON, &[]);
    assert_eq!(ended.code, Some(120), "{ended:?}");
    let sentence = "hlt with interrupts off: nothing would ever wake this vCPU; sti comes first";
    assert!(ended.err.contains(sentence), "{}", ended.err);
}

#[test]
fn a_halted_guest_can_be_stopped() {
    require_kvm!();
    let sti_hlt = [0xfb, 0xf4];
    let ended = run("stop", &sti_hlt, ON, &["--time", "100ms"]);
    assert_eq!(ended.code, Some(124), "{ended:?}");
}

#[test]
fn a_wide_access_to_a_device_is_a_fault() {
    require_kvm!();
    let out = [0x66, 0xba, 0xf8, 0x03, 0x66, 0xef]; // mov dx, 0x3f8; out dx, ax
    let ended = run("wide", &out, ON, &[]);
    assert_eq!(ended.code, Some(120), "{ended:?}");
    let sentence = "a 2-byte write to port 0x3f8, whose device has registers of one byte";
    assert!(ended.err.contains(sentence), "{}", ended.err);
}

#[test]
fn a_root_outside_memory_is_the_guests_exception() {
    require_kvm!();
    let load = [0x31, 0xc0, 0x48, 0xff, 0xc8, 0x0f, 0x22, 0xd8]; // rax = -1; mov cr3, rax
    let ended = run("root", &load, ON, &[]);
    assert_eq!(ended.code, Some(120), "{ended:?}");
    assert!(ended.err.contains("`mov cr3, rax`"), "{}", ended.err);
}

#[test]
fn an_image_that_needs_it_is_refused_without_it() {
    require_kvm!();
    let mut elf = image::elf(&guests::exit(0));
    let owner = elf.windows(8).position(|bytes| bytes == b"Trapless");
    let features = owner.unwrap() + 12 + offset_of!(Note, features);
    elf[features] |= feature::TRAPPED as u8;
    let with = Guest::new("trapped-note", &[], ON);
    fs::write(with.directory.join("guest.elf"), &elf).unwrap();
    assert_eq!(with.run(&[]).code, Some(0));
    let without = Guest::new("trapped-note", &[], "");
    fs::write(without.directory.join("guest.elf"), &elf).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trapless"))
        .args(["run", "vm.toml"])
        .current_dir(&without.directory)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let sentence = "it needs ABI features 0x8, which this VM does not offer; machine.trapped = true offers one";
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(sentence), "{said}");
}
