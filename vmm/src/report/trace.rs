//! The backtrace: addresses with what the image says of each, and how they are shown.

use super::symbols::{Frame, Location, Symbols};
use super::text::{Colour, is_standard_library, safe, short_path, shorten};
use hypercall_abi::map;
use std::fmt::Write;

/// Function names are cut to this many characters.
const NAME_WIDTH: usize = 66;
/// How often a repeated frame is shown before the rest is counted.
const REPEATS_SHOWN: usize = 2;

/// A backtrace with symbols.
pub struct Trace {
    entries: Vec<Entry>,
    directory: Option<String>,
}

/// One address and the functions it lies in, innermost first; none where the image knows nothing.
#[derive(PartialEq)]
struct Entry {
    address: u64,
    frames: Vec<Frame>,
}

/// How the first address of a backtrace is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It is the instruction that faulted.
    Instruction,
    /// It is the one after what happened, as all others are.
    Return,
}

impl Trace {
    /// Looks up a backtrace's addresses. Paths below `directory` are shown relative to it.
    pub fn new(
        addresses: &[u64],
        first: First,
        symbols: &Symbols<'_>,
        directory: Option<String>,
    ) -> Trace {
        let entry = |(index, &address): (usize, &u64)| {
            // A return address may already belong to the next line, or function.
            let back = u64::from(index != 0 || first == First::Return);
            Entry {
                address,
                frames: symbols.frames(address.saturating_sub(back)),
            }
        };
        Trace {
            entries: addresses.iter().enumerate().map(entry).collect(),
            directory,
        }
    }

    /// The innermost place that is not the standard library's, with its function.
    pub fn site(&self) -> Option<(&Location, Option<&str>)> {
        self.frames()
            .filter(|frame| !is_quiet(frame))
            .find_map(|frame| Some((frame.location.as_ref()?, frame.function.as_deref())))
    }

    /// The absolute location and the function of a place that a panic named as the compiler was given it.
    pub fn find(&self, file: &str, line: u32) -> Option<(&Location, Option<&str>)> {
        self.frames().find_map(|frame| {
            let location = frame.location.as_ref()?;
            let same =
                location.line == line && std::path::Path::new(&location.file).ends_with(file);
            same.then_some((location, frame.function.as_deref()))
        })
    }

    /// `file:line:column`, as short as it can be.
    pub fn place(&self, location: &Location) -> String {
        let mut text = short_path(&location.file, self.directory.as_deref());
        for number in [location.line, location.column] {
            if number == 0 {
                break;
            }
            let _ = write!(text, ":{number}");
        }
        text
    }

    /// The numbered list.
    pub fn render(&self, colour: Colour) -> String {
        let mut text = format!("{}\n", colour.strong("backtrace, innermost first"));
        let machinery = self.machinery();
        let mut index = 0;
        while let Some(entry) = self.entries.get(index) {
            let same = self
                .entries
                .iter()
                .skip(index)
                .take_while(|other| *other == entry)
                .count();
            let shown = if same > REPEATS_SHOWN.saturating_add(1) {
                REPEATS_SHOWN
            } else {
                same
            };
            for repeat in 0..shown {
                let number = index.saturating_add(repeat);
                self.entry(&mut text, number, entry, number < machinery, colour);
            }
            let left = same.saturating_sub(shown);
            if left != 0 {
                let line = format!("      the same {left} more times");
                let _ = writeln!(text, "{}", colour.quiet(&line));
            }
            index = index.saturating_add(same);
        }
        if self.entries.len() >= crate::backtrace::MAX_FRAMES {
            let line = format!("      cut after {} frames", self.entries.len());
            let _ = writeln!(text, "{}", colour.quiet(&line));
        }
        text
    }

    fn entry(
        &self,
        text: &mut String,
        number: usize,
        entry: &Entry,
        machinery: bool,
        colour: Colour,
    ) {
        let address = format!("{:#010x}", entry.address);
        if entry.frames.is_empty() {
            let _ = writeln!(
                text,
                "{number:>4}  {address}  {}",
                colour.quiet(unknown(entry.address))
            );
        }
        let blank = " ".repeat(address.len());
        for (index, frame) in entry.frames.iter().enumerate() {
            let (number, address) = if index == 0 {
                (number.to_string(), address.as_str())
            } else {
                (String::new(), blank.as_str())
            };
            let name = name(frame);
            if machinery || is_quiet(frame) {
                let _ = writeln!(text, "{number:>4}  {address}  {}", colour.quiet(&name));
                continue;
            }
            let _ = writeln!(text, "{number:>4}  {address}  {}", colour.strong(&name));
            if let Some(location) = &frame.location {
                let _ = writeln!(text, "      {blank}    at {}", self.place(location));
            }
        }
    }

    /// How many of the first entries only carry a panic to where it is reported.
    fn machinery(&self) -> usize {
        let is_machinery = |frame: &Frame| {
            frame.function.as_deref().is_some_and(|name| {
                name.ends_with("rust_begin_unwind") || name.starts_with("core::panicking::")
            })
        };
        self.entries
            .iter()
            .rposition(|entry| entry.frames.iter().any(is_machinery))
            .map_or(0, |last| last.saturating_add(1))
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.entries
            .iter()
            .skip(self.machinery())
            .flat_map(|entry| &entry.frames)
    }
}

fn name(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("?");
    let name = safe(&shorten(function, NAME_WIDTH), false);
    match frame {
        Frame { inlined: true, .. } => format!("{name} (inlined)"),
        Frame {
            location: None,
            offset: Some(offset),
            ..
        } => format!("{name} + {offset:#x}"),
        _ => name,
    }
}

/// Whether a frame is the standard library's: seldom where the mistake is.
fn is_quiet(frame: &Frame) -> bool {
    match &frame.location {
        Some(location) => is_standard_library(&location.file),
        None => frame.function.as_deref().is_some_and(|name| {
            ["core::", "alloc::", "std::", "<core::", "<alloc::"]
                .iter()
                .any(|start| name.starts_with(start))
        }),
    }
}

/// What is at an address that the image does not know.
fn unknown(address: u64) -> &'static str {
    match address {
        0 => "null",
        1..map::PLATFORM_BASE => "never mapped",
        map::HYPERCALL_PAGE..map::BOOT_PAGE => "the hypercall page",
        map::BOOT_PAGE..map::RAM_BASE => "the platform area",
        _ => "no symbol",
    }
}
