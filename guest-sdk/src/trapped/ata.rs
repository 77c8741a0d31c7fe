//! The ATA disk, driven by programmed I/O as a kernel without DMA does it: registers, a command, and for each sector a look at the status and the data
//! port's words. It is the first disk of the configuration.

use super::port;
use core::fmt;

const DATA: u16 = 0x1f0;
const COUNT: u16 = 0x1f2;
const LBA_LOW: u16 = 0x1f3;
const LBA_MID: u16 = 0x1f4;
const LBA_HIGH: u16 = 0x1f5;
const DEVICE: u16 = 0x1f6;
const COMMAND: u16 = 0x1f7;
const STATUS: u16 = 0x1f7;
/// The status once more; written, whether the disk interrupts.
const CONTROL: u16 = 0x3f6;

/// Control: no interrupts.
const SILENT: u8 = 0x02;
/// Device: addresses are of sectors.
const LBA: u8 = 0xe0;
/// Status: busy, data is to be moved, the command failed.
const BUSY: u8 = 0x80;
const REQUEST: u8 = 0x08;
const FAILED: u8 = 0x01;

const READ_SECTORS: u8 = 0x20;
const WRITE_SECTORS: u8 = 0x30;
const FLUSH_CACHE: u8 = 0xe7;
const IDENTIFY: u8 = 0xec;

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// The most sectors that one command moves.
const MOST: usize = 256;

/// A command failed, or there is no disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ATA disk is not there, or failed the command")
    }
}

impl core::error::Error for Failed {}

/// How many sectors the disk has.
///
/// # Errors
/// [`Failed`].
pub fn sectors() -> Result<u32, Failed> {
    let mut identity = [0; SECTOR];
    command(IDENTIFY, 0, 0);
    data(|| {
        // SAFETY: the disk's data port.
        unsafe { port::read_words(DATA, &mut identity) };
    })?;
    let [.., a, b, c, d] = *identity.first_chunk::<124>().ok_or(Failed)?;
    Ok(u32::from_le_bytes([a, b, c, d]))
}

/// Reads whole sectors. For each 256: seven exits, and two for each sector.
///
/// # Errors
/// [`Failed`]; also for a part of a sector.
pub fn read(sector: u32, buffer: &mut [u8]) -> Result<(), Failed> {
    whole(buffer.len())?;
    for (part, bytes) in (0..).zip(buffer.chunks_mut(MOST * SECTOR)) {
        let sector = sector.wrapping_add(part * MOST as u32);
        command(READ_SECTORS, sector, bytes.len() / SECTOR);
        for one in bytes.chunks_mut(SECTOR) {
            // SAFETY: the disk's data port.
            data(|| unsafe { port::read_words(DATA, one) })?;
        }
    }
    Ok(())
}

/// Writes whole sectors. For each 256: seven exits, and two for each sector.
///
/// # Errors
/// As for [`read`].
pub fn write(sector: u32, buffer: &[u8]) -> Result<(), Failed> {
    whole(buffer.len())?;
    for (part, bytes) in (0..).zip(buffer.chunks(MOST * SECTOR)) {
        let sector = sector.wrapping_add(part * MOST as u32);
        command(WRITE_SECTORS, sector, bytes.len() / SECTOR);
        for one in bytes.chunks(SECTOR) {
            // SAFETY: the disk's data port.
            data(|| unsafe { port::write_words(DATA, one) })?;
        }
        done()?;
    }
    Ok(())
}

/// Makes what was written durable.
///
/// # Errors
/// [`Failed`].
pub fn flush() -> Result<(), Failed> {
    command(FLUSH_CACHE, 0, 0);
    done()
}

fn whole(len: usize) -> Result<(), Failed> {
    match len.is_multiple_of(SECTOR) {
        true => Ok(()),
        false => Err(Failed),
    }
}

/// Gives a command about so many sectors, of which 256 are written as 0.
fn command(command: u8, sector: u32, count: usize) {
    let [low, mid, high, top] = sector.to_le_bytes();
    // SAFETY: the disk's registers.
    unsafe {
        port::write(CONTROL, SILENT);
        port::write(DEVICE, LBA | top & 0xf);
        port::write(COUNT, count as u8);
        port::write(LBA_LOW, low);
        port::write(LBA_MID, mid);
        port::write(LBA_HIGH, high);
        port::write(COMMAND, command);
    }
}

/// Waits until the disk is not busy, and says its status.
fn settled() -> u8 {
    loop {
        // SAFETY: the disk's status register.
        let status = unsafe { port::read(STATUS) };
        if status & BUSY == 0 {
            return status;
        }
        core::hint::spin_loop();
    }
}

/// Moves a sector, when the disk asks for that.
fn data(move_it: impl FnOnce()) -> Result<(), Failed> {
    match settled() & (REQUEST | FAILED) {
        REQUEST => {
            move_it();
            Ok(())
        }
        _ => Err(Failed),
    }
}

/// The end of a command that leaves nothing to be read.
fn done() -> Result<(), Failed> {
    match settled() {
        0 => Err(Failed),
        status if status & (REQUEST | FAILED) != 0 => Err(Failed),
        _ => Ok(()),
    }
}
