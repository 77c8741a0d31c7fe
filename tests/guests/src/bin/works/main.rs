//! A guest that uses what the SDK gives it. The first argument chooses the case; `tests/it/works` says what must come of
//! it. What is wrong is a panic.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod console;
mod fault;
mod memory;
mod threads;
mod time;
mod transports;
mod trapped;

use guest_sdk::{ExitCode, env, shutdown};

guest_sdk::entry!(main);

fn main() -> Result<ExitCode, &'static str> {
    match env::args().nth(1).unwrap_or_default() {
        "hello" => guest_sdk::println!("hello"),
        "arguments" => console::arguments(),
        "lines" => console::lines(),
        "one-long-line" => console::one_long_line(),
        "streams" => console::streams(),
        "log" => console::log(),

        "code" => return Ok(ExitCode(7)),
        "error" => return Err("no luck"),
        "exit-hooks" => exit_hooks(),
        "panic" => panic!("no way: {}", 7),
        "panic-elsewhere" => threads::panic_elsewhere(),
        "asked-to-end" => asked_to_end(),
        "deaf" => deaf(),

        "clock" => time::clock(),
        "time-of-day" => time::time_of_day(),
        "sleep" => time::sleeping(),
        "deadlines" => time::deadlines(),

        "heap" => memory::heap(),
        "heap-exhausted" => memory::exhausted(),
        "random" => memory::random(),
        "map" => memory::map(),
        "protect" => memory::protect(),

        "threads" => threads::sum(),
        "too-many-threads" => threads::too_many(),
        "mutex" => threads::mutex(),
        "channel" => threads::channel(),
        "condvar" => threads::condvar(),
        "short-threads" => threads::short(),

        "null-calls" => transports::null_calls(),
        "batches" => transports::batches(),
        "bursts" => transports::bursts(),
        "trapped-console" => trapped::console(),
        "trapped-clock" => trapped::clock(),
        "trapped-timer" => trapped::timer(),

        "divide" => fault::divide(),
        "null" => fault::null(),
        "jump-null" => fault::jump_null(),
        "write-code" => fault::write_code(),
        "execute-data" => fault::execute_data(),
        "overflow" => fault::overflow(),
        "float" => fault::float(),
        _ => return Err("no case is called so"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Hooks run in the reverse order of their registration.
fn exit_hooks() {
    shutdown::at_exit(|| guest_sdk::println!("last"));
    shutdown::at_exit(|| {
        shutdown::at_exit(|| guest_sdk::println!("second"));
        guest_sdk::print!("first, ");
    });
}

/// Ends with code 3 when the operator asks for it.
fn asked_to_end() {
    shutdown::on_request(|| {
        guest_sdk::println!("asked");
        shutdown::exit(3)
    });
    guest_sdk::println!("ready");
    guest_sdk::time::sleep(guest_sdk::time::Duration::MAX);
}

/// Says that it can be asked to end, and never looks again.
fn deaf() {
    assert!(!shutdown::requested());
    guest_sdk::println!("ready");
    loop {
        core::hint::spin_loop();
    }
}
