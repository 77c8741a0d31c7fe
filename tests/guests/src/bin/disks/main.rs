//! Guests that use disks: through the SDK, and with rings written by hand. The first argument chooses the case; `tests/it/block` says how each must end.
//! Sector k of the image consists of bytes k, as far as a byte goes.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod broken;
mod failing;
mod hand;
mod load;
mod odd;
mod use_it;

use hypercall_abi::device::kind;
use hypercall_abi::note::Note;

guest_sdk::entry!(main, Note::DEFAULT.needs(kind::BLOCK));

fn main() {
    match test_guests::arg(1) {
        "basics" => use_it::basics(),
        "buffers" => use_it::buffers(),
        "tasks" => use_it::tasks(),
        "cursor" => use_it::cursor(),
        "read-only" => use_it::read_only(),
        "every-vcpu" => use_it::every_vcpu(),
        "trapped" => use_it::trapped(),
        "truncated" => use_it::truncated(),
        "refusing" => use_it::refusing(),
        "full" => failing::full(),
        "flush" => failing::flush(),
        "reads" => load::reads(),
        "deep" => load::deep(),
        "broken" => broken::broken(),
        "changing" => broken::changing(),
        "odd" => odd::odd(),
        "read-only-by-hand" => odd::read_only(),
        "reset" => odd::reset(),
        other => test_guests::fail(format_args!("no case is called {other:?}")),
    }
    test_guests::exit(0)
}
