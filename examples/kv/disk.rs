//! The VM's disk, as the log wants one.

use crate::log;
use alloc::vec;
use alloc::vec::Vec;
use guest_sdk::block::{self, Disk};

impl log::Disk for Disk {
    type Error = block::Error;

    fn sectors(&self) -> u64 {
        Disk::sectors(self)
    }

    fn longest(&self) -> usize {
        Disk::longest(self)
    }

    async fn read(&self, sector: u64, bytes: usize) -> Result<Vec<u8>, block::Error> {
        Disk::read(self, sector, vec![0; bytes]).await
    }

    async fn write(&self, sector: u64, bytes: Vec<u8>) -> Result<(), block::Error> {
        Disk::write(self, sector, bytes).await.map(drop)
    }

    async fn flush(&self) -> Result<(), block::Error> {
        Disk::flush(self).await
    }
}
