//! Guest memory as `vm-memory` and `virtio-queue` take it: one mapping, so that an address is checked by two comparisons.
//!
//! `GuestMemoryMmap` looks an address up among its regions, of which there would be one; that is a tenth of a request's time.

use super::OutOfRange;
use hypercall_abi::Gpa;
use std::iter::FusedIterator;
use vm_memory::bitmap::BitmapSlice;
use vm_memory::guest_memory::GuestMemorySliceIterator;
use vm_memory::{
    GuestAddress, GuestMemory, GuestMemoryError, GuestMemoryMmap, MmapRegion, Permissions,
    VolatileMemory, VolatileSlice,
};

/// All of guest memory from an address on.
pub(crate) struct View {
    from: u64,
    region: MmapRegion,
}

impl View {
    /// `region` is what lies at the guest-physical address `from`.
    pub(super) fn new(from: u64, region: MmapRegion) -> View {
        View { from, region }
    }

    /// Some bytes of it, to be read and written by accesses that expect others'.
    #[inline]
    pub(super) fn slice(&self, at: Gpa, len: usize) -> Result<VolatileSlice<'_>, OutOfRange> {
        let offset = at.0.checked_sub(self.from).ok_or(OutOfRange)?;
        let offset = usize::try_from(offset).map_err(|_| OutOfRange)?;
        self.region.get_slice(offset, len).map_err(|_| OutOfRange)
    }
}

impl GuestMemory for View {
    // Named, and not used.
    type PhysicalMemory = GuestMemoryMmap;
    type Bitmap = ();

    #[inline]
    fn check_range(&self, addr: GuestAddress, count: usize, _: Permissions) -> bool {
        self.slice(Gpa(addr.0), count).is_ok()
    }

    #[inline]
    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        _: Permissions,
    ) -> Result<impl GuestMemorySliceIterator<'a, ()>, GuestMemoryError> {
        let slice = self.slice(Gpa(addr.0), count);
        let slice = slice.map_err(|OutOfRange| GuestMemoryError::InvalidGuestAddress(addr));
        Ok(One(Some(slice)))
    }
}

/// The only slice there is.
struct One<T>(Option<T>);

impl<T> Iterator for One<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> FusedIterator for One<T> {}

impl<'a, B: BitmapSlice> GuestMemorySliceIterator<'a, B>
    for One<Result<VolatileSlice<'a, B>, GuestMemoryError>>
{
}
