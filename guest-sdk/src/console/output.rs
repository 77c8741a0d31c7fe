//! Standard output and error: text collected into lines, lines into calls.

use crate::calls::{self, STREAM_ERROR, STREAM_OUTPUT};
use crate::sync::Mutex;
use core::fmt::{self, Write};
use hypercall_abi::Status;

/// Bytes collected at most before they are written.
const BUFFER: usize = 1024;

static OUTPUT: Mutex<Buffer> = Mutex::new(Buffer::new(STREAM_OUTPUT));
static ERROR: Mutex<Buffer> = Mutex::new(Buffer::new(STREAM_ERROR));

/// The bytes of one stream that have not left the guest yet.
struct Buffer {
    stream: u64,
    len: usize,
    bytes: [u8; BUFFER],
}

impl Buffer {
    const fn new(stream: u64) -> Buffer {
        Buffer {
            stream,
            len: 0,
            bytes: [0; BUFFER],
        }
    }

    /// Takes bytes in; what does not fit leaves the guest first, and what never would leaves it directly.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Status> {
        if bytes.len() > BUFFER - self.len {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            return write_all(self.stream, bytes);
        }
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// Writes what is there. It counts as written even where it could not be.
    fn flush(&mut self) -> Result<(), Status> {
        let len = core::mem::take(&mut self.len);
        write_all(self.stream, &self.bytes[..len])
    }

    /// Writes the complete lines and keeps the rest.
    fn flush_lines(&mut self) -> Result<(), Status> {
        let Some(last) = self.bytes[..self.len]
            .iter()
            .rposition(|&byte| byte == b'\n')
        else {
            return Ok(());
        };
        let lines = last + 1;
        let written = write_all(self.stream, &self.bytes[..lines]);
        self.bytes.copy_within(lines..self.len, 0);
        self.len -= lines;
        written
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

fn write_all(stream: u64, mut bytes: &[u8]) -> Result<(), Status> {
    while !bytes.is_empty() {
        let done = calls::console_write(stream, bytes)?;
        bytes = bytes.get(done..).unwrap_or_default();
    }
    Ok(())
}

/// What [`print!`](crate::print) expands to.
pub fn print(text: fmt::Arguments) {
    let mut buffer = OUTPUT.lock();
    let _ = buffer.write_fmt(text);
    let _ = buffer.flush_lines();
}

/// What [`eprint!`](crate::eprint) expands to. Nothing stays in the buffer.
pub fn print_error(text: fmt::Arguments) {
    let mut buffer = ERROR.lock();
    let _ = buffer.write_fmt(text);
    let _ = buffer.flush();
}

/// Writes standard output's buffer.
pub(crate) fn flush() {
    let _ = OUTPUT.lock().flush();
}

/// Writes the buffers, unless somebody, who may be the one that panics, is using them.
pub(crate) fn flush_in_panic() {
    for stream in [&OUTPUT, &ERROR] {
        if let Some(mut buffer) = stream.try_lock() {
            let _ = buffer.flush();
        }
    }
}

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub struct Stdout(());

/// Standard error.
#[derive(Clone, Copy, Debug)]
pub struct Stderr(());

/// Standard output, for bytes and for [`core::fmt::Write`].
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(())
}

/// Standard error, for bytes and for [`core::fmt::Write`].
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(())
}

impl Stdout {
    /// Writes bytes: complete lines at once, the rest with the next line or [`flush`](Stdout::flush).
    ///
    /// # Errors
    /// What the host answered, usually [`Status::DENIED`] or [`Status::IO`]; the bytes are lost then.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let mut buffer = OUTPUT.lock();
        buffer.push(bytes)?;
        buffer.flush_lines()
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// As [`write_all`](Stdout::write_all).
    pub fn flush(&mut self) -> Result<(), Status> {
        OUTPUT.lock().flush()
    }
}

impl Stderr {
    /// Writes bytes at once.
    ///
    /// # Errors
    /// As [`Stdout::write_all`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let mut buffer = ERROR.lock();
        buffer.push(bytes)?;
        buffer.flush()
    }
}

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_lines_leave() {
        let mut buffer = Buffer::new(STREAM_OUTPUT);
        buffer.push(b"one\ntwo\nthr").unwrap();
        buffer.flush_lines().unwrap();
        assert_eq!(&buffer.bytes[..buffer.len], b"thr");
        buffer.flush_lines().unwrap();
        assert_eq!(&buffer.bytes[..buffer.len], b"thr");
        buffer.flush().unwrap();
        assert_eq!(buffer.len, 0);
    }

    #[test]
    fn a_full_buffer_makes_room() {
        let mut buffer = Buffer::new(STREAM_OUTPUT);
        buffer.push(&[b'.'; BUFFER]).unwrap();
        assert_eq!(buffer.len, BUFFER);
        buffer.push(b"next").unwrap();
        assert_eq!(&buffer.bytes[..buffer.len], b"next");
        buffer.push(&[b'.'; BUFFER + 1]).unwrap();
        assert_eq!(buffer.len, 0);
    }
}
