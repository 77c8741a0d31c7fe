//! Ports of the virtio console: byte streams with names, each with an end of its own on the host.
//!
//! Owns a port's buffers. What the host's end is, a file, a socket, standard input and output, the VM's configuration says in `[[console]]`.
//!
//! ```no_run
//! use guest_sdk::console::{OpenError, Port};
//! /// Gives back what clients of a socket send, one client after the other.
//! async fn echo() -> Result<(), OpenError> {
//!     let mut port = Port::open("echo")?;
//!     let mut bytes = [0; 512];
//!     // 0: a client has gone; reading on waits for the next.
//!     while let Ok(read) = port.read_async(&mut bytes).await {
//!         let _ = port.write_all_async(&bytes[..read]).await;
//!     }
//!     Ok(())
//! }
//! ```
//! Bytes of a client that comes at once after another may be read before the 0 that says that the other has gone.

use super::ports::{Ports, post};
use crate::executor::block_on;
use crate::virtio::{Completion, Data, Error, SetupError};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use hypercall_abi::console::event;

/// Bytes of a buffer of input.
const INPUT: usize = 4096;
/// Bytes of output that are given to the device at once.
const OUTPUT: usize = 16 * 1024;

/// Why a port cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The VM has none of that name.
    NoPort,
    /// It is open already.
    Taken,
    /// The console could not be set up.
    Setup(SetupError),
    /// The console failed while it was set up.
    Failed(Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoPort => f.write_str(
                "there is no such port: this VM's configuration has no [[console]] of that name",
            ),
            OpenError::Taken => f.write_str("the port is open already"),
            OpenError::Setup(error) => error.fmt(f),
            OpenError::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<SetupError> for OpenError {
    fn from(error: SetupError) -> OpenError {
        OpenError::Setup(error)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> OpenError {
        OpenError::Failed(error)
    }
}

/// A port that the guest has open, until both halves are gone.
struct Opened {
    ports: Arc<Ports>,
    port: u16,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Fails only where the device is of no use any more.
        let _ = self.ports.say(self.port, event::OPEN, 0);
        self.ports.give_back(self.port);
    }
}

/// A port. It is used on the vCPU that opened the first one: what the device does is told to that vCPU.
pub struct Port {
    reader: Reader,
    writer: Writer,
}

/// A port's input.
pub struct Reader {
    opened: Arc<Opened>,
    /// What was read and not yet asked for: a buffer, where that begins in it and where it ends.
    current: Option<(Vec<u8>, usize, usize)>,
    /// How many times this has said that somebody at the host's side has gone.
    closes: u64,
}

/// A port's output.
pub struct Writer {
    opened: Arc<Opened>,
    /// Buffers that the device does not have.
    free: Vec<Vec<u8>>,
}

impl Port {
    /// Opens the port with that name in the configuration. Blocks for the moment that setting the console up takes.
    ///
    /// # Errors
    /// An [`OpenError`].
    pub fn open(name: &str) -> Result<Port, OpenError> {
        let ports = Ports::connect()?;
        let port = ports.take(name)?;
        let opened = Arc::new(Opened { ports, port });
        opened.ports.wires[usize::from(port)].input.with(|queue| {
            queue.look()?;
            // What came for an earlier user is nobody's any more.
            while queue.pop().is_some() {}
            while !queue.is_full() {
                post(queue, vec![0; INPUT])?;
            }
            queue.kick();
            Ok::<(), Error>(())
        })?;
        let mut context = Context::from_waker(Waker::noop());
        // Before the host knows: nobody has come and gone for this user yet.
        let (_, closes) = opened.ports.poll_state(port, &mut context)?;
        opened.ports.say(port, event::OPEN, 1)?;
        Ok(Port {
            reader: Reader {
                opened: Arc::clone(&opened),
                current: None,
                closes,
            },
            writer: Writer {
                opened,
                free: Vec::new(),
            },
        })
    }

    /// Its two directions, for two tasks.
    #[must_use]
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    pub(super) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Completes when somebody is at the host's side. A file, and nothing at all, always are.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub async fn connected(&self) -> Result<(), Error> {
        let Opened { ports, port } = &*self.reader.opened;
        poll_fn(|context| match ports.poll_state(*port, context)? {
            (true, _) => Poll::Ready(Ok(())),
            (false, _) => Poll::Pending,
        })
        .await
    }

    /// As [`Reader::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.reader.read(buffer)
    }

    /// As [`Reader::read_async`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_async(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.reader.read_async(buffer).await
    }

    /// As [`Writer::write_all`].
    ///
    /// # Errors
    /// As there.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all(bytes)
    }

    /// As [`Writer::write_all_async`].
    ///
    /// # Errors
    /// As there.
    pub async fn write_all_async(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all_async(bytes).await
    }

    /// As [`Writer::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush()
    }

    /// As [`Writer::flush_async`].
    ///
    /// # Errors
    /// As there.
    pub async fn flush_async(&mut self) -> Result<(), Error> {
        self.writer.flush_async().await
    }
}

impl Reader {
    /// Reads at most a buffer full; blocks until there is something. 0 each time that who was at the host's side has gone, or at the end of standard
    /// input; reading on then waits for whoever comes next.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        block_on(self.read_async(buffer))
    }

    /// As [`read`](Reader::read), for a task.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub async fn read_async(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|context| self.poll_read(context, buffer)).await
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let Opened { ports, port } = &*self.opened;
        let input = &ports.wires[usize::from(*port)].input;
        loop {
            if let Some((bytes, start, end)) = &mut self.current {
                let len = (*end - *start).min(buffer.len());
                buffer[..len].copy_from_slice(&bytes[*start..*start + len]);
                *start += len;
                if *start == *end {
                    self.let_go();
                }
                return Poll::Ready(Ok(len));
            }
            // Before the look at the input: what somebody sent before they went is there now.
            let (_, closes) = ports.poll_state(*port, context)?;
            match input.poll_pop(context)? {
                Poll::Ready(Completion { data, written, .. }) => {
                    let bytes = data.into_buffer().unwrap_or_default();
                    let end = (written as usize).min(bytes.len());
                    self.current = (end > 0).then_some((bytes, 0, end));
                }
                Poll::Pending if closes != self.closes => {
                    self.closes += 1;
                    return Poll::Ready(Ok(0));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Gives the device the buffer back that was read.
    fn let_go(&mut self) {
        if let Some((buffer, ..)) = self.current.take() {
            let Opened { ports, port } = &*self.opened;
            ports.wires[usize::from(*port)].input.with(|queue| {
                // Refused only by a device that is of no use any more.
                let _ = post(queue, buffer);
                queue.kick();
            });
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Writer {
    /// Writes bytes; blocks while the port's queue is full, which it is while the host takes nothing. They have then left for the host, in order; see
    /// [`flush`](Writer::flush).
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        block_on(self.write_all_async(bytes))
    }

    /// As [`write_all`](Writer::write_all), for a task.
    ///
    /// # Errors
    /// As [`write_all`](Writer::write_all).
    pub async fn write_all_async(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = self.write_some(rest).await?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// Blocks until the host has taken everything that was written: its kernel has it then. A VM that ends before loses what the host had not
    /// taken.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn flush(&mut self) -> Result<(), Error> {
        block_on(self.flush_async())
    }

    /// As [`flush`](Writer::flush), for a task.
    ///
    /// # Errors
    /// As [`flush`](Writer::flush).
    pub async fn flush_async(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_room(context, |in_flight, _| in_flight == 0)).await
    }

    /// Writes as much as one request takes.
    pub(super) async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        poll_fn(|context| self.poll_room(context, |_, is_full| !is_full)).await?;
        let bytes = &bytes[..bytes.len().min(OUTPUT)];
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let Opened { ports, port } = &*self.opened;
        ports.wires[usize::from(*port)].output.with(|queue| {
            queue.post(&[], Data::Out(buffer))?;
            queue.kick();
            Ok(bytes.len())
        })
    }

    /// Takes buffers back; ready when `enough` is so of the requests in flight and whether there is no room for more.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        enough: impl Fn(u16, bool) -> bool,
    ) -> Poll<Result<(), Error>> {
        let Opened { ports, port } = &*self.opened;
        let free = &mut self.free;
        ports.wires[usize::from(*port)].output.with(|queue| {
            queue.look()?;
            while let Some(done) = queue.pop() {
                free.extend(done.data.into_buffer());
            }
            if enough(queue.in_flight(), queue.is_full()) {
                return Poll::Ready(Ok(()));
            }
            queue.kick();
            queue.wake_when_ready(context.waker());
            Poll::Pending
        })
    }
}
