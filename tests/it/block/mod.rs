//! Disks: used well, used wrongly, and on files that fail.

mod failing;
mod small;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;
use trapless_tests::skip::{one_processor, skipped};
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::{Backend, Cache, Transport};
use vmm::stats::ExitKind;

const SECTORS: usize = 256;

/// An image whose sector k consists of bytes k.
fn image() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let sectors = (0..SECTORS).flat_map(|sector| [sector as u8; 512]);
    file.write_all(&sectors.collect::<Vec<_>>()).unwrap();
    file
}

fn boot(args: &[&str], image: &Path) -> Boot {
    Boot::guest("disks", args).disk(image, |_| {})
}

fn run(args: &[&str]) -> Finished {
    boot(args, image().path()).run()
}

/// Through the page cache and, where the file system of temporary files can do that, past it.
fn ways() -> Vec<bool> {
    let mut options = File::options();
    let direct = options.read(true).custom_flags(libc::O_DIRECT);
    match direct.open(image().path()) {
        Ok(_) => vec![false, true],
        Err(error) => {
            eprintln!("no direct I/O here: {error}");
            vec![false]
        }
    }
}

#[test]
fn a_disk_does_what_it_should_with_each_backend_and_cache() {
    require_kvm!();
    for backend in Backend::ALL {
        for cache in Cache::ALL {
            for direct in ways() {
                let image = image();
                let args = ["basics", "256", "serial-number-7"];
                let boot = Boot::guest("disks", &args).disk(image.path(), |disk| {
                    disk.serial = args[2].into();
                    (disk.backend, disk.cache, disk.direct) = (backend, cache, direct);
                });
                boot.run().passed();
                let bytes = std::fs::read(image.path()).unwrap();
                assert_eq!(bytes.len(), SECTORS * 512);
                assert_eq!(bytes[8 * 512..9 * 512], [0xa5; 512], "it is in the file");
                assert_eq!(bytes[9 * 512..11 * 512], [0; 1024]);
            }
        }
    }
}

/// How many of a file's pages are in the page cache.
fn cached(file: &File) -> usize {
    let len = file.metadata().unwrap().len() as usize;
    let mut pages = vec![0_u8; len.div_ceil(4096)];
    let (prot, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping touches nothing that exists. Its pages are asked after, one byte for each, and not touched; then it goes.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), len, prot, flags, file.as_raw_fd(), 0);
        assert_ne!(at, libc::MAP_FAILED);
        assert_eq!(libc::mincore(at, len, pages.as_mut_ptr()), 0);
        libc::munmap(at, len);
    }
    pages.iter().filter(|&page| page & 1 != 0).count()
}

#[test]
fn an_ordinary_buffer_passes_the_page_cache_by_where_that_is_wanted() {
    require_kvm!();
    let image = image();
    let file = image.as_file();
    file.sync_all().unwrap();
    // SAFETY: it says that the pages are not needed, and changes nothing else.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    if ways().len() < 2 || cached(file) != 0 {
        skipped("temporary files are in memory, or cannot be read directly");
        return;
    }
    for (direct, pages) in [(true, 0), (false, SECTORS / 8 / 2)] {
        for backend in [Backend::Plain, Backend::IoUring] {
            let boot = Boot::guest("disks", &["buffers"]).disk(image.path(), |disk| {
                (disk.backend, disk.direct) = (backend, direct);
            });
            boot.run().passed();
            let cached = cached(file);
            let right = if direct { cached == 0 } else { cached >= pages };
            assert!(right, "{backend:?}, direct {direct}: {cached} pages");
        }
    }
}

#[test]
fn tasks_read_together() {
    require_kvm!();
    for backend in [Backend::Plain, Backend::IoUring] {
        let image = image();
        let boot = Boot::guest("disks", &["tasks"]);
        let finished = boot.disk(image.path(), |disk| disk.backend = backend).run();
        finished.passed();
        assert_eq!(finished.outcome.stats.devices[0].requests, 640);
    }
}

#[test]
fn a_cursor_moves_bytes() {
    require_kvm!();
    let image = image();
    boot(&["cursor"], image.path()).run().passed();
    let bytes = std::fs::read(image.path()).unwrap();
    assert_eq!(bytes[500..1600], [0xcc; 1100]);
    assert_eq!(bytes[SECTORS * 512 - 1], b'x');
}

#[test]
fn every_vcpu_has_a_queue() {
    require_kvm!();
    let image = image();
    let finished = boot(&["every-vcpu"], image.path()).vcpus(4).run();
    finished.passed();
    assert_eq!(finished.outcome.stats.devices[0].requests, 150);
}

#[test]
fn the_trapped_side_has_the_same_disk() {
    require_kvm!();
    let image = image();
    let finished = boot(&["trapped"], image.path()).trapped().run();
    finished.passed();
    // 20 sectors: the command's seven registers, and for each sector its status and its words.
    let exits = finished.exits(ExitKind::Port);
    assert!(exits >= 47, "{exits}");
    let bytes = std::fs::read(image.path()).unwrap();
    assert_eq!(bytes[40 * 512..43 * 512], [0x5a; 1536]);
}

#[test]
fn a_read_only_disk_is_shared_and_stays_as_it_is() {
    require_kvm!();
    let image = image();
    let before = std::fs::read(image.path()).unwrap();
    let boot =
        |case| Boot::guest("disks", &[case]).disk(image.path(), |disk| disk.read_only = true);
    let other = boot("read-only").vm();
    boot("read-only").run().passed();
    boot("read-only-by-hand").run().passed();
    drop(other);
    assert!(std::fs::read(image.path()).unwrap() == before);
}

#[test]
fn two_vms_cannot_write_one_image() {
    require_kvm!();
    let image = image();
    let one = boot(&["basics"], image.path());
    let vm = one.vm();
    let refusal = one.refused();
    assert!(
        refusal.contains(&image.path().display().to_string()),
        "{refusal}"
    );
    assert!(refusal.contains("another VM of this process"), "{refusal}");
    let reader = Boot::guest("disks", &["basics"]).disk(image.path(), |disk| disk.read_only = true);
    assert!(reader.refused().contains("read_only = true"));
    drop(vm);
    drop(reader.vm());
}

#[test]
fn a_guest_that_needs_a_disk_says_so_before_it_runs() {
    require_kvm!();
    let refusal = Boot::guest("disks", &["basics"]).refused();
    assert!(refusal.contains("[[disk]]"), "{refusal}");
}

#[test]
fn a_limit_on_operations_is_kept() {
    require_kvm!();
    let image = image();
    for (ops, bytes) in [(Some(200), None), (None, Some(200 * 512))] {
        let boot = Boot::guest("disks", &["reads", "60"]).disk(image.path(), |disk| {
            (disk.ops_per_second, disk.bytes_per_second) = (ops, bytes);
        });
        let began = Instant::now();
        let finished = boot.run();
        finished.passed();
        let device = &finished.outcome.stats.devices[0];
        assert_eq!(device.requests, 60, "{device:?}");
        // Of 60 the burst is 20, and one more may begin while there is anything left.
        let least = Duration::from_millis((60 - 21) * 1000 / 200);
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }
}

#[test]
fn a_busy_ring_needs_neither_kicks_nor_events() {
    require_kvm!();
    if one_processor() {
        return;
    }
    const READS: u64 = 40_000;
    let image = image();
    // Also beside other tests, and long enough that neither side gives up because the other one has lost its processor for a while.
    let window = Duration::from_millis(50);
    let finished = boot(&["deep", &READS.to_string()], image.path())
        .window(window)
        .transport(Transport::Poll)
        .run();
    finished.passed();
    let device = &finished.outcome.stats.devices[0];
    assert_eq!(device.requests, READS);
    let told = device.kicks + device.events;
    assert!(told * 100 <= READS, "{told} kicks and events: {device:?}");
    let exits = finished.outcome.stats.total_exits();
    assert!(exits * 50 <= READS, "{exits} exits");
    assert_eq!(finished.exits(ExitKind::Doorbell), 0);
}

#[test]
fn rings_that_no_queue_may_hold_stop_the_disk_until_it_is_reset() {
    require_kvm!();
    let finished = run(&["broken"]);
    finished.passed();
    let device = &finished.outcome.stats.devices[0];
    assert!(device.broken.is_some(), "{device:?}");
}

#[test]
fn a_chain_that_changes_while_it_is_read_harms_nobody() {
    require_kvm!();
    let image = image();
    boot(&["changing", "300"], image.path())
        .vcpus(2)
        .run()
        .passed();
    let bytes = std::fs::read(image.path()).unwrap();
    assert_eq!(bytes[3 * 512..4 * 512], [3; 512]);
}

#[test]
fn wrong_requests_get_the_specifications_answers() {
    require_kvm!();
    for backend in [Backend::Plain, Backend::IoUring] {
        let image = image();
        let boot = Boot::guest("disks", &["odd", "256"]);
        boot.disk(image.path(), |disk| disk.backend = backend)
            .run()
            .passed();
    }
}

#[test]
fn a_reset_waits_for_what_is_in_flight() {
    require_kvm!();
    for direct in ways() {
        let image = image();
        let boot = Boot::guest("disks", &["reset", "200"]).disk(image.path(), |disk| {
            (disk.backend, disk.direct) = (Backend::IoUring, direct);
        });
        boot.run().passed();
    }
}

/// What the I/O thread looks at rings in vain is of the guest's share of a processor. When that is used up, which a hundredth is after some hundreds
/// of reads in each tenth of a second, the two sides tell each other of requests and answers, and all of them are served.
#[test]
fn a_driver_kicks_when_its_share_of_a_processor_is_used_up() {
    const READS: u64 = 5000;
    require_kvm!();
    if one_processor() {
        return;
    }
    let image = image();
    let finished = boot(&["reads", &READS.to_string()], image.path())
        .poll_percent(1)
        .run();
    finished.passed();
    let stats = &finished.outcome.stats;
    let disk = &stats.devices[0];
    assert!(
        disk.requests == READS && disk.kicks + disk.events >= READS / 4,
        "{disk:?}"
    );
    assert!(
        !stats.io_cpu.is_zero() && !stats.io_looking.is_zero(),
        "{}",
        finished.story()
    );
}
