//! Guests that drive devices by hand, well and badly. The first argument chooses the case; `tests/it` says how each must end.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod doorbell;
mod every;
mod messages;
mod rings;
mod setup;
mod subject;

use hypercall_abi::device::kind;
use hypercall_abi::note::Note;

guest_sdk::entry!(main, Note::DEFAULT.needs(kind::RNG));

fn main() {
    match test_guests::arg(1) {
        "random" => setup::random(),
        "fill" => setup::fill(),
        "order" => setup::order(),
        "again" => setup::again(),
        "nothing-rings" => doorbell::nothing_rings(),
        "messages" => messages::hostile(),
        "every" => every::every(),
        "hostile" => rings::hostile(),
        "reset-in-flight" => rings::reset_in_flight(),
        "flood" => doorbell::flood(),
        other => test_guests::fail(format_args!("no case is called {other:?}")),
    }
    test_guests::exit(0)
}
