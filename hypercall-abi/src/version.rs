//! How this contract may change.
//!
//! - **Minor** versions only add: a call number, a status, a feature bit, a field in reserved space or at the end of the boot page, a
//!   device kind. A guest built against minor *m* runs on any host of minor ≥ its note's `minor_least`.
//! - **Major** versions may do anything. A host refuses an image of another major version before boot.
//! - An unknown call answers [`UNKNOWN_CALL`](crate::Status::UNKNOWN_CALL), an unoffered feature [`UNSUPPORTED`](crate::Status::UNSUPPORTED): a guest may always ask.
//! - While the major version is 0, minor versions may break too, and hosts demand an equal minor.

use crate::note::Note;

/// The major version.
pub const MAJOR: u16 = 0;
/// The minor version.
pub const MINOR: u16 = 2;

/// Why a host of this version cannot run an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// The image wants another major version, or (below 1.0) another minor.
    Version,
    /// The image needs a newer minor version.
    TooNew,
}

/// Whether a host of this version runs an image with this note.
///
/// # Errors
/// A [`Mismatch`] that says which rule of this module fails.
pub const fn accepts(note: &Note) -> Result<(), Mismatch> {
    if note.major != MAJOR {
        return Err(Mismatch::Version);
    }
    if MAJOR == 0 && note.minor_built > MINOR || note.minor_least > MINOR {
        return Err(Mismatch::TooNew);
    }
    if MAJOR == 0 && note.minor_built != MINOR {
        return Err(Mismatch::Version);
    }
    Ok(())
}

/// Feature bits, offered in the boot page and taken with [`FEATURES`](crate::call::FEATURES).
pub mod feature {
    /// The host serves call lines.
    pub const POLL: u64 = 1 << 0;
    /// The host serves batch rings.
    pub const BATCH: u64 = 1 << 1;
    /// The host serves doorbells.
    pub const DOORBELL: u64 = 1 << 2;
    /// For comparison with the calls, the host emulates a PC's devices at their ports (16550 at 0x3f8, 8254 at 0x40, MC146818 at 0x70,
    /// 8259A at 0x20 and 0xa0) and its privileged instructions at ring 3.
    pub const TRAPPED: u64 = 1 << 3;
    /// What this version of the host offers wherever it can; the boot page says what it offers this VM.
    pub const OFFERED: u64 = POLL | BATCH | DOORBELL | TRAPPED;
}
