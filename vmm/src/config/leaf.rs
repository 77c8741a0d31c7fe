//! The kinds of value at the leaves of the tree. Each says what it expects and refuses what it cannot be.

use super::refusal::unknown;
use super::{Backend, Cache, Transport};
use super::{size, time};
use hypercall_abi::class::{CLASSES, Class};
use hypercall_abi::map::{MAX_MEMORY, MIN_MEMORY, PAGE_SIZE};
use std::path::PathBuf;
use std::time::Duration;

/// A kind of value that is written as a string.
pub(super) trait Leaf {
    /// What a string of this kind becomes.
    type Value;

    /// What it is, for "found an integer; expected …".
    const EXPECTED: &'static str;

    /// Reads it, or says what was wrong and what would be right.
    fn read(text: &str) -> Result<Self::Value, String>;
}

/// A kind of value that comes in arrays.
pub(super) trait Element: Leaf {
    /// What such an array is, for "found an integer; expected …".
    const EXPECTED_ARRAY: &'static str;
}

/// The path of a file.
pub(super) enum FilePath {}

impl Leaf for FilePath {
    type Value = PathBuf;

    const EXPECTED: &'static str = "a path in quotes";

    fn read(text: &str) -> Result<PathBuf, String> {
        match text {
            "" => Err("the path is empty; write the file's path".to_owned()),
            _ if text.contains('\0') => {
                Err("a path cannot contain a NUL byte; remove it".to_owned())
            }
            _ => Ok(text.into()),
        }
    }
}

/// The name of a cargo package, target or profile.
pub(super) enum Name {}

impl Leaf for Name {
    type Value = String;

    const EXPECTED: &'static str = "a name in quotes";

    fn read(text: &str) -> Result<String, String> {
        let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || !text.chars().all(fits) || text.starts_with('-') {
            return Err(format!(
                "{text:?} cannot be a name in cargo; write letters, digits, - and _"
            ));
        }
        Ok(text.to_owned())
    }
}

/// A command line argument.
pub(super) enum Argument {}

impl Leaf for Argument {
    type Value = String;

    const EXPECTED: &'static str = "a string";

    fn read(text: &str) -> Result<String, String> {
        no_nul("an argument", text)?;
        Ok(text.to_owned())
    }
}

impl Element for Argument {
    const EXPECTED_ARRAY: &'static str = "an array of strings, such as [\"-v\"]";
}

/// The name of an environment variable.
pub(super) enum Variable {}

impl Leaf for Variable {
    type Value = String;

    const EXPECTED: &'static str = "a name";

    fn read(text: &str) -> Result<String, String> {
        no_nul("a variable's name", text)?;
        if text.is_empty() {
            return Err("a variable's name cannot be empty; write NAME = \"value\"".to_owned());
        }
        if text.contains('=') {
            return Err(format!(
                "a variable's name cannot contain `=`, as {text:?} does; write NAME = \"value\""
            ));
        }
        Ok(text.to_owned())
    }
}

/// The value of an environment variable.
pub(super) enum Setting {}

impl Leaf for Setting {
    type Value = String;

    const EXPECTED: &'static str = "a string";

    fn read(text: &str) -> Result<String, String> {
        no_nul("a variable's value", text)?;
        Ok(text.to_owned())
    }
}

fn no_nul(what: &str, text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err(format!("{what} cannot contain a NUL byte; remove it")),
        false => Ok(()),
    }
}

/// Bytes of RAM that a VM can have.
pub(super) enum Memory {}

impl Leaf for Memory {
    type Value = u64;

    const EXPECTED: &'static str = "a size in quotes, such as \"64MiB\"";

    fn read(text: &str) -> Result<u64, String> {
        let bytes = size::parse(text)?;
        let (least, most) = (size::render(MIN_MEMORY), size::render(MAX_MEMORY));
        if bytes < MIN_MEMORY {
            return Err(format!(
                "{text:?} is too little memory; a VM has at least \"{least}\""
            ));
        }
        if bytes > MAX_MEMORY {
            return Err(format!(
                "{text:?} is too much memory; a VM has at most \"{most}\""
            ));
        }
        if !bytes.is_multiple_of(PAGE_SIZE) {
            let whole = size::render(bytes.next_multiple_of(PAGE_SIZE));
            return Err(format!(
                "{text:?} is not a whole number of 4 KiB pages; the next one is \"{whole}\""
            ));
        }
        Ok(bytes)
    }
}

/// How long a VM may run.
pub(super) enum TimeLimit {}

impl Leaf for TimeLimit {
    type Value = Duration;

    const EXPECTED: &'static str = "a time in quotes, such as \"10s\"";

    fn read(text: &str) -> Result<Duration, String> {
        let limit = time::parse(text)?;
        if limit.is_zero() {
            return Err("a limit of no time at all stops the guest before it starts; write a time such as \"10s\", or leave the \
                        key out for no limit".to_owned());
        }
        Ok(limit)
    }
}

/// How long a guest has to end after it was asked to.
pub(super) enum Grace {}

impl Leaf for Grace {
    type Value = Duration;

    const EXPECTED: &'static str = "a time in quotes, such as \"2s\"";

    fn read(text: &str) -> Result<Duration, String> {
        time::parse(text)
    }
}

/// The name of a device.
pub(super) enum DeviceName {}

impl Leaf for DeviceName {
    type Value = String;

    const EXPECTED: &'static str = "a name in quotes";

    fn read(text: &str) -> Result<String, String> {
        match text.len() {
            1..=32 if !text.contains(char::is_control) => Ok(text.to_owned()),
            _ => Err(format!(
                "{text:?} cannot be a device's name; write 1 to 32 bytes, such as \"data\""
            )),
        }
    }
}

/// The serial number of a disk.
pub(super) enum SerialNumber {}

impl Leaf for SerialNumber {
    type Value = String;

    const EXPECTED: &'static str = "a serial number in quotes";

    fn read(text: &str) -> Result<String, String> {
        match text.len() {
            0..=20 if text.chars().all(|c| c.is_ascii_graphic()) => Ok(text.to_owned()),
            _ => Err(format!(
                "{text:?} cannot be a disk's serial number; write at most 20 letters, digits and signs without spaces"
            )),
        }
    }
}

/// When a disk's writes are durable, by name.
pub(super) enum CacheName {}

impl Leaf for CacheName {
    type Value = Cache;

    const EXPECTED: &'static str = "\"writeback\" or \"writethrough\"";

    fn read(text: &str) -> Result<Cache, String> {
        let known = Cache::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| unknown("cache mode", text, &Cache::ALL.map(Cache::name)))
    }
}

/// How the kernel is asked for a disk's sectors, by name.
pub(super) enum BackendName {}

impl Leaf for BackendName {
    type Value = Backend;

    const EXPECTED: &'static str = "\"auto\", \"io_uring\" or \"plain\"";

    fn read(text: &str) -> Result<Backend, String> {
        let known = Backend::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| unknown("backend", text, &Backend::ALL.map(Backend::name)))
    }
}

/// A transport, by name.
pub(super) enum TransportName {}

impl Leaf for TransportName {
    type Value = Transport;

    const EXPECTED: &'static str = "\"auto\", \"trap\" or \"poll\"";

    fn read(text: &str) -> Result<Transport, String> {
        let known = Transport::ALL
            .into_iter()
            .find(|known| known.name() == text);
        known.ok_or_else(|| unknown("transport", text, &Transport::ALL.map(Transport::name)))
    }
}

/// A call class, by name.
pub(super) enum ClassName {}

impl Leaf for ClassName {
    type Value = Class;

    const EXPECTED: &'static str = "the name of a call class in quotes";

    fn read(text: &str) -> Result<Class, String> {
        let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
        CLASSES
            .iter()
            .find(|class| class.name == text)
            .copied()
            .ok_or_else(|| unknown("call class", text, &names))
    }
}

impl Element for ClassName {
    const EXPECTED_ARRAY: &'static str = "an array of call classes, such as [\"console\"]";
}
