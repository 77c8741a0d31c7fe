//! What an ELF image says about an address in it: functions, inlined or not, files and lines, bytes. Owns the doors to `object` and
//! `addr2line`; knows nothing of faults.
//!
//! Every answer is a best effort. An image that is missing, cut short, stripped or made up yields fewer answers.

use addr2line::gimli::{self, EndianSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Files longer than this are not looked into, in bytes.
const MAX_IMAGE: u64 = 256 << 20;

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The symbols of one image.
pub struct Symbols<'a> {
    elf: Option<ElfFile64<'a, object::LittleEndian>>,
    lines: Option<addr2line::Context<Bytes<'a>>>,
    functions: Vec<Function<'a>>,
}

/// An entry of the symbol table.
struct Function<'a> {
    start: u64,
    /// 0: up to the next one.
    size: u64,
    name: &'a str,
}

/// One function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name, readable.
    pub function: Option<String>,
    /// Bytes from the function's start to the address; known for the outermost one.
    pub offset: Option<u64>,
    /// Where in the source.
    pub location: Option<Location>,
    /// Whether the compiler merged this function into the next frame's.
    pub inlined: bool,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as the compiler was given it or absolute.
    pub file: String,
    /// The line from 1, or 0 where unknown.
    pub line: u32,
    /// The column from 1, or 0 where unknown.
    pub column: u32,
}

/// Reads an image file whole; `None` for what is not a regular file of reasonable length.
pub fn read_image(path: &Path) -> Option<Vec<u8>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None; // opening a FIFO would block
    }
    let mut bytes = Vec::new();
    let read = File::open(path)
        .ok()?
        .take(MAX_IMAGE.saturating_add(1))
        .read_to_end(&mut bytes);
    (read.ok()? as u64 <= MAX_IMAGE).then_some(bytes)
}

impl<'a> Symbols<'a> {
    /// Looks into an image; anything at all may be in `image`.
    pub fn parse(image: &'a [u8]) -> Symbols<'a> {
        let Ok(elf) = ElfFile64::parse(image) else {
            return Symbols {
                elf: None,
                lines: None,
                functions: Vec::new(),
            };
        };
        let mut functions: Vec<Function<'a>> = elf
            .symbols()
            .filter(|symbol| {
                matches!(
                    symbol.kind(),
                    SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label
                )
            })
            .filter(|symbol| symbol.is_definition() && symbol.address() != 0)
            .filter(|symbol| is_code(&elf, symbol.section_index()))
            .filter_map(|symbol| {
                let (start, size) = (symbol.address(), symbol.size());
                symbol
                    .name()
                    .ok()
                    .map(|name| Function { start, size, name })
            })
            .collect();
        functions.sort_by_key(|function| (function.start, function.size));
        Symbols {
            lines: lines(&elf),
            elf: Some(elf),
            functions,
        }
    }

    /// Whether the image names no function at all.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && !self.has_lines()
    }

    /// Whether the image has line tables.
    pub fn has_lines(&self) -> bool {
        self.elf
            .as_ref()
            .and_then(|elf| elf.section_by_name(".debug_line"))
            .is_some_and(|section| section.size() != 0)
    }

    /// The functions that `address` lies in, innermost first, and the last of them not inlined. Empty where nothing is known.
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        if self.code(address).is_none() {
            // The linker leaves the line tables of functions that it threw away, at address 0 and a little above.
            return Vec::new();
        }
        let function = self.function(address);
        let mut frames = self
            .lines
            .as_ref()
            .map_or_else(Vec::new, |lines| line_frames(lines, address));
        if frames.is_empty() && function.is_some() {
            frames.push(Frame {
                function: None,
                offset: None,
                location: None,
                inlined: false,
            });
        }
        if let (Some(outermost), Some(function)) = (frames.last_mut(), function) {
            // Line tables alone have short names; the symbol table has the whole path.
            outermost.function = Some(demangle(function.name));
            outermost.offset = address.checked_sub(function.start);
        }
        frames
    }

    /// The bytes at `address` and after it, as far as the image says that they are code and its guest cannot write there.
    pub fn code(&self, address: u64) -> Option<&'a [u8]> {
        self.elf.as_ref()?.segments().find_map(|segment| {
            let SegmentFlags::Elf { p_flags, .. } = segment.flags() else {
                return None;
            };
            if !p_flags.contains(object::elf::PF_X) || p_flags.contains(object::elf::PF_W) {
                return None;
            }
            let offset = usize::try_from(address.checked_sub(segment.address())?).ok()?;
            segment
                .data()
                .ok()?
                .get(offset..)
                .filter(|rest| !rest.is_empty())
        })
    }

    fn function(&self, address: u64) -> Option<&Function<'a>> {
        let after = self
            .functions
            .partition_point(|function| function.start <= address);
        let found = self.functions.get(after.checked_sub(1)?)?;
        let inside = match found.size {
            0 => self.code(address).is_some() && self.code(found.start).is_some(),
            size => address.checked_sub(found.start)? < size,
        };
        inside.then_some(found)
    }
}

fn is_code(
    elf: &ElfFile64<'_, object::LittleEndian>,
    section: Option<object::SectionIndex>,
) -> bool {
    section
        .and_then(|index| elf.section_by_index(index).ok())
        .is_some_and(|section| section.kind() == object::SectionKind::Text)
}

fn lines<'a>(elf: &ElfFile64<'a, object::LittleEndian>) -> Option<addr2line::Context<Bytes<'a>>> {
    let load = |id: gimli::SectionId| -> Result<Bytes<'a>, gimli::Error> {
        let data = elf
            .section_by_name(id.name())
            .and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    addr2line::Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()
}

fn line_frames(lines: &addr2line::Context<Bytes<'_>>, address: u64) -> Vec<Frame> {
    /// A chain of inlined functions longer than this is cut.
    const DEEPEST: usize = 64;
    let mut frames = Vec::new();
    let Ok(mut found) = lines.find_frames(address).skip_all_loads() else {
        return frames;
    };
    while let Ok(Some(frame)) = found.next() {
        if frames.len() == DEEPEST {
            break;
        }
        frames.push(Frame {
            function: frame
                .function
                .and_then(|name| Some(name.demangle().ok()?.into_owned())),
            offset: None,
            location: frame.location.and_then(|location| {
                Some(Location {
                    file: location.file?.to_owned(),
                    line: location.line.unwrap_or(0),
                    column: location.column.unwrap_or(0),
                })
            }),
            inlined: true,
        });
    }
    if let Some(outermost) = frames.last_mut() {
        outermost.inlined = false;
    }
    frames
}

fn demangle(name: &str) -> String {
    addr2line::demangle_auto(name.into(), Some(gimli::DW_LANG_Rust)).into_owned()
}
