//! RESP2, the protocol of Redis: requests out of bytes, however these arrive, and replies into bytes.
//!
//! Owns the syntax and its limits, not what commands mean. Pure.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// The most arguments of a request.
pub const MOST_ARGUMENTS: usize = 1024;
/// The most bytes of a request's arguments together.
pub const MOST_BYTES: usize = 256 << 10;
/// The most bytes of a line, without its end.
pub const MOST_LINE: usize = 4096;

/// A command and its arguments; never empty.
pub type Request = Vec<Vec<u8>>;

/// Why bytes are no request. Where the next one begins is not known then: the connection is of no further use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A line is longer than [`MOST_LINE`].
    Line,
    /// A number of arguments that is none, or above [`MOST_ARGUMENTS`].
    Count,
    /// An argument does not begin with its length.
    NoLength,
    /// A length that is none, or makes more than [`MOST_BYTES`].
    Length,
    /// An argument is longer than it says.
    NoEnd,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Malformed::Line => write!(f, "a line has at most {MOST_LINE} bytes"),
            Malformed::Count => write!(f, "after '*', a number up to {MOST_ARGUMENTS}"),
            Malformed::NoLength => f.write_str("expected '$' and an argument's length"),
            Malformed::Length => write!(f, "after '$', a length up to {MOST_BYTES} together"),
            Malformed::NoEnd => f.write_str("an argument ends with CR LF"),
        }
    }
}

/// Cuts requests out of what a connection brings.
#[derive(Default)]
pub struct Parser {
    input: Vec<u8>,
    /// Up to where the input has been understood.
    at: usize,
    /// Those of the request that is under way, and how many more it has.
    arguments: Request,
    missing: usize,
    /// The length of the argument that is under way.
    length: Option<usize>,
    /// Bytes of the arguments so far, and of this one.
    bytes: usize,
}

impl Parser {
    /// Takes in what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.extend_from_slice(bytes);
    }

    /// The next request, if all of it is there.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn next(&mut self) -> Result<Option<Request>, Malformed> {
        while self.step()? {
            if self.missing == 0 && !self.arguments.is_empty() {
                self.bytes = 0;
                return Ok(Some(core::mem::take(&mut self.arguments)));
            }
        }
        Ok(None)
    }

    /// Takes a line or an argument from the input; says whether one was there.
    fn step(&mut self) -> Result<bool, Malformed> {
        match self.length {
            Some(length) => self.argument(length),
            None => match self.line()? {
                Some(line) => self.begin(line).map(|()| true),
                None => Ok(false),
            },
        }
    }

    fn argument(&mut self, length: usize) -> Result<bool, Malformed> {
        let Some(bytes) = self.input[self.at..].get(..length + 2) else {
            return Ok(false);
        };
        let (argument, end) = bytes.split_at(length);
        if end != b"\r\n" {
            return Err(Malformed::NoEnd);
        }
        self.arguments.push(argument.to_vec());
        self.at += length + 2;
        self.missing -= 1;
        self.length = None;
        Ok(true)
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        let rest = &self.input[self.at..];
        // One more byte for the CR.
        let line = rest.iter().take(MOST_LINE + 2).position(|&b| b == b'\n');
        match line {
            Some(length) => {
                let start = self.at;
                self.at += length + 1;
                let has_return = rest[..length].ends_with(b"\r");
                Ok(Some(start..start + length - usize::from(has_return)))
            }
            None if rest.len() > MOST_LINE + 1 => Err(Malformed::Line),
            None => Ok(None),
        }
    }

    /// What a line begins: a request, one of its arguments, or nothing, being a request itself.
    fn begin(&mut self, line: Range<usize>) -> Result<(), Malformed> {
        let line = &self.input[line];
        match (self.missing, line.split_first()) {
            (0, Some((b'*', count))) => {
                let count = number(count).ok_or(Malformed::Count)?;
                // None, or fewer, ask for nothing.
                self.missing = usize::try_from(count).unwrap_or(0);
                match self.missing > MOST_ARGUMENTS {
                    true => Err(Malformed::Count),
                    false => Ok(()),
                }
            }
            (0, _) => {
                let words = line.split(u8::is_ascii_whitespace);
                let words = words.filter(|word| !word.is_empty());
                self.arguments = words.map(<[u8]>::to_vec).collect();
                Ok(())
            }
            (_, Some((b'$', length))) => {
                let length = number(length).and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|length| *length <= MOST_BYTES - self.bytes);
                let length = length.ok_or(Malformed::Length)?;
                self.bytes += length;
                self.length = Some(length);
                Ok(())
            }
            _ => Err(Malformed::NoLength),
        }
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// What a client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A word of the protocol's own.
    Simple(&'static str),
    /// Why not.
    Error(String),
    /// A count.
    Integer(u64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// No such thing.
    Nil,
    /// Several.
    Array(Vec<Reply>),
}

impl Reply {
    /// What most commands say that have nothing to say.
    pub const OK: Reply = Reply::Simple("OK");

    /// Appends it to what is sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        use alloc::format;
        let line = match self {
            Reply::Simple(word) => Cow::Owned(format!("+{word}")),
            Reply::Error(why) => Cow::Owned(format!("-ERR {}", why.replace(['\r', '\n'], " "))),
            Reply::Integer(count) => Cow::Owned(format!(":{count}")),
            Reply::Bulk(bytes) => Cow::Owned(format!("${}", bytes.len())),
            Reply::Nil => Cow::Borrowed("$-1"),
            Reply::Array(replies) => Cow::Owned(format!("*{}", replies.len())),
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        match self {
            Reply::Bulk(bytes) => {
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Array(replies) => replies.iter().for_each(|reply| reply.write(out)),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;
