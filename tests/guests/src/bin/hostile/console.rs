//! The console: what goes in and out of it.

use hypercall_abi::Status;
use hypercall_abi::call::{self as number, MAX_TRANSFER, STREAM_OUTPUT};
use hypercall_abi::vcpu::event;
use test_guests::{answers, arg_number, call, check, fail, say};

/// Prints bytes that are not UTF-8, zeros among them.
pub fn not_utf8() {
    static BYTES: [u8; 8] = [0xff, 0xfe, 0, 0xc0, 0x80, 0xed, 0xa0, 0x80];
    let answer = call(
        number::CONSOLE_WRITE,
        &[STREAM_OUTPUT, BYTES.as_ptr() as u64, 8],
    );
    check!(answer.result == 8, "wrote {} of 8", answer.result);
}

/// Writes as many blocks of 64 KiB as the second argument says; endlessly for 0.
pub fn flood() {
    static BLOCK: [u8; MAX_TRANSFER as usize] = [b'.'; MAX_TRANSFER as usize];
    let block_at = BLOCK.as_ptr() as u64;
    let mut block = 0;
    while arg_number(2) == 0 || block < arg_number(2) {
        let mut done = 0;
        while done < MAX_TRANSFER {
            let left = MAX_TRANSFER - done;
            let answer = call(
                number::CONSOLE_WRITE,
                &[STREAM_OUTPUT, block_at + done, left],
            );
            let wrote = answers!(answer, OK, "console_write").result;
            check!((1..=left).contains(&wrote), "wrote {wrote} of {left}");
            done += wrote;
        }
        block += 1;
    }
}

/// Prints what it reads, until the end.
pub fn read() {
    static mut BUFFER: [u8; 256] = [0; 256];
    let at = &raw mut BUFFER as u64;
    say(format_args!("reading"));
    loop {
        let answer = call(number::CONSOLE_READ, &[at, 256]);
        match answer.status {
            Status::OK if answer.result == 0 => break,
            Status::OK => {
                let wrote = call(number::CONSOLE_WRITE, &[STREAM_OUTPUT, at, answer.result]);
                check!(
                    wrote.result == answer.result,
                    "wrote {} bytes",
                    wrote.result
                );
            }
            Status::AGAIN => {
                let wait = call(number::WAIT, &[event::CONSOLE_INPUT, u64::MAX]);
                answers!(wait, OK, "wait");
                check!(
                    wait.result == event::CONSOLE_INPUT,
                    "woken by {:#x}",
                    wait.result
                );
                test_guests::vcpu::clear(event::CONSOLE_INPUT);
            }
            status => fail(format_args!("console_read answered {status:?}")),
        }
    }
    say(format_args!("end of input"));
}
