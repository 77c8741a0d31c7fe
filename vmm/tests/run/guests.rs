//! Guests of a few instructions that end, or do not, in each way there is.

use hypercall_abi::vcpu::{Events, VcpuPage, event};
use hypercall_abi::{boot::BootPage, call, map};
use std::mem::offset_of;

/// `exit(code)`.
pub fn exit(code: u8) -> Vec<u8> {
    [vec![0xbf, code, 0, 0, 0], make(call::EXIT)].concat()
}

/// `exit(how many arguments there are)`.
pub fn exit_with_argument_count() -> Vec<u8> {
    // mov edi, [rdi + args_count]
    let load = [&[0x8b, 0xbf][..], &word(offset_of!(BootPage, args_count))].concat();
    [load, make(call::EXIT)].concat()
}

/// Prints `up` and spins.
pub fn spin() -> Vec<u8> {
    [print(b"up\n"), forever()].concat()
}

/// Subscribes to the shutdown event, prints `up`, waits for the event, prints `told` and exits with 7.
pub fn polite() -> Vec<u8> {
    [
        subscribe(),
        print(b"up\n"),
        wait_for_shutdown(),
        print(b"told\n"),
        exit(7),
    ]
    .concat()
}

/// As [`polite`], but spins instead of exiting.
pub fn stubborn() -> Vec<u8> {
    [
        subscribe(),
        print(b"up\n"),
        wait_for_shutdown(),
        print(b"told\n"),
        forever(),
    ]
    .concat()
}

/// `ud2`.
pub fn fault() -> Vec<u8> {
    vec![0x0f, 0x0b]
}

/// `panic(null)`, which nothing can be read from.
pub fn panic() -> Vec<u8> {
    [vec![0x31, 0xff], make(call::PANIC)].concat()
}

/// `jmp` to itself.
fn forever() -> Vec<u8> {
    vec![0xeb, 0xfe]
}

/// Writes up to eight bytes to the console.
fn print(text: &[u8]) -> Vec<u8> {
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text);
    let length = u8::try_from(text.len()).unwrap();
    let before = [
        // mov rax, text; push rax; mov rsi, rsp; mov edx, length; mov edi, output
        &[0x48, 0xb8][..],
        &bytes,
        &[0x50, 0x48, 0x89, 0xe6, 0xba, length, 0, 0, 0],
        &[0xbf, 1, 0, 0, 0],
    ];
    // pop rax
    [before.concat(), make(call::CONSOLE_WRITE), vec![0x58]].concat()
}

/// `mov qword ptr gs:[subscribed], SHUTDOWN`.
fn subscribe() -> Vec<u8> {
    let subscribed = offset_of!(VcpuPage, events) + offset_of!(Events, subscribed);
    let bits = (event::SHUTDOWN as u32).to_le_bytes();
    [
        &[0x65, 0x48, 0xc7, 0x04, 0x25][..],
        &word(subscribed),
        &bits,
    ]
    .concat()
}

/// `wait(SHUTDOWN, for ever)`.
fn wait_for_shutdown() -> Vec<u8> {
    // mov edi, SHUTDOWN; mov rsi, -1
    let bits = (event::SHUTDOWN as u32).to_le_bytes();
    let mask = [&[0xbf][..], &bits].concat();
    [
        mask,
        vec![0x48, 0xc7, 0xc6, 0xff, 0xff, 0xff, 0xff],
        make(call::WAIT),
    ]
    .concat()
}

/// `mov eax, number; mov r11d, gate; call r11`.
fn make(number: u32) -> Vec<u8> {
    let gate = (map::HYPERCALL_PAGE as u32).to_le_bytes();
    [
        &[0xb8][..],
        &number.to_le_bytes(),
        &[0x41, 0xbb],
        &gate,
        &[0x41, 0xff, 0xd3],
    ]
    .concat()
}

fn word(offset: usize) -> [u8; 4] {
    u32::try_from(offset).unwrap().to_le_bytes()
}
