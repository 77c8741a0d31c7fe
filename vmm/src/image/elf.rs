//! The parts of the ELF format that a static 64-bit executable needs (System V ABI, chapters 4 and 5; x86-64 supplement).

use super::{Segment, Source};
use hypercall_abi::map;
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
/// A program header of a note.
pub(super) const PT_NOTE: u32 = 4;
const PF_EXECUTE: u32 = 1;
const PF_WRITE: u32 = 2;
/// More program headers than this no linker makes for a guest.
const MAX_HEADERS: u16 = 64;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 4],
    class: u8,
    data: u8,
    version: u8,
    os_abi: u8,
    padding: [u8; 8],
    kind: u16,
    machine: u16,
    version2: u32,
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    flags: u32,
    size: u16,
    program_header_size: u16,
    program_header_count: u16,
    section_header_size: u16,
    section_header_count: u16,
    section_names: u16,
}

/// A program header, as the file has it.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ProgramHeader {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub physical: u64,
    pub file_size: u64,
    pub size: u64,
    pub align: u64,
}

/// Reads a struct; an end of file is the image's fault and said so.
fn read<T: FromBytes + IntoBytes, S: Source + ?Sized>(
    source: &S,
    offset: u64,
    what: &str,
) -> Result<T, String> {
    let mut value = T::new_zeroed();
    source
        .read_at(offset, value.as_mut_bytes())
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("it is truncated: {what} ends past the end of the file")
            }
            _ => format!("reading {what}: {error}"),
        })?;
    Ok(value)
}

/// The entry point and the program headers.
pub(super) fn headers<S: Source + ?Sized>(source: &S) -> Result<(u64, Vec<ProgramHeader>), String> {
    let size = source.size();
    let mut magic = [0; 4];
    if size < 4 || source.read_at(0, &mut magic).is_err() || magic != *b"\x7fELF" {
        return Err("it is not an ELF file; an image is what `cargo` builds from a crate that uses guest-sdk".into());
    }
    let header: FileHeader = read(source, 0, "the ELF header")?;
    if (header.class, header.data) != (2, 1) {
        return Err("it is not a 64-bit little-endian ELF file".into());
    }
    if header.machine != 62 {
        return Err(format!(
            "it is for ELF machine {}, not for x86-64 (62)",
            header.machine
        ));
    }
    if header.kind != 2 {
        let kind = match header.kind {
            1 => "an unlinked object file",
            3 => "position-independent or a shared library",
            4 => "a core dump",
            _ => "of an unknown kind",
        };
        return Err(format!(
            "it is {kind}; an image is a static executable, linked with -static -no-pie"
        ));
    }
    if usize::from(header.program_header_size) != size_of::<ProgramHeader>() {
        return Err(format!(
            "its program headers are {} bytes long, not 56",
            header.program_header_size
        ));
    }
    if header.program_header_count > MAX_HEADERS {
        return Err(format!(
            "it has {} program headers; at most {MAX_HEADERS} are accepted",
            header.program_header_count
        ));
    }
    let mut headers = Vec::with_capacity(header.program_header_count.into());
    for index in 0..u64::from(header.program_header_count) {
        let offset = index
            .saturating_mul(size_of::<ProgramHeader>() as u64)
            .checked_add(header.program_headers)
            .ok_or("its program headers wrap around the end of the address space")?;
        headers.push(read(source, offset, "a program header")?);
    }
    Ok((header.entry, headers))
}

/// The loadable segments, checked one by one and against each other.
pub(super) fn segments<S: Source + ?Sized>(
    headers: &[ProgramHeader],
    source: &S,
) -> Result<Vec<Segment>, String> {
    if headers.iter().any(|header| header.kind == PT_INTERP) {
        return Err("it wants a dynamic linker; an image is a static executable".into());
    }
    let file_size = source.size();
    let mut segments = Vec::new();
    for header in headers
        .iter()
        .filter(|header| header.kind == PT_LOAD && header.size > 0)
    {
        segments.push(segment(header, file_size)?);
    }
    if segments.is_empty() {
        return Err("it has nothing to load".into());
    }
    segments.sort_by_key(|segment| segment.address);
    for pair in segments.windows(2) {
        if let [low, high] = pair
            && low.pages().1 > high.pages().0
        {
            return Err(format!(
                "its segments at {:#x} and {:#x} overlap or share a page",
                low.address, high.address
            ));
        }
    }
    Ok(segments)
}

fn segment(header: &ProgramHeader, file_size: u64) -> Result<Segment, String> {
    let ProgramHeader {
        address,
        size,
        offset,
        flags,
        ..
    } = *header;
    let at = format!("its segment at {address:#x}");
    if header.file_size > size {
        return Err(format!(
            "{at} has more bytes in the file ({}) than in memory ({size})",
            header.file_size
        ));
    }
    match offset.checked_add(header.file_size) {
        Some(end) if end <= file_size => {}
        _ => {
            return Err(format!(
                "it is truncated: {at} ends past the end of the file"
            ));
        }
    }
    match address.checked_add(size) {
        Some(end) if end <= map::MAX_MEMORY => {}
        _ => {
            return Err(format!(
                "{at} ends above {} GiB, the most memory a VM can have",
                map::MAX_MEMORY >> 30
            ));
        }
    }
    if address < map::RAM_BASE {
        return Err(format!(
            "{at} lies in the platform area; an image begins at {:#x} or above",
            map::RAM_BASE
        ));
    }
    let (write, execute) = (flags & PF_WRITE != 0, flags & PF_EXECUTE != 0);
    if write && execute {
        return Err(format!(
            "{at} is both writable and executable; a segment may be one of them"
        ));
    }
    Ok(Segment {
        address,
        size,
        file_offset: offset,
        file_size: header.file_size,
        write,
        execute,
    })
}
