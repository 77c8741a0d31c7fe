//! The trapped side and the calls, doing the same work: what both come to must agree. Each function is run in a VM of its own.
//!
//! Nothing here counts on an exit: on a host that grants ring 3 its ports by IOPL, `cli` and `sti` do not leave the guest.
#![no_std]
#![no_main]

extern crate alloc;

mod memory;
mod registers;
mod time;

guest_sdk::test_main!(
    memory::a_page_moves_with_invlpg_as_with_a_call,
    memory::a_page_moves_with_the_root_reloaded,
    registers::it_is_offered,
    registers::both_sides_know_the_machine,
    registers::a_refused_register_is_a_fault_to_handle,
    registers::ports_without_a_device_float,
    time::the_clocks_agree,
    time::the_timer_counts_at_its_rate,
    time::a_timer_wakes_the_halted_and_not_early,
    time::a_device_changed_elsewhere_wakes_the_halted,
);
