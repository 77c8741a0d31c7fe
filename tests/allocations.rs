//! Nothing on the path of a call, or of a disk's, card's, port's or socket's request allocates: a run with twice as many allocates as often.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trapless_tests::{Boot, require_kvm};
use vmm::config::{Backend, PortEnd};

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every request is passed on as it is; counting touches no memory of the allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above; the memory came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Long enough that neither side sleeps while the other one has lost its processor: waking is not what is asked about.
const WINDOW: Duration = Duration::from_millis(50);

/// How often a VM's run allocates.
fn allocations(args: &[&str]) -> u64 {
    during(&Boot::guest("hostile", args), || {})
}

/// How often one with a disk does, that is asked by a backend.
fn with_disk(args: &[&str], backend: Backend) -> u64 {
    let image = tempfile::NamedTempFile::new().expect("a temporary file");
    image.as_file().set_len(256 * 512).expect("room for it");
    let boot = Boot::guest("disks", args).window(WINDOW);
    let boot = boot.disk(image.path(), |disk| disk.backend = backend);
    during(&boot, || {})
}

/// How often one whose guest sends so many bytes on a vsock connection does, or receives them.
fn with_vsock(case: &str, bytes: usize) -> u64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vsock");
    let listener = UnixListener::bind(directory.path().join("vsock_6000")).expect("a socket");
    let boot = Boot::guest("vsock", &[case, &bytes.to_string()]).window(WINDOW);
    during(&boot.vsock(&path), || {
        let (mut stream, _) = listener.accept().expect("the guest");
        match case {
            "source" => skip(&mut stream, bytes),
            _ => stream
                .write_all(&vec![1; bytes])
                .expect("a guest that reads"),
        }
    })
}

/// How often one whose guest sends so many frames does, or receives them.
fn with_card(case: &str, frames: usize) -> u64 {
    const FRAME: usize = 4 + 1514;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("wire");
    let listener = UnixListener::bind(&path).expect("a socket");
    let boot = Boot::guest("net", &[case, &frames.to_string()]).window(WINDOW);
    during(&boot.stream(&path), || {
        let (mut wire, _) = listener.accept().expect("the card");
        match case {
            "flood" => skip(&mut wire, frames * FRAME),
            _ => {
                skip(&mut wire, FRAME);
                let mut bytes = Vec::with_capacity(frames * FRAME);
                for number in 0..frames {
                    add_frame(&mut bytes, number as u32);
                }
                wire.write_all(&bytes).expect("a guest that reads");
                skip(&mut wire, FRAME);
            }
        }
        let mut last = Vec::with_capacity(FRAME);
        add_frame(&mut last, 0);
        wire.write_all(&last).expect("a guest that reads");
    })
}

/// A frame of a kind of its own with a number, after its length, as the guest expects it.
fn add_frame(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(1514_u32.to_be_bytes());
    bytes.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
    bytes.extend(number.to_be_bytes());
    bytes.extend([0x77; 1514 - 18]);
}

/// How often one whose guest sends so many bytes to a port, and receives as many, does.
fn with_port(bytes: usize) -> u64 {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("port");
    let boot = Boot::guest("ports", &["stream", &bytes.to_string()]).window(WINDOW);
    during(&boot.port("stream", PortEnd::Socket(path.clone())), || {
        let mut stream = connected(&path);
        let sent: Vec<u8> = (0..bytes)
            .map(|at| (at ^ at >> 8 ^ at >> 16) as u8)
            .collect();
        std::thread::scope(|scope| {
            let mut writer = &stream;
            scope.spawn(move || writer.write_all(&sent).expect("a guest that reads"));
            let mut reader = &stream;
            skip(&mut reader, bytes);
        });
        // To the end: the guest may have something to take yet.
        let _ = stream.read(&mut [0]);
    })
}

fn connected(path: &Path) -> UnixStream {
    UnixStream::connect(path).expect("the VMM listens from the VM's making on")
}

/// Reads so many bytes.
fn skip(from: &mut impl Read, bytes: usize) {
    let mut room = [0; 32 << 10];
    let mut rest = bytes;
    while rest > 0 {
        let most = rest.min(room.len());
        match from.read(&mut room[..most]).expect("a guest that writes") {
            0 => panic!("{rest} of {bytes} bytes too few"),
            read => rest -= read,
        }
    }
}

/// How often a VM's run allocates, with what a program of the host's does meanwhile.
fn during(boot: &Boot, host: impl FnOnce() + Send) -> u64 {
    let (vm, _console) = boot.vm();
    let before = ASKED.load(Ordering::SeqCst);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(host);
        vm.run().expect("the host can run it")
    });
    let after = ASKED.load(Ordering::SeqCst);
    assert!(
        matches!(outcome.end, vmm::End::Exit(0)),
        "{:?}",
        outcome.end
    );
    after - before
}

/// Asserts that a run with twice as much allocates as often. The poller's thread and others that start and end at other moments make a few more or less.
fn alike(what: &str, once: u64, twice: u64) {
    let more = once.abs_diff(twice);
    assert!(
        more < 50,
        "{what}: {once} times, and {twice} for twice as much"
    );
}

// One test: the harness itself allocates while several run.
#[test]
fn calls_and_requests_do_not_allocate() {
    require_kvm!();
    allocations(&["null-calls", "5000"]);
    for case in ["null-calls", "fault-storm", "notify-storm", "random-storm"] {
        let (once, twice) = (allocations(&[case, "5000"]), allocations(&[case, "10000"]));
        alike(case, once, twice);
    }
    let (once, twice) = (allocations(&["flood", "10"]), allocations(&["flood", "20"]));
    assert_eq!(once, twice, "flood: allocations of 10 blocks and of 20");
    for backend in [Backend::Plain, Backend::IoUring] {
        for case in ["reads", "deep"] {
            let (once, twice) = (
                with_disk(&[case, "5000"], backend),
                with_disk(&[case, "10000"], backend),
            );
            alike(&format!("{case}, {backend:?}"), once, twice);
        }
    }
    // Thousands of packets, or hundreds of requests of a port, each.
    for case in ["source", "sink"] {
        alike(
            case,
            with_vsock(case, 64 << 20),
            with_vsock(case, 128 << 20),
        );
    }
    for case in ["flood", "drain"] {
        alike(case, with_card(case, 5000), with_card(case, 10_000));
    }
    alike("stream", with_port(4 << 20), with_port(8 << 20));
}
