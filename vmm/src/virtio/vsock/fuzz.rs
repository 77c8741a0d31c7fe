//! The device as a fuzz target: any packets, buffers and credit of the guest's, and programs on the host that come, speak, listen and go, over real sockets.
//!
//! At every moment: no more connections, resets and bytes are held than the bounds say. At the end: the host wrote nowhere but into the used rings and
//! the buffers that the guest gave it for packets.

use super::stage::{CID, SIZE, Stage, ring};
use super::streams::MOST;
use super::{HEADER, MOST_RESETS};
use crate::fuzz::{Ram, Source};
use crate::virtio::Broken;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use hypercall_abi::vsock::{HOST_CID, Header, RECEIVE, SEND, STREAM, op};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use zerocopy::IntoBytes;

/// Where buffers lie: one for each descriptor of each queue.
const BUFFERS: u64 = RAM_BASE + 0x4_0000;
const BUFFER: u64 = 0x2000;

/// The next descriptor, and that the device writes.
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// The ports at which programs on the host listen.
const PORTS: u32 = 2;

fn buffer(queue: u16, place: u16) -> u64 {
    BUFFERS + u64::from(queue * SIZE + place) * BUFFER
}

/// Both sides.
struct Play {
    stage: Stage,
    ram: Ram,
    listeners: Vec<Option<UnixListener>>,
    programs: Vec<UnixStream>,
}

/// Packets of a guest, beside programs on the host.
pub(crate) fn packets(source: &mut Source) {
    let stage = Stage::new();
    let mut ram = Ram::new(&stage.memory);
    for queue in [RECEIVE, SEND] {
        ram.allow(ring(queue, 2)..ring(queue, 3));
    }
    let mut play = Play {
        stage,
        ram,
        listeners: (0..PORTS).map(|_| None).collect(),
        programs: Vec::new(),
    };
    // The memory is not what it was at the start.
    play.stage.restart();
    for queue in [RECEIVE, SEND] {
        play.ram.write(&play.stage.memory, ring(queue, 1), &[0; 4]);
    }
    while source.step() {
        play.step(source);
        let device = &play.stage.device;
        assert!(device.resets.len() <= MOST_RESETS);
        assert!(device.streams.count() <= MOST);
    }
    play.ram.check(&play.stage.memory);
}

impl Play {
    fn step(&mut self, source: &mut Source) {
        let done = match source.below(10) {
            0..=2 => {
                self.send(source);
                Ok(())
            }
            3 | 4 => {
                self.give(source);
                Ok(())
            }
            5 | 6 => self.stage.serve().map(drop),
            7 => self.stage.arm().map(drop),
            8 => {
                self.program(source);
                Ok(())
            }
            _ => self.stage.hear(),
        };
        if let Err(Broken(why)) = done {
            assert!(!why.is_empty());
            self.restart();
        }
    }

    /// What a driver does when its device broke.
    fn restart(&mut self) {
        self.stage.restart();
        for queue in [RECEIVE, SEND] {
            self.ram.write(&self.stage.memory, ring(queue, 1), &[0; 4]);
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        self.ram.write(&self.stage.memory, at, bytes);
    }

    fn describe(&mut self, queue: u16, place: u16, address: u64, len: u32, flags: u16, next: u16) {
        let at = ring(queue, 0) + u64::from(place) * 16;
        self.write(at, &address.to_le_bytes());
        self.write(at + 8, &len.to_le_bytes());
        self.write(at + 12, &flags.to_le_bytes());
        self.write(at + 14, &next.to_le_bytes());
    }

    /// Makes a chain available, in the copy of the memory too.
    fn offer(&mut self, queue: u16, head: u16) {
        self.stage.offer(queue, head);
        let mut available = [0; 4 + 2 * SIZE as usize];
        let at = ring(queue, 1);
        self.stage
            .memory
            .read(hypercall_abi::Gpa(at), &mut available)
            .unwrap();
        self.write(at, &available);
    }

    /// A packet, right in most of what it says.
    fn send(&mut self, source: &mut Source) {
        if self.stage.in_flight(SEND) >= SIZE && !source.once_in(50) {
            return;
        }
        let place = self
            .stage
            .answers(SEND)
            .wrapping_add(self.stage.in_flight(SEND))
            % SIZE;
        let mut odd = |usual: u64| match source.once_in(20) {
            true => source.odd(),
            false => usual,
        };
        let (src_cid, dst_cid) = (odd(CID.into()), odd(HOST_CID));
        let kind = odd(STREAM.into()) as u16;
        let len = source.below(3000);
        let header = Header {
            src_cid,
            dst_cid,
            src_port: source.below(4) as u32,
            // Those of programs that connected, too.
            dst_port: match source.once_in(3) {
                true => (1 << 30) + source.below(8) as u32,
                false => source.below(u64::from(PORTS) + 1) as u32,
            },
            len: match source.once_in(10) {
                true => source.odd() as u32,
                false => len as u32,
            },
            kind,
            op: match source.once_in(10) {
                true => source.any() as u16,
                false => source.pick(&[
                    op::REQUEST,
                    op::RESPONSE,
                    op::RST,
                    op::SHUTDOWN,
                    op::RW,
                    op::RW,
                    op::RW,
                    op::CREDIT_UPDATE,
                    op::CREDIT_REQUEST,
                ]),
            },
            flags: source.below(5) as u32,
            buf_alloc: source.pick(&[0, 1, 4096, 1 << 20, u32::MAX]),
            fwd_cnt: match source.once_in(4) {
                true => source.odd() as u32,
                false => 0,
            },
        };
        let at = buffer(SEND, place);
        self.write(at, header.as_bytes());
        let len = HEADER as u32 + len as u32;
        match source.below(20) {
            0 => {
                let gpa = source.near(RAM_BASE, MIN_MEMORY);
                let (len, flags) = (source.odd() as u32, source.below(8) as u16);
                self.describe(SEND, place, gpa, len, flags, source.any() as u16);
            }
            1 => {
                let cut = source.below(len.into()) as u32;
                let next = (place + 1) % SIZE;
                self.describe(SEND, place, at, cut, NEXT, next);
                self.describe(SEND, next, at + u64::from(cut), len - cut, 0, 0);
            }
            2 => self.describe(SEND, place, at, source.below(HEADER as u64) as u32, 0, 0),
            _ => self.describe(SEND, place, at, len, 0, 0),
        }
        self.offer(SEND, place);
    }

    /// A buffer for packets, in most cases a good one.
    fn give(&mut self, source: &mut Source) {
        if self.stage.in_flight(RECEIVE) >= SIZE && !source.once_in(50) {
            return;
        }
        let place = self
            .stage
            .answers(RECEIVE)
            .wrapping_add(self.stage.in_flight(RECEIVE))
            % SIZE;
        let (gpa, len) = match source.once_in(40) {
            true => (source.near(RAM_BASE, MIN_MEMORY), source.odd()),
            false => (buffer(RECEIVE, place), 100 + source.below(BUFFER - 100)),
        };
        let flags = match source.once_in(60) {
            true => source.below(4) as u16,
            false => WRITE,
        };
        let len = len as u32;
        // Where the host may write is what the guest says, rings and all: of a buffer that ends outside, what is inside.
        if (RAM_BASE..MIN_MEMORY).contains(&gpa) {
            let end = MIN_MEMORY.min(gpa + u64::from(len));
            self.ram.allow_buffer(gpa, end - gpa);
        }
        let next = source.below(SIZE.into()) as u16;
        self.describe(RECEIVE, place, gpa, len, flags, next);
        self.offer(RECEIVE, place);
    }

    /// Something that a program on the host does.
    fn program(&mut self, source: &mut Source) {
        let path = self.stage.path();
        match source.below(8) {
            0 | 1 => {
                let port = source.below(PORTS.into()) as usize;
                let place = path.with_file_name(format!("vsock_{port}"));
                match self.listeners[port].take() {
                    Some(listener) => {
                        drop(listener);
                        std::fs::remove_file(place).unwrap();
                    }
                    None => {
                        let listener = UnixListener::bind(place).unwrap();
                        listener.set_nonblocking(true).unwrap();
                        self.listeners[port] = Some(listener);
                    }
                }
            }
            2 => {
                for listener in self.listeners.iter().flatten() {
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(true).unwrap();
                        self.programs.push(stream);
                    }
                }
            }
            3 | 4 => {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.set_nonblocking(true).unwrap();
                let line = match source.once_in(4) {
                    true => source.bytes(30),
                    false => format!("CONNECT {}\n", source.below(4)).into_bytes(),
                };
                let _ = stream.write(&line);
                self.programs.push(stream);
            }
            _ if self.programs.is_empty() => {}
            what => {
                let index = source.below(self.programs.len() as u64) as usize;
                let stream = &mut self.programs[index];
                let how = source.pick(&[std::net::Shutdown::Read, std::net::Shutdown::Write]);
                let _ = match what {
                    5 => stream.write(&source.bytes(2000)),
                    6 => stream.read(&mut [0; 3000]),
                    _ if source.once_in(2) => stream.shutdown(how).map(|()| 0),
                    _ => {
                        self.programs.swap_remove(index);
                        Ok(0)
                    }
                };
            }
        }
    }
}
