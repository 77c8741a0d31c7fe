//! Disks on storage that fails under a running guest: what was answered before is kept, what fails is the guest's to know, and when the storage is
//! as it was the guest goes on.

use super::small::{Loop, Small};
use super::{boot, image};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;
use trapless_tests::alone::Alone;
use trapless_tests::{Boot, Finished, guest, require_kvm};
use vmm::config::Backend;

/// Runs a guest that marks sector 0 once it has begun, and does something to its image then.
fn marked(case: &str, path: &Path, file: &File, then: impl FnOnce(&File)) -> Finished {
    marked_boot(&boot(&[case], path), file, then)
}

fn marked_boot(boot: &Boot, file: &File, then: impl FnOnce(&File)) -> Finished {
    let (vm, console) = boot.vm();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| boot.finish(vm, &console));
        let mut sector = [0; 512];
        while sector != [0xee; 512] {
            assert!(!running.is_finished(), "the guest ended before it began");
            file.read_exact_at(&mut sector, 0).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        then(file);
        running.join().unwrap()
    })
}

#[test]
fn what_a_truncated_file_has_lost_is_an_error() {
    require_kvm!();
    let image = image();
    let finished = marked("truncated", image.path(), image.as_file(), |file| {
        file.set_len(32 * 512).unwrap();
        file.write_all_at(&[0x77; 512], 512).unwrap();
    });
    finished.passed();
    let [disk] = &finished.outcome.stats.devices[..] else {
        panic!("{:?}", finished.outcome.stats.devices)
    };
    assert!(0 < disk.failed && disk.failed < disk.requests, "{disk:?}");
    assert_eq!(
        disk.failure.as_deref(),
        Some("the file is shorter than it was")
    );
    assert_eq!(
        image.as_file().metadata().unwrap().len(),
        32 * 512,
        "it did not grow again"
    );
}

#[test]
fn a_file_that_cannot_be_written_any_more_is_an_error() {
    require_kvm!();
    // SAFETY: a name that ends in a zero.
    let file = unsafe { libc::memfd_create(c"image".as_ptr(), libc::MFD_ALLOW_SEALING) };
    assert!(
        file >= 0,
        "memfd_create: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: new, and nobody else's.
    let file = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(file) };
    file.write_all_at(&std::fs::read(image().path()).unwrap(), 0)
        .unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let finished = marked("refusing", Path::new(&path), &file, |file| {
        // SAFETY: changes what may be done with the file, and nothing of this process's memory.
        let sealed =
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(sealed, 0, "{}", std::io::Error::last_os_error());
    });
    finished.passed();
}

/// Bytes of the disks that are larger than what holds them, and of the blocks that the guest writes there one after the other.
const LEN: u64 = 4 << 20;
const BLOCK: usize = 4096;

/// What the guest was told is written: blocks 1, 2 and so on, of which each consists of its number, before and after the storage was full.
fn kept(said: &str, file: &File) {
    let number = |word: &str| -> u64 {
        let line = said.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
    };
    let (full, last) = (number("full at "), number("on to "));
    assert!(1 < full && full < last, "{said}");
    let mut bytes = [0; BLOCK];
    for block in 1..=last {
        file.read_exact_at(&mut bytes, block * BLOCK as u64)
            .unwrap();
        assert_eq!(bytes, [block as u8; BLOCK], "block {block} of {said}");
    }
    assert_eq!(file.metadata().unwrap().len(), LEN);
}

/// What a disk is on whose storage is full at first and has room later.
#[derive(Clone, Copy, PartialEq)]
enum On {
    File,
    /// A device over the file, for which the kernel answers then as for one that is broken: EIO.
    Device,
}

/// Runs a guest that comes to the end of that storage, and on when there is room.
fn fills(case: &str, on: On, direct: bool) {
    for backend in [Backend::Plain, Backend::IoUring] {
        let Some(small) = Small::new(LEN) else { return };
        let image = small.image();
        let device = (on == On::Device).then(|| Loop::new(&image));
        let path = match &device {
            None => &image,
            Some(Some(device)) => device.path(),
            Some(None) => return,
        };
        let boot = Boot::guest("disks", &[case]).disk(path, |disk| {
            (disk.backend, disk.direct) = (backend, direct);
        });
        let file = File::open(&image).unwrap();
        let finished = marked_boot(&boot, &file, |_| small.make_room());
        finished.passed();
        kept(&finished.text(), &file);
    }
}

#[test]
fn a_disk_on_a_full_file_system_loses_nothing_and_goes_on_when_there_is_room() {
    require_kvm!();
    fills("full", On::File, false);
}

#[test]
fn a_device_that_fails_loses_nothing_and_goes_on_when_it_is_mended() {
    require_kvm!();
    fills("full", On::Device, true);
}

/// What is written into the page cache has no place on the device: the flush says so.
#[test]
fn a_flush_that_fails_is_the_guests_to_know() {
    require_kvm!();
    fills("flush", On::Device, false);
}

#[test]
fn a_device_whose_end_is_gone_is_an_error() {
    require_kvm!();
    for backend in [Backend::Plain, Backend::IoUring] {
        let image = image();
        let Some(device) = Loop::new(image.path()) else {
            return;
        };
        let boot = Boot::guest("disks", &["truncated"]).disk(device.path(), |disk| {
            (disk.backend, disk.direct) = (backend, true);
        });
        let shrunk = marked_boot(&boot, image.as_file(), |file| {
            device.shrink(32 * 512);
            file.write_all_at(&[0x77; 512], 512).unwrap();
        });
        shrunk.passed();
    }
}

/// What is mounted is claimed by its file system in this way; here it is the test that claims it.
#[test]
fn a_device_that_is_in_use_is_not_written() {
    require_kvm!();
    let image = image();
    let Some(device) = Loop::new(image.path()) else {
        return;
    };
    let claimed = || {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_EXCL);
        options.open(device.path())
    };
    let boot =
        Boot::guest("disks", &["reads", "64"]).disk(device.path(), |disk| disk.direct = true);
    let claim = claimed().unwrap();
    let refusal = boot.refused();
    assert!(refusal.contains("the host uses it"), "{refusal}");
    let reader = Boot::guest("disks", &["reads", "64"]);
    let reader = reader.disk(device.path(), |disk| disk.read_only = true);
    reader.run().passed();
    drop(claim);
    // And what a VM writes is not mounted meanwhile.
    let vm = boot.vm();
    let busy = claimed().unwrap_err();
    assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
    drop(vm);
    boot.run().passed();
}

/// A limit on files, which anybody may set, is what a full file system is; the process goes on.
#[test]
fn a_limit_on_the_size_of_files_is_a_disk_that_is_full() {
    require_kvm!();
    for backend in ["plain", "io_uring"] {
        let directory = tempfile::TempDir::new().unwrap();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(directory.path().join("disk"))
            .unwrap();
        file.set_len(LEN).unwrap();
        let toml = format!(
            "[guest]\nimage = {:?}\nargs = [\"full\"]\n[[disk]]\nname = \"disk0\"\npath = \"disk\"\nbackend = {backend:?}\n",
            guest("disks")
        );
        let path = directory.path().join("vm.toml");
        std::fs::write(&path, toml).unwrap();
        let mut vm = Alone::limited(env!("CARGO_BIN_EXE_trapless-test-alone"), &path, LEN / 4);
        let full = vm.first_line();
        vm.unlimit();
        let on = vm.first_line();
        assert_eq!(vm.report().end, "Exit(0)");
        kept(&format!("{full}\n{on}\n"), &file);
    }
}
