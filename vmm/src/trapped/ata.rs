//! An ATA disk on the first channel of a PC, driven by programmed I/O: the first of the VM's disks, word by word through the data port.
//!
//! Owns its registers and the sectors on their way. Addresses are those of LBA28. It is polled: no interrupt is raised, and there is no second
//! disk on the channel.

use crate::virtio::Disk;
use std::sync::Arc;

/// The data port, of which words are read and written, and the last of the registers.
pub(super) const DATA: u16 = 0x1f0;
pub(super) const LAST: u16 = 0x1f7;
/// The status once more, and, written, the reset.
pub(super) const CONTROL: u16 = 0x3f6;

const ERROR: u16 = 0x1f1;
const COUNT: u16 = 0x1f2;
const LBA_LOW: u16 = 0x1f3;
const LBA_MID: u16 = 0x1f4;
const LBA_HIGH: u16 = 0x1f5;
const DEVICE: u16 = 0x1f6;
const STATUS: u16 = 0x1f7;

/// Status: ready, in place, data is to be moved, the command failed.
const READY: u8 = 0x50;
const REQUEST: u8 = 0x08;
const FAILED: u8 = 0x01;
/// Error: the command was aborted; the sector is not there.
const ABORTED: u8 = 0x04;
const NOT_FOUND: u8 = 0x10;
/// Device: the second one.
const SECOND: u8 = 0x10;
/// Control: reset.
const RESET: u8 = 0x04;

const SECTOR: usize = 512;
/// The most sectors of a command.
const MOST: usize = 256;

/// The disk and its channel.
pub(super) struct Ata {
    disk: Option<Arc<Disk>>,
    error: u8,
    count: u8,
    lba: [u8; 3],
    device: u8,
    /// Sectors that are on their way, and how many of their bytes have been moved.
    buffer: Box<[u8]>,
    len: usize,
    moved: usize,
    /// Whether they go to the disk.
    writing: bool,
    failed: bool,
}

impl Ata {
    /// A channel with a disk, or with none.
    pub fn new(disk: Option<Arc<Disk>>) -> Ata {
        let room = if disk.is_some() { MOST * SECTOR } else { 0 };
        Ata {
            disk,
            error: 0,
            count: 1,
            lba: [1, 0, 0],
            device: 0,
            buffer: vec![0; room].into_boxed_slice(),
            len: 0,
            moved: 0,
            writing: false,
            failed: false,
        }
    }

    /// The disk that is selected.
    fn selected(&self) -> Option<&Arc<Disk>> {
        self.disk.as_ref().filter(|_| self.device & SECOND == 0)
    }

    fn status(&self) -> u8 {
        match self.selected() {
            None => 0,
            Some(_) => {
                let request = if self.moved < self.len { REQUEST } else { 0 };
                let failed = if self.failed { FAILED } else { 0 };
                READY | request | failed
            }
        }
    }

    /// Reads a register.
    pub fn read(&self, port: u16) -> u8 {
        let [low, mid, high] = self.lba;
        match port {
            ERROR => self.error,
            COUNT => self.count,
            LBA_LOW => low,
            LBA_MID => mid,
            LBA_HIGH => high,
            DEVICE => self.device | 0xa0,
            STATUS | CONTROL => self.status(),
            _ => super::FLOATING,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, port: u16, value: u8) {
        let [low, mid, high] = &mut self.lba;
        match port {
            COUNT => self.count = value,
            LBA_LOW => *low = value,
            LBA_MID => *mid = value,
            LBA_HIGH => *high = value,
            DEVICE => self.device = value,
            STATUS => self.command(value),
            CONTROL if value & RESET != 0 => *self = Ata::new(self.disk.take()),
            _ => {}
        }
    }

    /// Reads from the data port, as many bytes as an instruction moves at once.
    pub fn take(&mut self, bytes: &mut [u8]) {
        bytes.fill(super::FLOATING);
        if self.writing || self.selected().is_none() {
            return;
        }
        let left = self.buffer.get(self.moved..self.len).unwrap_or_default();
        let count = left.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.moved = self.moved.saturating_add(count);
    }

    /// Writes to the data port.
    pub fn give(&mut self, bytes: &[u8]) {
        if !self.writing || self.selected().is_none() {
            return;
        }
        let left = self.buffer.get_mut(self.moved..self.len);
        let left = left.unwrap_or_default();
        let count = left.len().min(bytes.len());
        if let (Some(to), Some(from)) = (left.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.moved = self.moved.saturating_add(count);
        if self.moved == self.len && self.len != 0 {
            let written = match (self.place(), self.buffer.get(..self.len), &self.disk) {
                (Some(at), Some(bytes), Some(disk)) => disk.write_bytes(at, bytes),
                _ => false,
            };
            self.end(if written { 0 } else { ABORTED });
        }
    }

    /// Where on the disk the command's sectors are, if it has them.
    fn place(&self) -> Option<u64> {
        let [low, mid, high] = self.lba;
        let sector = u32::from_le_bytes([low, mid, high, self.device & 0xf]);
        let at = u64::from(sector).saturating_mul(SECTOR as u64);
        let len = self.sectors().saturating_mul(SECTOR) as u64;
        let end = at.saturating_add(len);
        (end <= self.disk.as_ref()?.bounds.capacity).then_some(at)
    }

    /// How many sectors the command is about: 0 means the most.
    fn sectors(&self) -> usize {
        match self.count {
            0 => MOST,
            count => count.into(),
        }
    }

    fn command(&mut self, command: u8) {
        let Some(disk) = self.selected().cloned() else {
            return;
        };
        self.end(0);
        let place = self.place().ok_or(NOT_FOUND);
        let len = self.sectors().saturating_mul(SECTOR);
        let done = match command {
            // READ SECTORS, with and without retries.
            0x20 | 0x21 => place.and_then(|at| {
                let room = self.buffer.get_mut(..len).ok_or(ABORTED)?;
                disk.read_bytes(at, room).then_some(len).ok_or(ABORTED)
            }),
            // WRITE SECTORS.
            0x30 | 0x31 => place.and_then(|_| {
                self.writing = true;
                let writable = !disk.bounds.read_only;
                writable.then_some(len).ok_or(ABORTED)
            }),
            // FLUSH CACHE.
            0xe7 => disk.sync().map(|()| 0).map_err(|_| ABORTED),
            // IDENTIFY DEVICE.
            0xec => self.identify(&disk),
            _ => Err(ABORTED),
        };
        match done {
            Ok(len) => self.len = len,
            Err(error) => self.end(error),
        }
    }

    /// Nothing is on its way any more. An error of 0 is none.
    fn end(&mut self, error: u8) {
        (self.len, self.moved, self.writing) = (0, 0, false);
        self.failed = error != 0;
        self.error = error;
    }

    fn identify(&mut self, disk: &Disk) -> Result<usize, u8> {
        let room = self.buffer.get_mut(..SECTOR).ok_or(ABORTED)?;
        room.fill(0);
        let sectors = disk.bounds.capacity.checked_div(SECTOR as u64).unwrap_or(0);
        let sectors = sectors.min((1 << 28) - 1) as u32;
        let [a, b, c, d] = sectors.to_le_bytes();
        let mut put = |word: usize, bytes: [u8; 2]| {
            let at = word.saturating_mul(2);
            if let Some(place) = room.get_mut(at..at.saturating_add(2)) {
                place.copy_from_slice(&bytes);
            }
        };
        put(0, [0x40, 0]); // a fixed disk
        put(49, [0, 2]); // LBA
        put(60, [a, b]);
        put(61, [c, d]);
        put(80, [0x78, 0]); // ATA-3 to ATA-6
        put(83, [0, 0x50]); // FLUSH CACHE
        // Text has its bytes in pairs the other way round.
        let model = b"Trapless disk                           ";
        for (word, pair) in (27..).zip(model.chunks_exact(2)) {
            if let &[first, second] = pair {
                put(word, [second, first]);
            }
        }
        Ok(SECTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use tempfile::NamedTempFile;

    fn disk() -> (NamedTempFile, Arc<Disk>) {
        let file = NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=255).flat_map(|sector| [sector; SECTOR]).collect();
        std::fs::write(file.path(), bytes).unwrap();
        let config = config::Disk::new("d", file.path().to_owned());
        let disk = Arc::new(Disk::open(&config).unwrap());
        (file, disk)
    }

    fn command(ata: &mut Ata, command: u8, lba: u32, count: u8) -> u8 {
        let [low, mid, high, top] = lba.to_le_bytes();
        for (port, value) in [
            (COUNT, count),
            (LBA_LOW, low),
            (LBA_MID, mid),
            (LBA_HIGH, high),
            (DEVICE, 0xe0 | top),
            (STATUS, command),
        ] {
            ata.write(port, value);
        }
        ata.read(STATUS)
    }

    #[test]
    fn sectors_are_read_word_by_word_or_many_at_once() {
        let (_file, disk) = disk();
        let mut ata = Ata::new(Some(disk));
        assert_eq!(command(&mut ata, 0x20, 7, 2), READY | REQUEST);
        let mut sectors = [0; 2 * SECTOR];
        for word in sectors[..SECTOR].chunks_mut(2) {
            ata.take(word);
        }
        ata.take(&mut sectors[SECTOR..]);
        assert_eq!(
            (sectors[0], sectors[511], sectors[512], sectors[1023]),
            (7, 7, 8, 8)
        );
        assert_eq!(ata.read(CONTROL), READY);
        let mut word = [0; 2];
        ata.take(&mut word);
        assert_eq!(word, [0xff; 2], "nothing more");
    }

    #[test]
    fn sectors_are_written_when_they_are_whole() {
        let (file, disk) = disk();
        let mut ata = Ata::new(Some(disk));
        assert_eq!(command(&mut ata, 0x30, 255, 1), READY | REQUEST);
        ata.give(&[0xaa; 500]);
        assert_eq!(ata.read(STATUS), READY | REQUEST);
        ata.give(&[0xbb; 500]);
        assert_eq!(ata.read(STATUS), READY);
        assert_eq!(command(&mut ata, 0xe7, 0, 0), READY);
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(
            (bytes.len(), bytes[255 * 512], bytes[256 * 512 - 1]),
            (256 * 512, 0xaa, 0xbb)
        );
    }

    #[test]
    fn what_is_not_there_fails() {
        let (_file, disk) = disk();
        let mut ata = Ata::new(Some(disk));
        assert_eq!(command(&mut ata, 0x20, 255, 2), READY | FAILED);
        assert_eq!(ata.read(ERROR), NOT_FOUND);
        assert_eq!(command(&mut ata, 0x30, 0x0fff_ffff, 0), READY | FAILED);
        assert_eq!(command(&mut ata, 0x25, 0, 1), READY | FAILED);
        assert_eq!(ata.read(ERROR), ABORTED);
        assert_eq!(
            command(&mut ata, 0x20, 0, 1),
            READY | REQUEST,
            "a good one again"
        );
        ata.write(DEVICE, SECOND);
        assert_eq!(ata.read(STATUS), 0, "no second disk");
        ata.write(CONTROL, RESET);
        assert_eq!((ata.read(STATUS), ata.read(COUNT)), (READY, 1));
        assert_eq!(Ata::new(None).read(STATUS), 0);
    }

    #[test]
    fn a_disk_says_what_it_is() {
        let (_file, disk) = disk();
        let mut ata = Ata::new(Some(disk));
        assert_eq!(command(&mut ata, 0xec, 0, 0), READY | REQUEST);
        let mut identity = [0; SECTOR];
        ata.take(&mut identity);
        assert_eq!(identity[120..124], 256_u32.to_le_bytes());
        assert_eq!(identity[54..58], *b"rTpa");
    }
}
