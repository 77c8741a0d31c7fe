//! A disk's features and configuration space (virtio 1.2, sections 5.2.3 and 5.2.4).

use super::disk::Disk;
use super::request::{MOST_DISCARDED, MOST_ZEROED, SECTOR, SEG_MAX, SIZE_MAX};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ,
    VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_WRITE_ZEROES,
};

/// What a driver takes that flushes by itself: without it every write must be durable when it is answered.
pub(super) const FLUSH: u64 = 1 << VIRTIO_BLK_F_FLUSH;

/// The feature bits of a disk. Its cache mode is not the driver's to change: a writethrough disk offers no flush.
pub(super) fn features(disk: &Disk) -> u64 {
    let mut bits = 1 << VIRTIO_BLK_F_SIZE_MAX
        | 1 << VIRTIO_BLK_F_SEG_MAX
        | 1 << VIRTIO_BLK_F_BLK_SIZE
        | 1 << VIRTIO_BLK_F_TOPOLOGY
        | 1 << VIRTIO_BLK_F_MQ;
    match disk.bounds.read_only {
        true => bits |= 1 << VIRTIO_BLK_F_RO,
        false => bits |= 1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES,
    }
    if !disk.writethrough {
        bits |= FLUSH;
    }
    bits
}

/// The configuration space of a disk with so many queues.
pub(super) fn space(disk: &Disk, queues: u16) -> Vec<u8> {
    let mut space = Vec::new();
    let mut put = |bytes: &[u8]| space.extend_from_slice(bytes);
    let blocks = |bytes: u32| bytes.checked_div(disk.block).unwrap_or(1);
    let physical = blocks(disk.physical).max(1);
    // `capacity`, in sectors.
    put(&disk
        .bounds
        .capacity
        .checked_div(SECTOR)
        .unwrap_or(0)
        .to_le_bytes());
    put(&SIZE_MAX.to_le_bytes());
    put(&SEG_MAX.to_le_bytes());
    // `geometry`: there is none.
    put(&[0; 4]);
    put(&disk.block.to_le_bytes());
    // `topology`: the physical block's exponent, its offset, the least and the best size, all in blocks.
    put(&[physical.trailing_zeros() as u8, 0]);
    put(&u16::try_from(physical).unwrap_or(1).to_le_bytes());
    put(&blocks(SIZE_MAX).to_le_bytes());
    // `writeback` belongs to a feature that is not offered.
    put(&[0, 0]);
    put(&queues.to_le_bytes());
    // Discard: the most sectors, the most segments, and the alignment in sectors.
    put(&MOST_DISCARDED.to_le_bytes());
    put(&1_u32.to_le_bytes());
    put(
        &u32::try_from(u64::from(disk.physical).checked_div(SECTOR).unwrap_or(1))
            .unwrap_or(1)
            .to_le_bytes(),
    );
    // Write zeroes: the most sectors, the most segments, and whether it may give storage back.
    put(&MOST_ZEROED.to_le_bytes());
    put(&1_u32.to_le_bytes());
    put(&[1, 0, 0, 0]);
    space
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::mem::offset_of;
    use virtio_bindings::virtio_blk::virtio_blk_config;

    #[test]
    fn fields_are_where_the_specification_has_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(5000 * SECTOR + 1).unwrap();
        let mut config = config::Disk::new("d", file.path().to_owned());
        let disk = Disk::open(&config).unwrap();
        let space = space(&disk, 3);
        assert_eq!(space.len(), offset_of!(virtio_blk_config, unused1) + 3);
        let u32_at = |at: usize| u32::from_le_bytes(space[at..at + 4].try_into().unwrap());
        let u16_at = |at: usize| u16::from_le_bytes(space[at..at + 2].try_into().unwrap());
        assert_eq!(u32_at(offset_of!(virtio_blk_config, capacity)), 5000);
        assert_eq!(u32_at(offset_of!(virtio_blk_config, size_max)), SIZE_MAX);
        assert_eq!(u32_at(offset_of!(virtio_blk_config, seg_max)), SEG_MAX);
        assert_eq!(u32_at(offset_of!(virtio_blk_config, blk_size)), 512);
        assert_eq!(space[offset_of!(virtio_blk_config, physical_block_exp)], 3);
        assert_eq!(u16_at(offset_of!(virtio_blk_config, min_io_size)), 8);
        assert_eq!(u16_at(offset_of!(virtio_blk_config, num_queues)), 3);
        assert_eq!(
            u32_at(offset_of!(virtio_blk_config, max_discard_sectors)),
            MOST_DISCARDED
        );
        assert_eq!(
            u32_at(offset_of!(virtio_blk_config, discard_sector_alignment)),
            8
        );
        assert_eq!(
            u32_at(offset_of!(virtio_blk_config, max_write_zeroes_sectors)),
            MOST_ZEROED
        );
        assert_eq!(
            space[offset_of!(virtio_blk_config, write_zeroes_may_unmap)],
            1
        );

        assert_eq!(features(&disk) & (FLUSH | 1 << VIRTIO_BLK_F_RO), FLUSH);
        drop(disk);
        (config.read_only, config.cache) = (true, config::Cache::Writethrough);
        let features = features(&Disk::open(&config).unwrap());
        assert_eq!(
            features & (FLUSH | 1 << VIRTIO_BLK_F_RO | 1 << VIRTIO_BLK_F_DISCARD),
            1 << VIRTIO_BLK_F_RO
        );
    }
}
