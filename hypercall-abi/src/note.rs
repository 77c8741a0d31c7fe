//! The ELF note every guest image carries, checked before the guest boots.
//!
//! A `PT_NOTE` entry with name [`OWNER`] and type [`KIND`], whose descriptor is a [`Note`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The note's owner, without the terminating zero.
pub const OWNER: &str = "Trapless";
/// The note's type.
pub const KIND: u32 = 1;

/// What an image says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Note {
    /// The ABI it was built against: see [`version`](crate::version).
    pub major: u16,
    /// The least minor version it can live with.
    pub minor_least: u16,
    /// The minor version it was built against.
    pub minor_built: u16,
    /// Zero.
    pub reserved0: u16,
    /// Feature bits it cannot do without.
    pub features: u64,
    /// Call classes it cannot do without.
    pub classes: u64,
    /// Device kinds it cannot do without: bit *n* is virtio device ID *n*.
    pub devices: u64,
    /// Bytes of stack for the first vCPU; 0: the host's default.
    pub stack_bytes: u64,
    /// The line of the source on which it says so; 0 where that is not known.
    pub line: u32,
    /// The file of that line, as the compiler names it: UTF-8, padded with zeros, and without its beginning where that is too long.
    pub file: [u8; 60],
}

layout!(Note, size 104, major @ 0, minor_least @ 2, minor_built @ 4, features @ 8, classes @ 16, devices @ 24, stack_bytes @ 32,
    line @ 40, file @ 44);

impl Note {
    /// What an image that wants nothing special says.
    pub const DEFAULT: Note = Note {
        major: crate::version::MAJOR,
        minor_least: 0,
        minor_built: crate::version::MINOR,
        reserved0: 0,
        features: 0,
        classes: 0,
        devices: 0,
        stack_bytes: 0,
        line: 0,
        file: [0; 60],
    };

    /// This note, which needs a device of a [kind](crate::device::kind) as well.
    #[must_use]
    pub const fn needs(mut self, kind: u32) -> Note {
        assert!(kind < u64::BITS, "device kinds are below 64");
        self.devices |= 1 << kind;
        self
    }

    /// This note, as said in a line of the source: `note.said_in(file!(), line!())`.
    #[must_use]
    pub const fn said_in(mut self, file: &str, line: u32) -> Note {
        let file = file.as_bytes();
        let skipped = file.len().saturating_sub(self.file.len());
        let mut at = 0;
        while at + skipped < file.len() {
            self.file[at] = file[at + skipped];
            at += 1;
        }
        self.line = line;
        self
    }

    /// The file and the line of the source on which it says what it says, if it says where.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u32)> {
        let len = self.file.iter().position(|byte| *byte == 0);
        let file = self.file.get(..len.unwrap_or(self.file.len()))?;
        // A name that was cut may begin inside a character.
        let start = file.iter().position(|byte| byte & 0xc0 != 0x80)?;
        let file = core::str::from_utf8(file.get(start..)?).ok()?;
        (self.line != 0).then_some((file, self.line))
    }
}

/// A whole note as it stands in the image: header, owner, descriptor. For a `static` in the section `.note.trapless`.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C, align(4))]
pub struct NoteSection {
    owner_size: u32,
    desc_size: u32,
    kind: u32,
    owner: [u8; 12],
    desc: [u8; core::mem::size_of::<Note>()],
}

const _: () = assert!(core::mem::size_of::<NoteSection>() == 128);

impl NoteSection {
    /// The section for a note.
    #[must_use]
    pub const fn new(note: Note) -> NoteSection {
        NoteSection {
            owner_size: OWNER.len() as u32 + 1,
            desc_size: core::mem::size_of::<Note>() as u32,
            kind: KIND,
            owner: *b"Trapless\0\0\0\0",
            desc: zerocopy::transmute!(note),
        }
    }
}
