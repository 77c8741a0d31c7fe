//! Guests that do what no guest should. The first argument chooses the case; `tests/it` says how each must end.
#![no_std]
#![cfg_attr(not(test), no_main)]

mod arguments;
mod console;
mod crowd;
mod faults;
mod instructions;
mod overwrite;
mod transports;

use hypercall_abi::call as number;

guest_sdk::entry!(main);

fn main() {
    match test_guests::arg(1) {
        "unknown-calls" => arguments::unknown_calls(),
        "bad-addresses" => arguments::bad_addresses(),
        "bad-lengths" => arguments::bad_lengths(),
        "bad-values" => arguments::bad_values(),
        "panic" => arguments::panic(),
        "denied" => arguments::denied(),
        "registers" => arguments::registers(),
        "null-calls" => arguments::storm(number::NULL, &[]),
        "notify-storm" => arguments::storm(number::NOTIFY, &[0, 1 << 32]),
        "random-storm" => arguments::storm(number::RANDOM, &[arguments::buffer(), 64]),
        "flood" => console::flood(),
        "not-utf8" => console::not_utf8(),
        "read" => console::read(),

        "spin" => crowd::spin(),
        "wait" => crowd::wait(),
        "start-twice" => crowd::start_twice(),
        "start-storm" => crowd::start_storm(),
        "busy-storm" => crowd::busy_storm(),
        "flush-storm" => crowd::flush_storm(),
        "flush-spinners" => crowd::flush_spinners(),
        "start-nowhere" => crowd::start_nowhere(),
        "exit-race" => crowd::exit_race(),
        "shifting-buffer" => crowd::shifting_buffer(),
        "last-stop" => test_guests::vcpu::stop(0),
        "sum" => crowd::sum(),

        "reflect" => faults::reflect(),
        "reflect-simd" => faults::reflect_simd(),
        "reflected-flags" => faults::reflected_flags(),
        "bad-return" => faults::bad_return(),
        "nested" => faults::nested(),
        "fault-storm" => faults::fault_storm(),
        "lost-stack" => faults::lost_stack(),
        "lost-handler-stack" => faults::lost_handler_stack(),

        "instruction" => instructions::one(),
        "gate-port" => instructions::gate_port(),

        "overwrite" => overwrite::page(),
        "scribble" => overwrite::scribble(),
        "beyond" => overwrite::beyond(),

        "scribbled-line" => transports::scribbled_line(),
        "foreign-lines" => transports::foreign_lines(),
        "missing-line" => transports::missing_line(),
        "forged-times" => transports::forged_times(),
        "once-only" => transports::once_only(),
        "keep-awake" => transports::keep_awake(),
        "bad-rings" => transports::bad_rings(),
        "bad-entries" => transports::bad_entries(),
        "self-eating-batch" => transports::self_eating_batch(),

        other => test_guests::fail(format_args!("no case is called {other:?}")),
    }
    test_guests::exit(0)
}
