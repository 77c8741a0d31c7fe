//! Lists a FAT file system, or a directory of it, or prints a file.
//!
//! ```text
//! mkfs.vfat -F 16 -C examples/fat.img 16384
//! mcopy -i examples/fat.img README.md ::
//! cargo run -p examples --bin fat                # lists everything
//! cargo run -p examples --bin fat -- README.md   # prints a file
//! cargo run -p examples --bin fat -- sub         # lists a directory
//! ```
//! It reads FAT16 and FAT32, by long names and short ones in any case, and lists short ones in capitals. Of FAT12, which is what `mkfs.vfat` makes
//! of little room unless it is told otherwise, it says that it cannot.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::{format, vec, vec::Vec};
use core::ops::ControlFlow;
use embedded_sdmmc::{
    Block, BlockCount, BlockDevice, BlockIdx, Directory, LfnBuffer, Mode, ShortFileName,
    TimeSource, Timestamp, VolumeIdx, VolumeManager,
};
use guest_sdk::abi::device::kind;
use guest_sdk::abi::note::Note;
use guest_sdk::block::{Disk, Error};
use guest_sdk::{console, env, println};

guest_sdk::entry!(main, Note::DEFAULT.needs(kind::BLOCK));

/// Directories, files and volumes that are open at once. A path has no more directories.
const DIRS: usize = 128;
const FILES: usize = 1;
const VOLUMES: usize = 1;

type Dir<'v> = Directory<'v, Partitioned, Never, DIRS, FILES, VOLUMES>;
type FatError = embedded_sdmmc::Error<Error>;

fn main() -> Result<(), String> {
    let disk = Disk::at(0).map_err(|error| error.to_string())?;
    let fat: VolumeManager<_, _, DIRS, FILES, VOLUMES> =
        VolumeManager::new_with_limits(Partitioned(disk), Never, 0);
    let volume = fat.open_volume(VolumeIdx(0)).map_err(|error| {
        format!(
            "the disk has no FAT16 or FAT32: {error}; `mkfs.vfat -F 16 -C FILE 16384` makes one"
        )
    })?;
    let show_path = |path: &str| {
        let path = path.trim_matches('/');
        let root = volume.open_root_dir().map_err(said(path))?;
        show(root, path)
    };
    match env::args().len() {
        0 | 1 => show_path(""),
        _ => env::args().skip(1).try_for_each(show_path),
    }
}

/// What became of a path, in a sentence.
fn said(path: &str) -> impl Fn(FatError) -> String {
    move |error| format!("/{path}: {error}")
}

/// Prints the file at a path, or lists the directory there.
fn show(mut directory: Dir, path: &str) -> Result<(), String> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    let mut parents = String::new();
    while let Some(name) = names.next() {
        let entries = entries(&directory).map_err(said(path))?;
        let Some(entry) = entries.into_iter().find(|entry| entry.is_called(name)) else {
            return Err(format!(
                "/{path}: there is no {name} in /{parents}; without a path, everything is listed"
            ));
        };
        if entry.is_directory {
            directory.change_dir(entry.short).map_err(said(path))?;
            parents = format!("{parents}{}/", entry.name);
        } else if names.next().is_none() {
            return print(&directory, entry.short).map_err(said(path));
        } else {
            return Err(format!("/{path}: {name} is a file, and no directory"));
        }
    }
    list(&directory, &parents).map_err(said(path))
}

/// What a directory has.
struct Entry {
    /// The long name, or the short one if that is all there is.
    name: String,
    short: ShortFileName,
    size: u32,
    is_directory: bool,
}

impl Entry {
    fn is_called(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.to_lowercase()
            || self.short.to_string().eq_ignore_ascii_case(name)
    }
}

/// A directory's entries, without itself and the one around it.
fn entries(directory: &Dir) -> Result<Vec<Entry>, FatError> {
    // 255 units of UTF-16 are no more bytes of UTF-8.
    let mut bytes = [0; 255 * 3];
    let mut last_long = String::new();
    let mut entries = Vec::new();
    directory.iterate_dir_lfn(&mut LfnBuffer::new(&mut bytes), |entry, long| {
        let short = entry.name;
        // A short name that has the checksum of the last long one is taken to belong to that, too.
        let name = match long.filter(|long| !long.is_empty() && *long != last_long) {
            Some(long) => {
                last_long = long.into();
                long.into()
            }
            None => short.to_string(),
        };
        let is_dots = short == ShortFileName::this_dir() || short == ShortFileName::parent_dir();
        if !entry.attributes.is_volume() && !is_dots {
            entries.push(Entry {
                name,
                short,
                size: entry.size,
                is_directory: entry.attributes.is_directory(),
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Lists a directory and what is below it.
fn list(directory: &Dir, parents: &str) -> Result<(), FatError> {
    for entry in entries(directory)? {
        let name = format!("{parents}{}", entry.name);
        if entry.is_directory {
            println!("{:>10}  {name}/", "");
            list(&directory.open_dir(entry.short)?, &format!("{name}/"))?;
        } else {
            println!("{:>10}  {name}", entry.size);
        }
    }
    Ok(())
}

/// Prints a file.
fn print(directory: &Dir, name: ShortFileName) -> Result<(), FatError> {
    let file = directory.open_file_in_dir(name, Mode::ReadOnly)?;
    let mut bytes = vec![0; 64 << 10];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            // Nobody is told where the output does not arrive.
            len => drop(console::stdout().write_all(&bytes[..len])),
        }
    }
}

/// The disk as the library wants it: with a partition table, in front of the file system that is all there is.
struct Partitioned(Disk);

/// The table's one partition begins behind it.
const TABLE: u32 = 1;

impl Partitioned {
    fn table(&self) -> [u8; 512] {
        let mut table = [0; 512];
        table[446 + 4] = 0x0c; // FAT with addresses of sectors
        table[446 + 8..][..4].copy_from_slice(&TABLE.to_le_bytes());
        let sectors = u32::try_from(self.0.sectors()).unwrap_or(u32::MAX);
        table[446 + 12..][..4].copy_from_slice(&sectors.to_le_bytes());
        table[510..].copy_from_slice(&[0x55, 0xaa]);
        table
    }
}

impl BlockDevice for Partitioned {
    type Error = Error;

    fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), Error> {
        for (block, at) in blocks.iter_mut().zip(start.0..) {
            block.contents = match at.checked_sub(TABLE) {
                None => self.table(),
                Some(sector) => {
                    let read = self.0.read_blocking(sector.into(), vec![0; 512])?;
                    *read.first_chunk().ok_or(Error::NotSectors)?
                }
            };
        }
        Ok(())
    }

    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn num_blocks(&self) -> Result<BlockCount, Error> {
        let sectors = u32::try_from(self.0.sectors()).unwrap_or(u32::MAX);
        Ok(BlockCount(sectors.saturating_add(TABLE)))
    }
}

/// No file is written, so that nobody asks for the time.
struct Never;

impl TimeSource for Never {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
