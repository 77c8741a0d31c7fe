//! A kernel that brings everything itself: entry point, panic handler, heap, console, scheduler. Of the SDK it takes the
//! calls, and nothing of the runtime is linked.
//!
//! `cargo run -p examples --bin kernel`
#![no_std]
#![cfg_attr(not(test), no_main)]

guest_sdk::kernel! {
    extern crate alloc;

    use alloc::{boxed::Box, collections::VecDeque, format};
    use core::alloc::{GlobalAlloc, Layout};
    use core::sync::atomic::{AtomicU64, Ordering};
    use guest_sdk::abi::{boot::BootPage, note::Note};
    use guest_sdk::{calls, time};

    // What the loader is told: this kernel wants a small stack.
    guest_sdk::note!(Note { stack_bytes: 32 * 1024, ..Note::DEFAULT });

    /// A heap that only grows.
    struct Bump {
        next: AtomicU64,
        end: AtomicU64,
    }

    #[global_allocator]
    static HEAP: Bump = Bump { next: AtomicU64::new(0), end: AtomicU64::new(0) };

    // SAFETY: hands out each byte once.
    unsafe impl GlobalAlloc for Bump {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let size = (layout.size() + layout.align()) as u64;
            let start = self.next.fetch_add(size, Ordering::Relaxed);
            let aligned = start.next_multiple_of(layout.align() as u64);
            if start + size > self.end.load(Ordering::Relaxed) {
                return core::ptr::null_mut();
            }
            aligned as *mut u8
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    /// A console without a buffer: one call for each text.
    fn say(text: &str) {
        let _ = calls::console_write(calls::STREAM_OUTPUT, text.as_bytes());
    }

    /// A task runs for a moment and says when it wants to run again, in guest nanoseconds.
    type Task = Box<dyn FnMut() -> Option<u64>>;

    /// Runs the tasks in turn until none wants to run again, and sleeps while none is due.
    fn schedule(mut tasks: VecDeque<(u64, Task)>) {
        while let Some(next) = tasks.iter().map(|(due, _)| *due).min() {
            if next > time::now_ns() {
                let _ = calls::wait(0, next);
            }
            for _ in 0..tasks.len() {
                let Some((due, mut task)) = tasks.pop_front() else { return };
                let again = if due <= time::now_ns() { task() } else { Some(due) };
                tasks.extend(again.map(|due| (due, task)));
            }
        }
    }

    fn ticker(name: &'static str, period_us: u64, mut left: u32) -> Task {
        Box::new(move || {
            say(&format!("{name}: {left} to go\n"));
            left -= 1;
            (left > 0).then(|| time::now_ns() + period_us * 1_000)
        })
    }

    /// The host enters here, with the boot page's address as the argument.
    #[unsafe(no_mangle)]
    extern "C" fn _start(boot: &'static BootPage) -> ! {
        HEAP.next.store(boot.heap_start.0, Ordering::Relaxed);
        HEAP.end.store(boot.heap_end.0, Ordering::Relaxed);
        schedule(VecDeque::from([(0, ticker("slow", 5_000, 2)), (0, ticker("quick", 2_000, 3))]));
        calls::exit(0)
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo) -> ! {
        say("kernel panic\n");
        calls::exit(255)
    }
}
