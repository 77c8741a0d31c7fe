//! Where image, stack and heap lie, and what ring 3 may do where.

use super::Access;
use crate::image::Plan;
use hypercall_abi::map::{self, PAGE_SIZE};

/// The first vCPU's stack where the note does not say: this, or an eighth of a small VM's memory.
const DEFAULT_STACK: u64 = 1 << 20;
/// No stack is smaller.
const LEAST_STACK: u64 = 16 * 1024;

/// The bounds of everything above the platform area. All page-aligned, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub image_start: u64,
    pub image_end: u64,
    /// Above the guard page.
    pub stack_start: u64,
    pub stack_end: u64,
    pub memory_end: u64,
}

impl Layout {
    /// Lays out a VM with `memory` bytes of RAM.
    ///
    /// # Errors
    /// A sentence, where the image or its stack does not fit.
    pub fn new(plan: &Plan, memory: u64) -> Result<Layout, String> {
        let (image_start, image_end) = plan.extent();
        let wanted = match plan.note.stack_bytes {
            0 => DEFAULT_STACK.min(memory / 8),
            bytes => bytes,
        };
        let stack = wanted.max(LEAST_STACK).checked_next_multiple_of(PAGE_SIZE);
        let stack_start = image_end.saturating_add(map::STACK_GUARD);
        match stack.and_then(|stack| stack_start.checked_add(stack)) {
            Some(stack_end) if stack_end <= memory => Ok(Layout {
                image_start,
                image_end,
                stack_start,
                stack_end,
                memory_end: memory,
            }),
            Some(end) => Err(format!(
                "it needs {} KiB of memory for itself and its stack, and the VM has {} KiB; raise machine.memory",
                end.div_ceil(1024),
                memory / 1024
            )),
            None => Err(format!(
                "its note asks for a stack of {wanted} bytes, which no VM can have"
            )),
        }
    }

    /// The guest's address space: ranges in rising order, page-aligned, without overlap. What is in none of them is
    /// not mapped.
    pub fn ranges(&self, plan: &Plan, vcpus: u32) -> Vec<(u64, u64, Access)> {
        let page = |at: u64, access| (at, at + PAGE_SIZE, access);
        let mut ranges = vec![
            page(map::HYPERCALL_PAGE, Access::EXECUTE),
            page(map::BOOT_PAGE, Access::READ),
            page(map::SHARED_INFO, Access::READ),
            (map::DEVICES, map::DEVICES + 4 * PAGE_SIZE, Access::READ),
            (map::VCPU_PAGES, map::vcpu_page(vcpus), Access::WRITE),
            (map::CORNER, super::corner::STUBS, Access::RING0),
            page(super::corner::STUBS, Access::RING0_EXECUTE),
            (map::PAGE_TABLES, map::RAM_BASE, Access::WRITE),
            (map::RAM_BASE, self.image_start, Access::WRITE),
        ];
        let mut next = self.image_start;
        for segment in &plan.segments {
            let (start, end) = segment.pages();
            // A gap between segments is ordinary memory: the heap does not use it, a kernel may.
            ranges.push((next, start, Access::WRITE));
            let access = match (segment.write, segment.execute) {
                (true, _) => Access::WRITE,
                (false, true) => Access::EXECUTE,
                (false, false) => Access::READ,
            };
            ranges.push((start, end, access));
            next = end;
        }
        ranges.push((self.stack_start, self.memory_end, Access::WRITE));
        ranges.retain(|(start, end, _)| start < end);
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Segment;
    use hypercall_abi::note::Note;

    fn plan(stack_bytes: u64) -> Plan {
        let segment = |address, size, write, execute| Segment {
            address,
            size,
            file_offset: 0,
            file_size: 0,
            write,
            execute,
        };
        Plan {
            entry: 0x20_1000,
            segments: vec![
                segment(0x20_0000, 0x800, false, false),
                segment(0x20_1000, 0x1234, false, true),
                segment(0x20_4000, 0x10, true, false),
            ],
            note: Note {
                stack_bytes,
                ..Note::DEFAULT
            },
        }
    }

    #[test]
    fn a_guard_page_lies_below_the_stack() {
        let layout = Layout::new(&plan(0), 64 << 20).unwrap();
        assert_eq!(
            (layout.image_start, layout.image_end),
            (0x20_0000, 0x20_5000)
        );
        assert_eq!(layout.stack_start, 0x20_6000);
        assert_eq!(layout.stack_end - layout.stack_start, DEFAULT_STACK);
        let ranges = layout.ranges(&plan(0), 1);
        assert!(
            ranges
                .iter()
                .all(|&(start, end, _)| end <= 0x20_5000 || start >= 0x20_6000)
        );
        assert!(
            ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "{ranges:x?}"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_sum() {
        let error = Layout::new(&plan(1 << 20), 2 << 20).unwrap_err();
        assert!(error.contains("3096 KiB"), "{error}");
        let error = Layout::new(&plan(u64::MAX), 64 << 20).unwrap_err();
        assert!(error.contains("no VM can have"), "{error}");
        assert!(Layout::new(&plan(u64::MAX - (4 << 20)), 64 << 20).is_err());
    }

    #[test]
    fn nothing_below_64_kib_is_mapped() {
        let layout = Layout::new(&plan(0), 64 << 20).unwrap();
        assert!(layout.ranges(&plan(0), 64)[0].0 >= 64 * 1024);
    }
}
