//! A request on its way: what it means, what must be answered, and what it changes.

use super::chain::{Draft, Fault};
use super::{NAME, Play};
use crate::virtio::block::request::{self, Copied, HEADER, Request, SEGMENT, SERIAL, Status};
use crate::virtio::peer::{self, Descriptor, WRITE};
use hypercall_abi::Gpa;

/// What a request must come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    Answer(Status),
    Broken,
    /// It depends on how much of it the device looks at.
    Either,
}

/// A request that is not answered yet.
pub(super) struct Flight {
    pub queue: u16,
    pub head: u16,
    /// When it was asked for.
    pub since: u64,
    pub request: Option<Request>,
    pub expected: Expected,
    /// What it may write, in order.
    pub writable: Vec<Descriptor>,
    /// Whether another one has the same buffers.
    pub is_twice: bool,
}

impl Play {
    /// What a request means, of which all bytes are written.
    pub(super) fn flight(
        &mut self,
        queue: u16,
        head: u16,
        draft: Draft,
        fault: Option<Fault>,
    ) -> Flight {
        let sum = |flags: u16| {
            let of = draft.buffers.iter();
            let of = of.filter(|buffer| buffer.flags & WRITE == flags);
            of.map(|buffer| u64::from(buffer.len)).sum()
        };
        let mut copied = Copied {
            header: [0; HEADER],
            segment: [0; SEGMENT],
            readable: sum(0),
            writable: sum(WRITE),
        };
        if let Some((header, rest)) = draft.bytes.split_first_chunk() {
            copied.header = *header;
            copied.segment = *rest.first_chunk().unwrap_or(&[0; SEGMENT]);
        }
        let parsed = request::parse(&copied, &self.block.disk().bounds);
        let status = parsed.map_or_else(|status| status, |request| self.outcome(request));
        let expected = match fault {
            None => Expected::Answer(status),
            Some(Fault::Place) => Expected::Either,
            Some(_) => Expected::Broken,
        };
        let mut writable = draft.buffers;
        writable.retain(|buffer| buffer.flags & WRITE != 0);
        Flight {
            queue,
            head,
            since: self.model.ask(),
            request: parsed.ok().filter(|_| expected != Expected::Broken),
            expected,
            writable,
            is_twice: false,
        }
    }

    /// How a request must be answered while the file is as long as it is.
    fn outcome(&self, request: Request) -> Status {
        let reaches = |at: u64, len: u64| match at + len <= self.len {
            true => Status::Ok,
            false => Status::Failed,
        };
        match request {
            Request::Read { len: 0, .. } => Status::Ok,
            Request::Read { at, len }
            | Request::Write { at, len }
            | Request::Zero { at, len, .. } => reaches(at, len),
            Request::Flush | Request::Serial | Request::Discard { .. } => Status::Ok,
        }
    }

    /// What a request may change, and into what.
    pub(super) fn effect(&self, flight: &Flight) -> Option<(u64, Vec<u8>)> {
        match flight.request? {
            Request::Write { at, len } => {
                let mut bytes = vec![0; HEADER + len as usize];
                let area = Gpa(peer::buffer(flight.queue, flight.head));
                self.peer.memory.read(area, &mut bytes).unwrap();
                Some((at, bytes.split_off(HEADER)))
            }
            Request::Discard { at, len } | Request::Zero { at, len, .. } => {
                Some((at, vec![0; len as usize]))
            }
            _ => None,
        }
    }

    /// What was answered is what it must be.
    pub(super) fn answered(&mut self, flight: &Flight, written: u32) {
        let room: u64 = flight.writable.iter().map(|part| u64::from(part.len)).sum();
        assert!(u64::from(written) <= room, "{written} bytes of {room}");
        let status = match flight.expected {
            Expected::Answer(status) => status,
            Expected::Either => return self.ended(flight, false),
            Expected::Broken => panic!("what no queue may hold was answered"),
        };
        let mut data = Vec::new();
        for part in &flight.writable {
            let start = data.len();
            data.resize(start + part.len as usize, 0);
            self.peer
                .memory
                .read(Gpa(part.address), &mut data[start..])
                .unwrap();
        }
        let byte = data.pop().expect("a byte for the status");
        assert_eq!(byte, status.byte(), "{:?}", flight.request);
        if status == Status::Ok {
            assert_eq!(u64::from(written), room);
            match flight.request {
                Some(Request::Read { at, .. }) if !flight.is_twice => {
                    self.model.explains(at, &data, flight.since);
                }
                Some(Request::Serial) => assert_eq!(data[..SERIAL], NAME),
                _ => {}
            }
        }
        self.ended(flight, status == Status::Ok);
    }

    /// A request that changes something has ended.
    pub(super) fn ended(&mut self, flight: &Flight, certainly: bool) {
        let (at, len, certainly) = match flight.request {
            Some(Request::Write { at, len } | Request::Zero { at, len, .. }) => {
                (at, len, certainly)
            }
            // It may be as it was.
            Some(Request::Discard { at, len }) => (at, len, false),
            _ => return,
        };
        self.model.ended(at, len, flight.since, certainly);
    }
}
