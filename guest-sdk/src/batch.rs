//! Batches: many calls, one submission.
//!
//! Owns this vCPU's batch ring. A batch is filled with [`Command`]s, each for a [`Ticket`], and submitted with one call; each command
//! then has a result of its own, and one that is refused does not stop the others unless the batch was made [to stop](Batch::stopping).
//!
//! ```no_run
//! use guest_sdk::batch::{Batch, Command};
//! let mut seed = [0; 32];
//! let mut batch = Batch::new(8)?;
//! let line = batch.push(Command::console_write(1, b"one of many\n"))?;
//! let random = batch.push(Command::random(&mut seed))?;
//! let results = batch.submit()?;
//! assert_eq!(results.get(line), Ok(12));
//! results.get(random)?;
//! # Ok::<(), guest_sdk::batch::Error>(())
//! ```
//! A batch made to be [started](Batch::start) is submitted one way instead, and served while this vCPU goes on.

use crate::line;
use crate::platform::Vcpu;
use crate::{calls, doorbell, event};
use alloc::boxed::Box;
use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use hypercall_abi::batch::{MAX_ENTRIES, flags};
use hypercall_abi::vcpu::event::BATCH_SERVED;
use hypercall_abi::words::EntryWords;
use hypercall_abi::{Status, call};

/// Why a batch cannot be made, filled or submitted, or what a command in it was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It has as many commands as fit.
    Full,
    /// This vCPU has a batch already.
    InUse,
    /// The host refused it.
    Refused(Status),
    /// It was not done: an earlier command failed, and the batch stops there.
    NotDone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Full => f.write_str("the batch is full"),
            Error::InUse => f.write_str("this vCPU has a batch already"),
            Error::Refused(status) => write!(f, "{status}"),
            Error::NotDone => f.write_str("not done, because an earlier command failed"),
        }
    }
}

impl core::error::Error for Error {}

/// A call to be queued, whose result is a `T`. It borrows what it reads or writes until the batch is dropped.
#[derive(Debug)]
pub struct Command<'a, T> {
    number: u32,
    args: [u64; 6],
    read: fn(u64) -> T,
    borrowed: PhantomData<&'a mut [u8]>,
}

impl<'a, T> Command<'a, T> {
    const fn new(number: u32, args: [u64; 3], read: fn(u64) -> T) -> Command<'a, T> {
        let [a, b, c] = args;
        Command {
            number,
            args: [a, b, c, 0, 0, 0],
            read,
            borrowed: PhantomData,
        }
    }
}

impl<'a> Command<'a, ()> {
    /// As [`calls::null`].
    #[must_use]
    pub const fn null() -> Command<'a, ()> {
        Command::new(call::NULL, [0; 3], drop)
    }

    /// As [`calls::random`].
    #[must_use]
    pub fn random(buffer: &'a mut [u8]) -> Command<'a, ()> {
        let args = [buffer.as_mut_ptr() as u64, buffer.len() as u64, 0];
        Command::new(call::RANDOM, args, drop)
    }

    /// As [`event::notify`], but always with a call.
    #[must_use]
    pub fn notify(vcpu: u32, events: u64) -> Command<'a, ()> {
        Command::new(call::NOTIFY, [vcpu.into(), events, 0], drop)
    }
}

impl<'a> Command<'a, usize> {
    /// As [`calls::console_write`]: its result is how many bytes were taken, which may be fewer than there are.
    #[must_use]
    pub fn console_write(stream: u64, bytes: &'a [u8]) -> Command<'a, usize> {
        let args = [stream, bytes.as_ptr() as u64, bytes.len() as u64];
        Command::new(call::CONSOLE_WRITE, args, |done| done as usize)
    }
}

/// How many entries ahead of the one that is written its cache line is claimed: it comes from the host's core.
const AHEAD: u32 = 8;

/// Has the cache fetch an entry that is about to be written.
#[inline]
fn claim(entry: &EntryWords) {
    // SAFETY: a prefetch changes nothing that can be observed, wherever it points.
    unsafe { _mm_prefetch::<_MM_HINT_ET0>(core::ptr::from_ref(entry).cast()) };
}

/// A queued command's place, for its result.
#[derive(Debug)]
pub struct Ticket<T> {
    place: u32,
    read: fn(u64) -> T,
}

/// Commands for one submission. One at a time on a vCPU, and it stays there.
pub struct Batch<'a> {
    entries: Box<[EntryWords]>,
    /// Commands pushed, and of those the ones served: free-running, as the ring's indices.
    pushed: u32,
    served: u32,
    flags: u32,
    borrowed: PhantomData<&'a mut [u8]>,
    /// The ring is this vCPU's.
    here: PhantomData<*const ()>,
}

impl<'a> Batch<'a> {
    /// A batch of at most `commands` commands, 1 to [`MAX_ENTRIES`].
    ///
    /// # Errors
    /// [`Error::InUse`]; [`Error::Refused`] where the host does not grant batches, or for a size out of range.
    pub fn new(commands: usize) -> Result<Batch<'a>, Error> {
        Batch::with_flags(commands, 0)
    }

    /// Likewise, of which a command that is refused ends the submission.
    ///
    /// # Errors
    /// As [`new`](Batch::new).
    pub fn stopping(commands: usize) -> Result<Batch<'a>, Error> {
        Batch::with_flags(commands, flags::STOP_ON_ERROR)
    }

    fn with_flags(commands: usize, flags: u32) -> Result<Batch<'a>, Error> {
        if commands == 0 || commands > MAX_ENTRIES as usize {
            return Err(Error::Refused(Status::BAD_ARGUMENT));
        }
        let ring = Vcpu::current().ring();
        if ring.entries.load(Ordering::Relaxed) != 0 {
            return Err(Error::InUse);
        }
        let count = commands.next_power_of_two();
        let entries: Box<[EntryWords]> = (0..count).map(|_| EntryWords::default()).collect();
        let address = entries.as_ptr() as u64;
        ring.entries_gpa.store(address, Ordering::Relaxed);
        ring.entries.store(count as u32, Ordering::Relaxed);
        ring.flags.store(flags, Ordering::Relaxed);
        // SAFETY: the entries are this batch's, which takes the ring back before they go.
        if let Err(status) = unsafe { calls::batch_setup() } {
            ring.entries.store(0, Ordering::Relaxed);
            return Err(Error::Refused(status));
        }
        Ok(Batch {
            entries,
            pushed: 0,
            served: 0,
            flags,
            borrowed: PhantomData,
            here: PhantomData,
        })
    }

    /// Queues a command. Nothing happens yet.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn push<T>(&mut self, command: Command<'a, T>) -> Result<Ticket<T>, Error> {
        if self.pushed.wrapping_sub(self.served) as usize >= self.entries.len() {
            return Err(Error::Full);
        }
        claim(self.entry(self.pushed.wrapping_add(AHEAD)));
        let entry = self.entry(self.pushed);
        entry.number.store(command.number, Ordering::Relaxed);
        for (word, arg) in entry.args.iter().zip(command.args) {
            word.store(arg, Ordering::Relaxed);
        }
        let place = self.pushed;
        self.pushed = self.pushed.wrapping_add(1);
        Ok(Ticket {
            place,
            read: command.read,
        })
    }

    /// Has everything done that is queued, with one call: by the poller while the host polls, with one exit otherwise.
    ///
    /// # Errors
    /// [`Error::Refused`] where the host served none of it.
    pub fn submit(&mut self) -> Result<Results<'_, 'a>, Error> {
        self.call()?;
        self.results()
    }

    fn call(&mut self) -> Result<(), Error> {
        let ring = Vcpu::current().ring();
        // Release: the host sees the entries before the count.
        ring.queued.store(self.pushed, Ordering::Release);
        // SAFETY: what the entries point at is borrowed for as long as this batch.
        let answer = unsafe { line::call(call::BATCH_SUBMIT, [0; 6]) };
        match answer.status {
            Status::OK => Ok(()),
            refused => Err(Error::Refused(refused)),
        }
    }

    /// What was served since the last results, of a ring that the host is done with.
    fn results(&mut self) -> Result<Results<'_, 'a>, Error> {
        let first = self.served;
        // Pairs with the host's release: the answers are there before the count.
        let served = Vcpu::current().ring().served.load(Ordering::Acquire);
        if served == self.pushed {
            self.served = served;
        } else {
            // It stopped. What was not done must not be done by the next submission: the ring begins anew.
            // SAFETY: as in `with_flags`, with the same entries.
            unsafe { calls::batch_setup() }.map_err(Error::Refused)?;
            (self.pushed, self.served) = (0, 0);
        }
        (0..AHEAD).for_each(|ahead| claim(self.entry(self.pushed.wrapping_add(ahead))));
        Ok(Results {
            batch: self,
            first,
            count: served.wrapping_sub(first),
        })
    }

    fn entry(&self, place: u32) -> &EntryWords {
        &self.entries[place as usize & (self.entries.len() - 1)]
    }
}

impl Batch<'static> {
    /// A batch of at most `commands` commands, 1 to [`MAX_ENTRIES`], to be [started](Batch::start). What its commands borrow they borrow for ever, as
    /// nothing makes a program wait for the end of what it has started.
    ///
    /// # Errors
    /// As [`new`](Batch::new); [`Error::Refused`] with `UNSUPPORTED` where the host has no doorbells.
    pub fn to_start(commands: usize) -> Result<Batch<'static>, Error> {
        Batch::with_flags(commands, flags::DOORBELL)
    }

    /// Has everything done that is queued, one way: this vCPU goes on meanwhile.
    ///
    /// A batch that was not made [`to_start`](Batch::to_start) is served when its results are waited for.
    pub fn start(&mut self) -> Pending<'_> {
        event::take(BATCH_SERVED);
        let vcpu = Vcpu::current();
        // Release: the host sees the entries before the count.
        vcpu.ring().queued.store(self.pushed, Ordering::Release);
        let started = self.flags & flags::DOORBELL != 0;
        if started {
            doorbell::ring(vcpu.index());
        }
        Pending {
            batch: self,
            started,
        }
    }
}

/// Commands that are being done.
pub struct Pending<'b> {
    batch: &'b mut Batch<'static>,
    started: bool,
}

impl<'b> Pending<'b> {
    /// Whether everything was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        Vcpu::current().ring().served.load(Ordering::Acquire) == self.batch.pushed
    }

    /// Waits until the commands are done. Those that only a submission by call can do are done by this.
    ///
    /// # Errors
    /// As [`submit`](Batch::submit).
    pub fn wait(self) -> Result<Results<'b, 'static>, Error> {
        while !self.is_done() {
            if self.started {
                // Without a deadline: the host raises it whether it has come to the end or to what it cannot do.
                let _ = event::wait(BATCH_SERVED, None);
            }
            if self.is_done() {
                break;
            }
            match self.batch.call() {
                Ok(()) => break,
                // The event was of what was started before. The host is at this now, and will raise another.
                Err(Error::Refused(Status::BUSY)) if self.started => {}
                Err(error) => return Err(error),
            }
        }
        self.batch.results()
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        Vcpu::current().ring().entries.store(0, Ordering::Relaxed);
        // SAFETY: takes the ring back. Refused only where it was never granted.
        let _ = unsafe { calls::batch_setup() };
    }
}

/// What the commands of one submission were answered.
pub struct Results<'b, 'a> {
    batch: &'b Batch<'a>,
    first: u32,
    count: u32,
}

impl Results<'_, '_> {
    /// How many commands were done, refused ones included.
    #[must_use]
    pub fn done(&self) -> usize {
        self.count as usize
    }

    /// A command's result.
    ///
    /// # Errors
    /// [`Error::Refused`] with the command's status; [`Error::NotDone`] if this submission did not come to it.
    pub fn get<T>(&self, ticket: Ticket<T>) -> Result<T, Error> {
        if ticket.place.wrapping_sub(self.first) >= self.count {
            return Err(Error::NotDone);
        }
        let entry = self.batch.entry(ticket.place);
        match Status(entry.status.load(Ordering::Relaxed)) {
            Status::OK => Ok((ticket.read)(entry.result.load(Ordering::Relaxed))),
            refused => Err(Error::Refused(refused)),
        }
    }
}
