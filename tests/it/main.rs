//! Real guests on `/dev/kvm`: what they may rely on, and what the hostile among them get.

mod arguments;
mod block;
mod console;
mod console_ports;
mod devices;
mod fat;
mod faults;
mod idle;
mod images;
mod instructions;
mod kv;
mod mutations;
mod net;
mod overwrite;
mod queues;
mod rings;
mod several;
mod stop;
mod tasks;
mod timing;
mod transports;
mod trapped;
mod vcpus;
mod vsock;
mod works;

/// Starts a hostile guest in a process of its own.
fn alone(vcpus: u32, args: &[&str]) -> trapless_tests::alone::Alone {
    let program = env!("CARGO_BIN_EXE_trapless-test-alone");
    trapless_tests::alone::Alone::start(program, vcpus, "hostile", args)
}
