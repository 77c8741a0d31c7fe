//! One function for each call: slices and integers in, a `Result` out.
//!
//! Owns the argument lists and what to do with [`AGAIN`](Status::AGAIN). These functions need nothing else of
//! this crate: a kernel with its own heap, scheduler and console may use them alone. What a call does and which statuses it
//! answers is said once, in [`abi::call`](hypercall_abi::call).
//!
//! ```
//! use guest_sdk::calls;
//! calls::console_write(calls::STREAM_OUTPUT, b"written with one call\n")?;
//! # Ok::<(), guest_sdk::abi::Status>(())
//! ```

use crate::gate::{self, Answer};
use crate::line;
use crate::stopwatch;
use hypercall_abi::device::QueueSetup;
use hypercall_abi::fault::{FaultFrame, PanicInfo};
use hypercall_abi::status::Again;
use hypercall_abi::{Status, call};

pub use hypercall_abi::call::{STREAM_ERROR, STREAM_OUTPUT};

/// No deadline.
pub const FOREVER: u64 = u64::MAX;

/// Makes a call by whatever carries it best now, and repeats it for as long as the host asks to.
///
/// # Safety
/// As [`gate::call`], of a call that any transport may carry.
unsafe fn complete(number: u32, args: [u64; 6]) -> Result<u64, Status> {
    // SAFETY: the caller's promise.
    let answer = unsafe { line::call(number, args) };
    // SAFETY: the caller's promise, which also holds for a repetition.
    unsafe { settle(answer, number, args) }
}

/// Makes a call that acts on this vCPU through the gate, and repeats it for as long as the host asks to.
///
/// # Safety
/// As [`gate::call`].
unsafe fn trap(number: u32, args: [u64; 6]) -> Result<u64, Status> {
    // SAFETY: the caller's promise.
    let answer = unsafe { stopwatch::gate(number, 0, args) };
    // SAFETY: the caller's promise, which also holds for a repetition.
    unsafe { settle(answer, number, args) }
}

/// Repeats a call, through the gate and with the host's token, until the answer is not AGAIN.
///
/// # Safety
/// As [`gate::call`].
unsafe fn settle(mut answer: Answer, number: u32, args: [u64; 6]) -> Result<u64, Status> {
    loop {
        match answer.status {
            Status::OK => return Ok(answer.result),
            Status::AGAIN => {
                let again = Again::from_result(answer.result);
                pause(again.hint_ns);
                // SAFETY: the caller's promise.
                answer = unsafe { gate::call(number, again.token, args) };
            }
            refused => return Err(refused),
        }
    }
}

/// Lets about `ns` nanoseconds pass.
fn pause(ns: u32) {
    if ns == 0 {
        core::hint::spin_loop();
    } else {
        let deadline = crate::time::now_ns().saturating_add(ns.into());
        // SAFETY: WAIT takes a mask and a deadline. Its answer does not matter: the call is repeated after it.
        let _ = unsafe { gate::call(call::WAIT, 0, [0, deadline, 0, 0, 0, 0]) };
    }
}

/// A call's answer where AGAIN is one that the caller acts on.
fn plain(answer: Answer) -> Result<u64, Status> {
    match answer.status {
        Status::OK => Ok(answer.result),
        refused => Err(refused),
    }
}

fn address<T: ?Sized>(object: *const T) -> u64 {
    object.cast::<u8>() as u64
}

/// Does nothing: what a call costs.
pub fn null() -> Result<(), Status> {
    // SAFETY: no arguments, no effect.
    unsafe { complete(call::NULL, [0; 6]) }.map(drop)
}

/// Ends the VM with an exit code.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: an integer argument; the call ends this program.
        let _ = unsafe { gate::call(call::EXIT, 0, [code.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Ends the VM with a report of a panic.
pub fn panic(info: &PanicInfo) -> ! {
    loop {
        // SAFETY: the host copies the struct and what it points at, and does not come back.
        let _ = unsafe { gate::call(call::PANIC, 0, [address(info), 0, 0, 0, 0, 0]) };
    }
}

/// Says which optional features will be used, and returns those now in force.
///
/// # Errors
/// [`Status::UNSUPPORTED`] where the host does not offer one of them; nothing changes then.
pub fn features(bits: u64) -> Result<u64, Status> {
    // SAFETY: an integer argument.
    unsafe { complete(call::FEATURES, [bits, 0, 0, 0, 0, 0]) }
}

/// Writes to a console stream and returns how many bytes were taken, which may be fewer than there are.
pub fn console_write(stream: u64, bytes: &[u8]) -> Result<usize, Status> {
    let args = [stream, address(bytes), bytes.len() as u64, 0, 0, 0];
    // SAFETY: the host only reads the slice, which is borrowed until the call returns.
    unsafe { complete(call::CONSOLE_WRITE, args) }.map(|done| done as usize)
}

/// Reads from the console without blocking, and returns how many bytes came: 0 at the end of input.
///
/// # Errors
/// [`Status::AGAIN`] where there is no input yet: wait for [`CONSOLE_INPUT`](hypercall_abi::vcpu::event::CONSOLE_INPUT).
pub fn console_read(buffer: &mut [u8]) -> Result<usize, Status> {
    let args = [address(buffer), buffer.len() as u64, 0, 0, 0, 0];
    // SAFETY: the host writes at most the slice, which is borrowed exclusively until the call returns; any byte is a `u8`.
    plain(unsafe { line::call(call::CONSOLE_READ, args) })
        .map(|done| (done as usize).min(buffer.len()))
}

/// Blocks until one of the events in `mask` is pending on this vCPU and returns those that are; they stay pending.
/// The deadline is in guest nanoseconds, [`FOREVER`] for none.
///
/// # Errors
/// [`Status::TIMED_OUT`] after the deadline.
pub fn wait(mask: u64, deadline_ns: u64) -> Result<u64, Status> {
    // SAFETY: integer arguments.
    plain(unsafe { stopwatch::gate(call::WAIT, 0, [mask, deadline_ns, 0, 0, 0, 0]) })
}

/// Raises events on a vCPU and wakes it if it waits.
pub fn notify(vcpu: u32, events: u64) -> Result<(), Status> {
    // SAFETY: integer arguments.
    unsafe { complete(call::NOTIFY, [vcpu.into(), events, 0, 0, 0, 0]) }.map(drop)
}

/// Starts a stopped vCPU.
///
/// # Safety
/// `stack` must be the 16-byte aligned top of a stack that is nobody else's until that vCPU has
/// stopped, `entry` must accept `argument`, and both must be fit to run at the same time as this vCPU.
pub unsafe fn vcpu_start(
    vcpu: u32,
    entry: extern "C" fn(u64) -> !,
    stack: u64,
    argument: u64,
) -> Result<(), Status> {
    let args = [
        vcpu.into(),
        entry as *const () as u64,
        stack,
        argument,
        0,
        0,
    ];
    // SAFETY: the caller's promise.
    unsafe { trap(call::VCPU_START, args) }.map(drop)
}

/// Stops this vCPU. The host writes 1 to `done` when its stack is free again. Returns only if it was refused.
///
/// # Safety
/// Nothing that lives on this stack may be used afterwards; `done` must be valid for as long as the VM runs.
pub unsafe fn vcpu_stop(done: *const core::sync::atomic::AtomicU32) -> Status {
    // SAFETY: the caller's promise.
    unsafe { gate::call(call::VCPU_STOP, 0, [address(done), 0, 0, 0, 0, 0]) }.status
}

/// Makes every vCPU forget its cached address translations.
pub fn mmu_flush() -> Result<(), Status> {
    // SAFETY: no arguments; what changed in the page tables is the business of whoever changed it.
    unsafe { trap(call::MMU_FLUSH, [0; 6]) }.map(drop)
}

/// Fills a buffer of at most [`MAX_TRANSFER`](call::MAX_TRANSFER) bytes with cryptographically secure random bytes.
pub fn random(buffer: &mut [u8]) -> Result<(), Status> {
    let args = [address(buffer), buffer.len() as u64, 0, 0, 0, 0];
    // SAFETY: the host writes exactly the slice, which is borrowed exclusively until the call returns.
    unsafe { complete(call::RANDOM, args) }.map(drop)
}

/// Registers the batch ring that this vCPU's page describes, or takes it back where that has 0 entries.
///
/// # Safety
/// The entries must stay valid, and nobody else's, until they are taken back or replaced.
pub unsafe fn batch_setup() -> Result<(), Status> {
    // SAFETY: the caller's promise.
    unsafe { trap(call::BATCH_SETUP, [0; 6]) }.map(drop)
}

/// Registers this vCPU's fault handler: its entry (0: none) and the 16-byte aligned top of the stack it runs on.
///
/// # Safety
/// `entry` must be code that expects a fault frame's address in `rdi` and leaves with [`fault_return`],
/// and the stack must be nobody else's for as long as it is registered.
pub unsafe fn fault_handler(entry: u64, stack: u64) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    unsafe { trap(call::FAULT_HANDLER, [entry, stack, 0, 0, 0, 0]) }.map(drop)
}

/// Leaves a fault handler. Returns only if it was refused.
///
/// # Safety
/// The frame must describe a state in which this vCPU can go on.
pub unsafe fn fault_return(frame: *const FaultFrame) -> Status {
    // SAFETY: the caller's promise.
    unsafe { gate::call(call::FAULT_RETURN, 0, [address(frame), 0, 0, 0, 0, 0]) }.status
}

/// Returns a device to where it was at boot. Afterwards the host touches none of its queues and buffers.
pub fn device_reset(device: u32) -> Result<(), Status> {
    // SAFETY: an integer argument. The host lets go of memory and takes none.
    unsafe { trap(call::DEVICE_RESET, [device.into(), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Says which of a device's features its driver uses, and returns those now in force.
///
/// # Errors
/// [`Status::UNSUPPORTED`] where the device does not offer one of them, or a mandatory one is missing.
pub fn device_features(device: u32, bits: u64) -> Result<u64, Status> {
    // SAFETY: integer arguments.
    unsafe { trap(call::DEVICE_FEATURES, [device.into(), bits, 0, 0, 0, 0]) }
}

/// Sets up one of a device's queues.
///
/// # Safety
/// The memory that `setup` names, and every buffer whose address is written there, must be the device's for as long as the queue
/// is set up: until [`device_reset`] answers.
pub unsafe fn queue_setup(device: u32, setup: &QueueSetup) -> Result<(), Status> {
    let args = [device.into(), address(setup), 0, 0, 0, 0];
    // SAFETY: the host copies the struct before it answers; what it names is the caller's promise.
    unsafe { trap(call::QUEUE_SETUP, args) }.map(drop)
}

/// Starts a device: it serves the queues that were set up.
pub fn device_start(device: u32) -> Result<(), Status> {
    // SAFETY: an integer argument; whoever set the queues up has promised that their memory is the device's.
    unsafe { trap(call::DEVICE_START, [device.into(), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Rings a doorbell with a call. [`doorbell::ring`](crate::doorbell::ring) knows the cheaper way.
///
/// # Errors
/// [`Status::NOT_FOUND`].
pub fn doorbell(number: u32) -> Result<(), Status> {
    // SAFETY: an integer argument. Whom it wakes only looks at what was promised to be his.
    unsafe { complete(call::DOORBELL, [number.into(), 0, 0, 0, 0, 0]) }.map(drop)
}
