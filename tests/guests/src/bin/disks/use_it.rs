//! What a disk does for those who use it as they should.

use alloc::vec;
use alloc::vec::Vec;
use embassy_futures::join::join_array;
use embedded_io::{Read, Seek, SeekFrom, Write};
use guest_sdk::block::{Cursor, Disk, Error};
use guest_sdk::executor::{block_on, run};
use guest_sdk::thread;
use guest_sdk::trapped::ata;
use test_guests::{arg, arg_number, check};

/// The disk that every case has.
pub fn disk() -> Disk {
    match Disk::open("disk0") {
        Ok(disk) => disk,
        Err(error) => test_guests::fail(format_args!("disk0: {error}")),
    }
}

/// Sectors as the image has them at first.
fn pattern(sector: u64, count: usize) -> Vec<u8> {
    (0..count * 512)
        .map(|byte| (sector as usize + byte / 512) as u8)
        .collect()
}

/// Reads and writes with vectors as they are made every day.
pub fn buffers() {
    let disk = disk();
    for len in [512, 4096, 3 * 512, 8192, 16 * 4096] {
        let read = disk.read_blocking(0, vec![0; len]);
        let count = len / 512;
        check!(read == Ok(pattern(0, count)), "{count} sectors");
        let written = disk.write_blocking(0, pattern(0, count));
        check!(written.is_ok(), "{count} sectors, written");
    }
}

pub fn basics() {
    let disk = disk();
    check!(
        disk.sectors() == arg_number(2),
        "{} sectors",
        disk.sectors()
    );
    check!(!disk.read_only() && disk.name() == "disk0", "{disk:?}");
    check!(Disk::<Vec<u8>>::open("disk0").is_err(), "it is taken");
    check!(
        Disk::<Vec<u8>>::at(9).err() == Some(Error::Missing),
        "there is no tenth"
    );
    let read = |sector, count: usize| disk.read_blocking(sector, vec![0; count * 512]);
    check!(read(0, 1) == Ok(pattern(0, 1)), "the first sector");
    check!(read(5, 100) == Ok(pattern(5, 100)), "a hundred");
    let last = disk.sectors() - 1;
    check!(read(last, 1) == Ok(pattern(last, 1)), "the last");
    check!(read(last, 2) == Err(Error::BeyondEnd), "beyond the end");
    check!(
        disk.read_blocking(0, vec![0; 511]) == Err(Error::NotSectors),
        "no sectors"
    );
    let long = disk.longest() + 512;
    check!(
        disk.read_blocking(0, vec![0; long]) == Err(Error::TooLong),
        "too long"
    );
    check!(disk.write_blocking(8, vec![0xa5; 4096]).is_ok(), "a write");
    check!(read(8, 8) == Ok(vec![0xa5; 4096]), "what was written");
    check!(
        read(7, 1) == Ok(pattern(7, 1)) && read(16, 1) == Ok(pattern(16, 1)),
        "neighbours"
    );
    check!(disk.flush_blocking() == Ok(()), "a flush");
    block_on(async {
        check!(disk.write_zeroes(9..11).await == Ok(()), "zeros");
        check!(disk.discard(11..12).await == Ok(()), "a discard");
        check!(
            disk.discard(0..last + 2).await == Err(Error::BeyondEnd),
            "too much"
        );
        check!(
            disk.serial().await.as_deref() == Ok(arg(3)),
            "the serial number"
        );
    });
    check!(
        read(8, 3) == Ok([vec![0xa5; 512], vec![0; 1024]].concat()),
        "zeros are read"
    );
    check!(
        read(12, 1) == Ok(vec![0xa5; 512]),
        "nothing else was discarded"
    );
    check!(disk.write_zeroes_blocking(12..14) == Ok(()), "more zeros");
    check!(disk.discard_blocking(14..15) == Ok(()), "another discard");
    check!(
        disk.discard_blocking(0..last + 2) == Err(Error::BeyondEnd)
            && disk.write_zeroes_blocking(0..last + 2) == Err(Error::BeyondEnd),
        "too much, blocking"
    );
    check!(
        disk.serial_blocking().as_deref() == Ok(arg(3)),
        "the serial number, blocking"
    );
    check!(
        read(12, 2) == Ok(vec![0; 1024]) && read(15, 1) == Ok(vec![0xa5; 512]),
        "what those did, and what they did not"
    );
    // The device is free again, and as it was.
    drop(disk);
    check!(
        self::disk().read_blocking(7, vec![0; 512]) == Ok(pattern(7, 1)),
        "once more"
    );
}

pub fn tasks() {
    let disk = disk();
    run(async |_| {
        for round in 0..10 {
            let reads = core::array::from_fn::<_, 64, _>(|index| {
                let sector = (index * 7 + round) as u64 % 200;
                let disk = &disk;
                async move {
                    let read = disk.read(sector, vec![0; 1024]).await;
                    check!(read == Ok(pattern(sector, 2)), "sector {sector}");
                }
            });
            join_array(reads).await;
        }
    });
}

pub fn cursor() {
    let mut cursor = Cursor::new(disk());
    let mut bytes = [0; 2000];
    check!(cursor.seek(SeekFrom::Start(1000)) == Ok(1000), "a place");
    check!(cursor.read_exact(&mut bytes).is_ok(), "2000 bytes");
    check!(bytes[..] == pattern(0, 8)[1000..3000], "across sectors");
    check!(cursor.seek(SeekFrom::Current(-2500)) == Ok(500), "back");
    check!(cursor.write_all(&[0xcc; 1100]).is_ok(), "1100 bytes");
    check!(cursor.flush() == Ok(()), "a flush");
    check!(
        cursor.rewind().is_ok() && cursor.read_exact(&mut bytes).is_ok(),
        "again"
    );
    let mut expected = pattern(0, 4);
    expected[500..1600].fill(0xcc);
    check!(
        bytes[..] == expected[..2000],
        "what was written, and around it"
    );
    check!(cursor.seek(SeekFrom::End(1)).is_err(), "beyond the end");
    let end = cursor.disk().sectors() * 512;
    check!(
        cursor.seek(SeekFrom::End(-1)) == Ok(end - 1),
        "the last byte"
    );
    check!(cursor.write(b"xyz") == Ok(1), "one byte fits");
    check!(cursor.write(b"yz") == Err(Error::BeyondEnd), "and no more");
    check!(cursor.read(&mut bytes) == Ok(0), "the end");
}

pub fn read_only() {
    let disk = disk();
    check!(disk.read_only(), "{disk:?}");
    check!(
        disk.write_blocking(0, vec![1; 512]) == Err(Error::ReadOnly),
        "a write"
    );
    block_on(async {
        check!(
            disk.discard(0..1).await == Err(Error::ReadOnly),
            "a discard"
        );
        check!(
            disk.write_zeroes(0..1).await == Err(Error::ReadOnly),
            "zeros"
        );
    });
    check!(
        disk.discard_blocking(0..1) == Err(Error::ReadOnly)
            && disk.write_zeroes_blocking(0..1) == Err(Error::ReadOnly),
        "and blocking"
    );
    check!(
        disk.read_blocking(3, vec![0; 512]) == Ok(pattern(3, 1)),
        "a read"
    );
    check!(disk.flush_blocking() == Ok(()), "nothing to flush");
}

pub fn every_vcpu() {
    let disk = disk();
    thread::scope(|scope| {
        for thread in 0..test_guests::boot().vcpus as usize - 1 {
            let disk = &disk;
            let work = move || {
                for round in 0..50 {
                    let sector = ((thread * 31 + round) % 200) as u64;
                    let read = disk.read_blocking(sector, vec![0; 2048]);
                    check!(
                        read == Ok(pattern(sector, 4)),
                        "thread {thread}, sector {sector}"
                    );
                }
            };
            check!(scope.spawn(work).is_ok(), "a vCPU for each");
        }
    });
}

/// The host takes all but the first 32 sectors away after sector 0 has changed, and changes sector 1 then.
pub fn truncated() {
    let disk = disk();
    check!(disk.write_blocking(0, vec![0xee; 512]).is_ok(), "a mark");
    check!(disk.flush_blocking() == Ok(()), "which the host sees");
    // Not until something is gone: a file behind a device is shorter before the device is.
    while disk.read_blocking(1, vec![0; 512]) == Ok(pattern(1, 1)) {}
    lost(&disk);
}

/// All but the first 32 sectors are gone, and the guest knows it from errors.
fn lost(disk: &Disk) {
    check!(disk.sectors() == 256, "the capacity is what it was");
    let gone = disk.read_blocking(100, vec![0; 512]);
    check!(gone == Err(Error::Failed), "what is gone: {gone:?}");
    let gone = disk.write_blocking(100, vec![0; 512]);
    check!(gone == Err(Error::Failed), "written: {gone:?}");
    check!(
        disk.read_blocking(31, vec![0; 1024]) == Err(Error::Failed),
        "half gone"
    );
    check!(
        disk.read_blocking(2, vec![0; 512]) == Ok(pattern(2, 1)),
        "what is left"
    );
}

/// The host lets nobody write the file any more after sector 0 has changed, and ends the VM's wait by its time.
pub fn refusing() {
    let disk = disk();
    check!(disk.write_blocking(0, vec![0xee; 512]).is_ok(), "a mark");
    while disk.write_blocking(9, vec![1; 512]).is_ok() {}
    let refused = disk.write_blocking(9, vec![1; 512]);
    check!(refused == Err(Error::Failed), "{refused:?}");
    check!(
        disk.read_blocking(3, vec![0; 512]) == Ok(pattern(3, 1)),
        "a read"
    );
}

/// The same disk, by calls and by ports.
pub fn trapped() {
    check!(ata::sectors() == Ok(256), "{:?}", ata::sectors());
    let disk = disk();
    let mut bytes = vec![0; 20 * 512];
    check!(ata::read(30, &mut bytes) == Ok(()), "a read by ports");
    check!(bytes == pattern(30, 20), "the sectors");
    check!(
        disk.read_blocking(30, vec![0; 20 * 512]) == Ok(bytes),
        "the same"
    );
    check!(ata::write(40, &[0x5a; 1536]) == Ok(()), "a write by ports");
    check!(ata::flush() == Ok(()), "a flush");
    check!(
        disk.read_blocking(40, vec![0; 1536]) == Ok(vec![0x5a; 1536]),
        "is seen"
    );
    check!(disk.write_blocking(50, vec![0x77; 512]).is_ok(), "a write");
    let mut sector = [0; 512];
    check!(
        ata::read(50, &mut sector) == Ok(()) && sector == [0x77; 512],
        "is seen by ports"
    );
    check!(
        ata::read(255, &mut [0; 1024]) == Err(ata::Failed),
        "beyond the end"
    );
    check!(
        ata::read(0, &mut [0; 511]) == Err(ata::Failed),
        "no sectors"
    );
}
