//! Finding and judging the Trapless note.

use super::Source;
use super::elf::{PT_NOTE, ProgramHeader};
use hypercall_abi::note::{KIND, Note, OWNER};
use hypercall_abi::version::{self, Mismatch};
use zerocopy::FromBytes;

/// A note segment longer than this is not looked into.
const MAX_NOTES: u64 = 64 * 1024;

/// Finds the image's note and checks that this host can run what it describes.
pub(super) fn find<S: Source + ?Sized>(
    headers: &[ProgramHeader],
    source: &S,
) -> Result<Note, String> {
    for header in headers.iter().filter(|header| header.kind == PT_NOTE) {
        if header.file_size > MAX_NOTES {
            return Err(format!(
                "a note segment of {} bytes is not one a linker makes",
                header.file_size
            ));
        }
        let mut bytes = vec![0; usize::try_from(header.file_size).unwrap_or(0)];
        source
            .read_at(header.offset, &mut bytes)
            .map_err(|_| "it is truncated: its notes end past the end of the file")?;
        if let Some(descriptor) = descriptor(&bytes)? {
            return judge(descriptor);
        }
    }
    Err("it carries no Trapless note; was it built with guest-sdk's `entry!` or `note!`?".into())
}

/// The descriptor of our note among others; `None` where it is not there.
fn descriptor(mut notes: &[u8]) -> Result<Option<&[u8]>, String> {
    const DAMAGED: &str = "its notes are damaged: a note runs past the end of its segment";
    while !notes.is_empty() {
        let mut word = || {
            let (word, rest) = notes.split_first_chunk().ok_or(DAMAGED)?;
            notes = rest;
            Ok::<u32, String>(u32::from_le_bytes(*word))
        };
        let (owner_size, desc_size, kind) = (word()?, word()?, word()?);
        let mut bytes = |size: u32| {
            let size = usize::try_from(size).map_err(|_| DAMAGED)?;
            let padded = size.checked_next_multiple_of(4).ok_or(DAMAGED)?;
            // The last descriptor's padding may be missing.
            let (content, _) = notes.split_at_checked(size).ok_or(DAMAGED)?;
            notes = notes.get(padded..).unwrap_or(&[]);
            Ok::<&[u8], String>(content)
        };
        let (owner, desc) = (bytes(owner_size)?, bytes(desc_size)?);
        if owner.strip_suffix(b"\0") == Some(OWNER.as_bytes()) && kind == KIND {
            return Ok(Some(desc));
        }
    }
    Ok(None)
}

fn judge(descriptor: &[u8]) -> Result<Note, String> {
    let (note, _) = Note::read_from_prefix(descriptor).map_err(|_| {
        format!(
            "its Trapless note is damaged: {} bytes, not {}",
            descriptor.len(),
            size_of::<Note>()
        )
    })?;
    let host = format!("{}.{}", version::MAJOR, version::MINOR);
    let image = format!("{}.{}", note.major, note.minor_built);
    match version::accepts(&note) {
        Ok(()) => {}
        Err(Mismatch::TooNew) => {
            return Err(format!(
                "it was built for ABI {image} and this is a host of ABI {host}; a newer trapless is needed"
            ));
        }
        Err(Mismatch::Version) => {
            return Err(format!(
                "it was built for ABI {image} and this is a host of ABI {host}; build it with this version's guest-sdk"
            ));
        }
    }
    let missing = note.features & !version::feature::OFFERED;
    if missing != 0 {
        return Err(format!(
            "it needs ABI features {missing:#x}, which this host does not offer"
        ));
    }
    Ok(note)
}
