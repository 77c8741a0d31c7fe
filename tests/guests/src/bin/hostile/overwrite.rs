//! Overwriting what the host put into guest memory, after opening it through the page tables.

use core::arch::asm;
use core::sync::atomic::Ordering::SeqCst;
use hypercall_abi::call as number;
use hypercall_abi::map;
use test_guests::{arg, arg_number, boot, call, fail, memory};

/// Fills the page at argument 2 with the pattern of argument 3, whose length in bytes is argument 4, and then does what
/// argument 5 says. Exit code 4: nothing is mapped there.
pub fn page() {
    let page = arg_number(2);
    let then = arg(5);
    let (pattern, len) = (arg_number(3), arg_number(4));
    if !memory::open(page) {
        test_guests::exit(4);
    }
    memory::fill(page, pattern, len);
    act(then);
}

/// Does what a word says, with everything the host needs for it possibly gone.
fn act(what: &str) {
    match what {
        "call" => {
            for _ in 0..8 {
                call(number::NULL, &[]);
            }
        }
        "flush" => {
            memory::flush();
            call(number::NULL, &[]);
        }
        // SAFETY: an exception and nothing else.
        "fault" => unsafe { asm!("ud2") },
        "wait" => {
            call(number::WAIT, &[u64::MAX, 1_000_000]);
        }
        other => fail(format_args!("nothing is called {other:?}")),
    }
}

/// Writes random words all over the platform area, with calls and exceptions in between. Argument 2 is the seed.
pub fn scribble() {
    let mut random = Random(arg_number(2) | 1);
    let regions = [
        (map::HYPERCALL_PAGE, 0x5000),
        (map::VCPU_PAGES, 0x2000),
        (map::CORNER, 0x8000),
        (map::PAGE_TABLES, 0x4000),
    ];
    let mut page = 0;
    while page < 0x10_0000 {
        memory::open(page);
        page += map::PAGE_SIZE;
    }
    for step in 0..200 {
        let (base, len) = regions[random.below(4) as usize];
        let at = base + (random.below(len) & !7);
        if memory::entry(at).is_some_and(|entry| entry.load(SeqCst) & memory::USER != 0) {
            let word = match random.below(4) {
                0 => 0,
                1 => u64::MAX,
                2 => random.next() & 0xfff,
                _ => random.next(),
            };
            // SAFETY: not sound, and not meant to be: what the host makes of it is the test.
            unsafe { (at as *mut u64).write_volatile(word) };
        }
        match step % 8 {
            3 => act("call"),
            5 => act("flush"),
            7 => act("wait"),
            _ => {}
        }
    }
    act("fault");
}

/// Points a page at physical memory that the VM does not have, at argument 2, and there does what argument 3 says.
pub fn beyond() {
    let page = boot().heap_start.0;
    let Some(entry) = memory::entry(page) else {
        fail(format_args!("no table maps the heap"))
    };
    let flags = memory::PRESENT | memory::WRITABLE | memory::USER;
    // An entry for a large page keeps its size: the address is then rounded down.
    entry.store(arg_number(2) | flags | entry.load(SeqCst) & 0x80, SeqCst);
    memory::flush();
    // SAFETY: not sound, and not meant to be: what the host makes of it is the test.
    unsafe {
        match arg(3) {
            "read" => {
                (page as *const u64).read_volatile();
            }
            "write" => (page as *mut u64).write_volatile(0),
            "execute" => asm!("call {}", in(reg) page, clobber_abi("C")),
            "add" => asm!("lock add qword ptr [{}], 1", in(reg) page),
            "vector" => asm!("movups xmm0, [{}]", in(reg) page, out("xmm0") _),
            "copy" => asm!(
                "rep movsb",
                inout("rsi") page => _, inout("rdi") page + 64 => _, inout("rcx") 256u64 => _
            ),
            other => fail(format_args!("nothing is called {other:?}")),
        }
    }
}

/// A xorshift generator: the same sequence for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
