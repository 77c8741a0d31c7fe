//! Guests of a few instructions, put together by hand so that nothing but the call is measured.

use hypercall_abi::note::{Note, NoteSection};
use hypercall_abi::{call, map};
use zerocopy::IntoBytes;

const BASE: u64 = 0x20_0000;
const HEADERS: usize = 64 + 2 * 56;

/// An ELF image whose one segment holds the headers, the note and the code.
pub fn elf(code: &[u8]) -> Vec<u8> {
    noted(Note::DEFAULT, code)
}

/// As [`elf`], with a note of its own.
pub fn noted(note: Note, code: &[u8]) -> Vec<u8> {
    let note = NoteSection::new(note);
    let note = note.as_bytes();
    let entry = HEADERS + note.len();
    let total = (entry + code.len()) as u64;
    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes()); // executable, x86-64
    }
    file.extend(1_u32.to_le_bytes());
    for word in [BASE + entry as u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut program_header = |kind: u32, flags: u32, offset: u64, size: u64| {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, BASE + offset, BASE + offset, size, size, 4] {
            file.extend(word.to_le_bytes());
        }
    };
    program_header(1, 5, 0, total);
    program_header(4, 4, HEADERS as u64, note.len() as u64);
    assert_eq!(file.len(), HEADERS);
    file.extend(note);
    file.extend(code);
    file
}

/// `mov ebx, count; 1: mov eax, NULL; call gate; dec ebx; jnz 1b; exit(0)`.
pub fn calls(count: u32) -> Vec<u8> {
    let mut code = vec![0xbb];
    code.extend(count.to_le_bytes());
    let top = code.len();
    code.extend(make(call::NULL));
    code.extend([0xff, 0xcb, 0x75]);
    let back = top as i64 - (code.len() as i64 + 1);
    code.push(i8::try_from(back).expect("a short loop") as u8);
    code.extend(exit());
    code
}

/// Prints a line and exits.
pub fn hello() -> Vec<u8> {
    const LINE: &[u8] = b"hello\n";
    // lea rsi, [rip + line]; mov edi, 1; mov edx, len
    let rest = [
        vec![0xbf, 1, 0, 0, 0, 0xba, LINE.len() as u8, 0, 0, 0],
        make(call::CONSOLE_WRITE),
        exit(),
    ];
    let rest = rest.concat();
    let mut code = vec![0x48, 0x8d, 0x35];
    code.extend((rest.len() as u32).to_le_bytes());
    code.extend(rest);
    code.extend(LINE);
    code
}

/// Waits for ever.
pub fn wait() -> Vec<u8> {
    // xor edi, edi; mov rsi, -1
    [
        vec![0x31, 0xff, 0x48, 0xc7, 0xc6, 0xff, 0xff, 0xff, 0xff],
        make(call::WAIT),
        exit(),
    ]
    .concat()
}

fn exit() -> Vec<u8> {
    let mut code = vec![0x31, 0xff]; // xor edi, edi
    code.extend(make(call::EXIT));
    code
}

/// `mov eax, number; mov r11d, gate; call r11`.
fn make(number: u32) -> Vec<u8> {
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes());
    code.extend([0x41, 0xbb]);
    code.extend((map::HYPERCALL_PAGE as u32).to_le_bytes());
    code.extend([0x41, 0xff, 0xd3]);
    code
}
