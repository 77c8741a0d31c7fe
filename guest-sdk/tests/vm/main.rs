//! What needs a VM: each function is run in one of its own, with four vCPUs.
#![no_std]
#![no_main]

extern crate alloc;

mod devices;
mod events;
mod faults;
mod memory;
mod sync;
mod tasks;
mod threads;
mod transports;

guest_sdk::executor!();
guest_sdk::test_main!(
    devices::a_device_is_found_and_taken_once,
    devices::requests_in_flight_are_all_answered,
    devices::a_queue_serves_tasks,
    devices::the_executor_looks_at_queues,
    devices::a_queue_is_reset_with_requests_in_flight,
    devices::a_refused_setup_gives_the_device_back,
    devices::the_driver_of_random_numbers_fills_buffers,
    events::a_notification_crosses_vcpus,
    events::a_deadline_ends_a_wait,
    faults::a_breakpoint_is_survived,
    faults::the_frame_can_be_edited,
    faults::vector_registers_survive,
    faults::each_thread_has_its_own_handler,
    memory::the_heap_serves_every_thread,
    memory::an_allocation_too_large_fails,
    memory::a_page_can_be_taken_away_and_come_back,
    memory::a_page_can_be_made_read_only,
    memory::one_frame_can_be_mapped_twice,
    memory::random_bytes_differ,
    sync::a_mutex_counts,
    sync::a_channel_loses_nothing,
    sync::a_condvar_takes_turns,
    sync::a_lazy_value_is_made_once,
    tasks::every_timer_fires_and_none_early,
    tasks::tasks_of_a_vcpu_take_turns,
    tasks::tasks_wake_each_other_across_vcpus,
    tasks::events_reach_their_tasks,
    tasks::blocking_and_awaiting_threads_mix,
    tasks::a_deadline_is_kept_beside_busy_tasks,
    threads::a_vcpu_is_used_again,
    threads::too_many_are_refused,
    threads::scoped_threads_borrow,
    threads::parking_alternates,
    transports::dense_calls_are_all_answered,
    transports::a_line_answers_as_the_gate_does,
    transports::lines_of_many_vcpus_do_not_mix,
    transports::a_line_carries_no_trap_calls,
    transports::a_batch_answers_each_command,
    transports::a_batch_is_used_many_times,
    transports::a_stopping_batch_stops,
    transports::one_batch_at_a_time,
    transports::a_started_batch_is_served_meanwhile,
);
