//! The boot page, and arguments and environment at the top of the first stack.

use super::Layout;
use crate::memory::{Memory, OutOfRange};
use hypercall_abi::boot::{BootPage, Bytes, MAGIC};
use hypercall_abi::class::Classes;
use hypercall_abi::{Gpa, map, version};

/// What the boot page says beside the layout.
pub(crate) struct Boot<'a> {
    pub vcpus: u32,
    pub devices: u32,
    pub classes: Classes,
    /// The features it offers.
    pub features: u64,
    pub xcr0: u64,
    pub seed: [u8; 32],
    pub args: &'a [String],
    pub env: &'a [String],
}

impl Boot<'_> {
    /// Writes both and says where the first vCPU's stack pointer starts: below the strings, 16-byte aligned.
    pub fn write(&self, memory: &Memory, layout: &Layout) -> Result<u64, OutOfRange> {
        let mut strings = Strings {
            memory,
            next: layout.stack_end,
        };
        let env = strings.push_all(self.env)?;
        let args = strings.push_all(self.args)?;
        let page = BootPage {
            magic: MAGIC,
            version_major: version::MAJOR,
            version_minor: version::MINOR,
            size: size_of::<BootPage>() as u32,
            features: self.features,
            classes: self.classes.0,
            memory_bytes: layout.memory_end,
            vcpus: self.vcpus,
            devices: self.devices,
            image_start: Gpa(layout.image_start),
            image_end: Gpa(layout.image_end),
            stack_start: Gpa(layout.stack_start),
            stack_end: Gpa(layout.stack_end),
            heap_start: Gpa(layout.stack_end),
            heap_end: Gpa(layout.memory_end),
            args,
            args_count: self.args.len() as u64,
            env,
            env_count: self.env.len() as u64,
            page_table_root: Gpa(map::PAGE_TABLES),
            xcr0: self.xcr0,
            seed: self.seed,
        };
        memory.store(Gpa(map::BOOT_PAGE), &page)?;
        Ok(strings.next & !15)
    }

    /// Bytes of stack that arguments and environment take.
    pub fn string_bytes(&self) -> u64 {
        let bytes = |string: &String| (string.len() + size_of::<Bytes>()) as u64;
        self.args.iter().chain(self.env).map(bytes).sum::<u64>() + 64
    }
}

struct Strings<'m> {
    memory: &'m Memory,
    next: u64,
}

impl Strings<'_> {
    /// Pushes strings and then the array that says where they are; returns its address.
    fn push_all(&mut self, strings: &[String]) -> Result<Gpa, OutOfRange> {
        let mut table = Vec::with_capacity(strings.len());
        for string in strings {
            let gpa = self.push(string.as_bytes(), 1)?;
            table.push(Bytes {
                gpa,
                len: string.len() as u64,
            });
        }
        self.push(zerocopy::IntoBytes::as_bytes(table.as_slice()), 8)
    }

    fn push(&mut self, bytes: &[u8], align: u64) -> Result<Gpa, OutOfRange> {
        let at = self
            .next
            .checked_sub(bytes.len() as u64)
            .ok_or(OutOfRange)?
            & !(align - 1);
        self.memory.write(Gpa(at), bytes)?;
        self.next = at;
        Ok(Gpa(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_arrive_whole_and_in_order() {
        let memory = Memory::new(8 << 20).unwrap();
        let layout = Layout {
            image_start: 0x20_0000,
            image_end: 0x20_1000,
            stack_start: 0x20_2000,
            stack_end: 0x30_2000,
            memory_end: 8 << 20,
        };
        let args = ["guest".to_owned(), String::new(), "grüße".to_owned()];
        let env = ["A=1".to_owned()];
        let boot = Boot {
            vcpus: 2,
            devices: 0,
            classes: Classes::ALL,
            features: 0,
            xcr0: 7,
            seed: [9; 32],
            args: &args,
            env: &env,
        };
        let rsp = boot.write(&memory, &layout).unwrap();
        assert!(rsp.is_multiple_of(16) && rsp > layout.stack_end - boot.string_bytes());
        let page: BootPage = memory.load(Gpa(map::BOOT_PAGE)).unwrap();
        let read = |table: Gpa, count: u64| -> Vec<String> {
            (0..count)
                .map(|index| {
                    let bytes: Bytes = memory.load(Gpa(table.0 + index * 16)).unwrap();
                    assert!(bytes.gpa.0 >= rsp);
                    let mut string = vec![0; bytes.len as usize];
                    memory.read(bytes.gpa, &mut string).unwrap();
                    String::from_utf8(string).unwrap()
                })
                .collect()
        };
        assert_eq!(read(page.args, page.args_count), args);
        assert_eq!(read(page.env, page.env_count), env);
        assert_eq!((page.magic, page.vcpus, page.seed), (MAGIC, 2, [9; 32]));
    }
}
