//! Lists a FAT file system, or prints files of it.
//!
//! ```text
//! mkfs.vfat -C fat.img 8192
//! mcopy -i fat.img README.md ::
//! cargo run -p vmm -- run examples/fat.toml                # lists everything
//! cargo run -p vmm -- run examples/fat.toml -- README.MD   # prints a file
//! ```
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::ControlFlow;
use embedded_sdmmc::{
    Block, BlockCount, BlockDevice, BlockIdx, Directory, Mode, TimeSource, Timestamp, VolumeIdx,
    VolumeManager,
};
use guest_sdk::block::{Disk, Error};
use guest_sdk::{console, env, println};

guest_sdk::entry!(main);

/// Directories, files and volumes that are open at once.
const DIRS: usize = 16;
const FILES: usize = 1;
const VOLUMES: usize = 1;

type Dir<'v> = Directory<'v, Partitioned, Never, DIRS, FILES, VOLUMES>;
type FatError = embedded_sdmmc::Error<Error>;

fn main() -> Result<(), FatError> {
    let disk = Disk::at(0).map_err(FatError::DeviceError)?;
    let fat: VolumeManager<_, _, DIRS, FILES, VOLUMES> =
        VolumeManager::new_with_limits(Partitioned(disk), Never, 0);
    let volume = fat.open_volume(VolumeIdx(0))?;
    let mut files = env::args().skip(1).peekable();
    if files.peek().is_none() {
        return list(&volume.open_root_dir()?, "");
    }
    files.try_for_each(|path| print(volume.open_root_dir()?, path))
}

/// Lists a directory and what is below it.
fn list(directory: &Dir, path: &str) -> Result<(), FatError> {
    let mut entries = Vec::new();
    directory.iterate_dir(|entry| {
        entries.push(entry.clone());
        ControlFlow::Continue(())
    })?;
    for entry in entries {
        let name = format!("{path}{}", entry.name);
        if entry.attributes.is_volume() || name.ends_with('.') {
            continue;
        }
        if entry.attributes.is_directory() {
            println!("{:>10}  {name}/", "");
            list(&directory.open_dir(entry.name)?, &format!("{name}/"))?;
        } else {
            println!("{:>10}  {name}", entry.size);
        }
    }
    Ok(())
}

/// Prints a file.
fn print(mut directory: Dir, path: &str) -> Result<(), FatError> {
    let mut name = path;
    while let Some((first, rest)) = name.split_once('/') {
        directory.change_dir(first)?;
        name = rest;
    }
    let file = directory.open_file_in_dir(name, Mode::ReadOnly)?;
    let mut bytes = vec![0; 64 << 10];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            len => console::print(format_args!("{}", String::from_utf8_lossy(&bytes[..len]))),
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
