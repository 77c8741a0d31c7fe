//! Standard input: bytes and lines.

use crate::calls;
use crate::event::{self, CONSOLE_INPUT};
use crate::sync::{Mutex, MutexGuard};
use alloc::string::String;
use alloc::vec::Vec;
use hypercall_abi::Status;

/// Bytes asked for with one call.
const BUFFER: usize = 4096;

static INPUT: Mutex<Buffer> = Mutex::new(Buffer {
    start: 0,
    end: 0,
    bytes: [0; BUFFER],
});

/// Bytes that were read and not yet asked for.
struct Buffer {
    start: usize,
    end: usize,
    bytes: [u8; BUFFER],
}

impl Buffer {
    /// Reads more if there is nothing. Nothing is there after it at the end of input only.
    fn fill(&mut self) -> Result<(), Status> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.end = read(&mut self.bytes)?;
        }
        Ok(())
    }

    /// Moves out what is there, as much as fits.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let len = (self.end - self.start).min(buffer.len());
        buffer[..len].copy_from_slice(&self.bytes[self.start..self.start + len]);
        self.consume(len);
        len
    }

    fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Moves what is there, up to and including a newline, to a line's end, and says whether that completes it. The end of input does too.
    fn take_line(&mut self, line: &mut Vec<u8>) -> bool {
        let bytes = &self.bytes[self.start..self.end];
        let newline = bytes.iter().position(|&byte| byte == b'\n');
        let len = newline.map_or(bytes.len(), |at| at + 1);
        line.extend_from_slice(&bytes[..len]);
        self.consume(len);
        newline.is_some() || len == 0
    }

    /// Appends bytes up to and including a newline, or to the end of input.
    fn read_line(&mut self, line: &mut Vec<u8>) -> Result<usize, Status> {
        let before = line.len();
        loop {
            self.fill()?;
            if self.take_line(line) {
                return Ok(line.len() - before);
            }
        }
    }
}

/// Reads from the host, and blocks until there is something or the end of input.
fn read(buffer: &mut [u8]) -> Result<usize, Status> {
    super::flush();
    loop {
        // Cleared before the look, so that input which comes after it raises the event again.
        event::take(CONSOLE_INPUT);
        match calls::console_read(buffer) {
            Err(Status::AGAIN) => {
                let _ = event::rest(CONSOLE_INPUT, None);
            }
            answer => return answer,
        }
    }
}

/// Standard input.
#[derive(Clone, Copy, Debug)]
pub struct Stdin(());

/// Standard input, shared by all threads: each read or line is one thread's.
///
/// ```no_run
/// use guest_sdk::{console::stdin, println};
/// for line in stdin().lines() {
///     println!("{}", line?);
/// }
/// # Ok::<(), guest_sdk::abi::Status>(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(())
}

impl Stdin {
    /// Reads at most a buffer full; blocks until there is something. 0 at the end of input.
    ///
    /// # Errors
    /// What the host answered, usually [`Status::DENIED`] or [`Status::IO`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Status> {
        let mut input = self.lock();
        if input.start == input.end && buffer.len() >= BUFFER {
            return read(buffer);
        }
        input.fill()?;
        Ok(input.take(buffer))
    }

    /// As [`read`](Stdin::read), for a task: others of its vCPU run while there is nothing.
    ///
    /// # Errors
    /// As [`read`](Stdin::read).
    pub async fn read_async(&mut self, buffer: &mut [u8]) -> Result<usize, Status> {
        Ok(self.ready().await?.take(buffer))
    }

    /// As [`read_line`](Stdin::read_line), for a task. Lines go to one task at a time: if two read at once, both get parts.
    ///
    /// # Errors
    /// As [`read`](Stdin::read).
    pub async fn read_line_async(&mut self, line: &mut String) -> Result<usize, Status> {
        let mut bytes = Vec::new();
        while !self.ready().await?.take_line(&mut bytes) {}
        line.push_str(&String::from_utf8_lossy(&bytes));
        Ok(bytes.len())
    }

    /// Appends one line, its newline included, and returns its length in bytes; 0 at the end of input. Bytes that
    /// are not UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`read`](Stdin::read).
    pub fn read_line(&mut self, line: &mut String) -> Result<usize, Status> {
        let mut bytes = Vec::new();
        let len = self.lock().read_line(&mut bytes)?;
        line.push_str(&String::from_utf8_lossy(&bytes));
        Ok(len)
    }

    /// The lines to the end of input, without their newlines.
    #[must_use]
    pub fn lines(self) -> Lines {
        Lines { input: self }
    }

    /// Waits for input or its end, as a task.
    async fn ready(&self) -> Result<MutexGuard<'static, Buffer>, Status> {
        super::flush();
        loop {
            match self.try_fill() {
                Err(Status::AGAIN) => event::next(CONSOLE_INPUT).await,
                answer => return answer,
            };
        }
    }

    /// As [`Buffer::fill`], but [`Status::AGAIN`] where that would block.
    fn try_fill(&self) -> Result<MutexGuard<'static, Buffer>, Status> {
        let mut input = self.lock();
        if input.start == input.end {
            // Cleared before the look, as in `read`.
            event::take(CONSOLE_INPUT);
            let len = calls::console_read(&mut input.bytes)?;
            (input.start, input.end) = (0, len);
        }
        Ok(input)
    }

    fn lock(&self) -> MutexGuard<'static, Buffer> {
        INPUT.lock()
    }
}

/// The lines of standard input.
#[derive(Debug)]
pub struct Lines {
    input: Stdin,
}

impl Iterator for Lines {
    type Item = Result<String, Status>;

    fn next(&mut self) -> Option<Result<String, Status>> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.ends_with('\n') {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(status) => Some(Err(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_of_the_buffer_one_by_one() {
        let mut buffer = Buffer {
            start: 0,
            end: 0,
            bytes: [0; BUFFER],
        };
        let text = b"one\n\ntwo\n";
        buffer.bytes[..text.len()].copy_from_slice(text);
        buffer.end = text.len();
        let mut line = Vec::new();
        assert_eq!(buffer.read_line(&mut line), Ok(4));
        assert_eq!(buffer.read_line(&mut line), Ok(1));
        assert_eq!(buffer.read_line(&mut line), Ok(4));
        assert_eq!(line, text);
        assert_eq!(buffer.start, buffer.end);
    }
}
