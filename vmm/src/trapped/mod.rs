//! The trapped side: the devices that an unmodified kernel of a PC drives by port I/O, and the privileged instructions it executes.
//!
//! It is there to be compared with the calls, by guests that do the same work both ways. Owns the machine's ports and who answers
//! them; what a device does is its own file's, what an instruction does is [`privileged`]'s, how a vCPU's thread gets here is `vcpu`'s.
//! There is no way to inject an interrupt into ring 3: a guest that was woken from `hlt` asks the interrupt controller which it was.

mod ata;
mod instruction;
mod msr;
mod pic;
mod pit;
mod privileged;
mod rtc;
mod uart;

use crate::shared::lock;
use crate::virtio::Disk;
use ata::Ata;
pub(crate) use instruction::{LONGEST, Operation, decode};
use pic::Pic;
use pit::Pit;
pub(crate) use privileged::{Effect, Privileged, Surroundings};
use rtc::Rtc;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uart::Uart;

/// What a port or a register that nobody drives reads as.
pub(crate) const FLOATING: u8 = 0xff;

/// The ports that devices answer: those that ring 3 is let through to.
pub(crate) const PORTS: [RangeInclusive<u16>; 7] = [
    pic::COMMAND..=pic::DATA,
    pit::FIRST..=pit::COMMAND,
    rtc::INDEX..=rtc::DATA,
    pic::COMMAND2..=pic::DATA2,
    ata::DATA..=ata::LAST,
    ata::CONTROL..=ata::CONTROL,
    uart::FIRST..=uart::LAST,
];

/// The devices of one VM.
pub(crate) struct Trapped {
    devices: Mutex<Devices>,
    start: Instant,
}

/// When the processor will be interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interrupt {
    /// Now.
    Pending,
    /// After this time.
    In(Duration),
    /// Not before somebody changes a device.
    Unknown,
}

/// An access of several bytes to a device whose registers are bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wide;

struct Devices {
    ata: Ata,
    pic: Pic,
    pit: Pit,
    rtc: Rtc,
    uart: Uart,
}

impl Trapped {
    /// The devices; `disk` is the one that is on the ATA channel.
    pub fn new(disk: Option<Arc<Disk>>) -> Trapped {
        Trapped {
            devices: Mutex::new(Devices {
                ata: Ata::new(disk),
                pic: Pic::new(),
                pit: Pit::new(),
                rtc: Rtc::new(),
                uart: Uart::new(),
            }),
            start: Instant::now(),
        }
    }

    /// Reads a port. One that no device answers floats.
    ///
    /// # Errors
    /// [`Wide`].
    pub fn read(&self, port: u16, data: &mut [u8]) -> Result<(), Wide> {
        if !is_device(port) {
            data.fill(FLOATING);
            return Ok(());
        }
        if port == ata::DATA {
            lock(&self.devices).ata.take(data);
            return Ok(());
        }
        let [byte] = data else {
            return Err(Wide);
        };
        let now = self.now();
        let mut devices = lock(&self.devices);
        devices.wire(now);
        *byte = devices.read(port, now);
        devices.wire(now);
        Ok(())
    }

    /// Writes a port, and says which byte that sent to the console. Writes to ports that no device answers go nowhere.
    ///
    /// # Errors
    /// [`Wide`].
    pub fn write(&self, port: u16, data: &[u8]) -> Result<Option<u8>, Wide> {
        if !is_device(port) {
            return Ok(None);
        }
        if port == ata::DATA {
            lock(&self.devices).ata.give(data);
            return Ok(None);
        }
        let [byte] = *data else {
            return Err(Wide);
        };
        let now = self.now();
        let mut devices = lock(&self.devices);
        devices.wire(now);
        let sent = devices.write(port, byte, now);
        devices.wire(now);
        Ok(sent)
    }

    /// When the processor will be interrupted, as things are.
    pub fn interrupt(&self) -> Interrupt {
        let now = self.now();
        let mut devices = lock(&self.devices);
        devices.wire(now);
        if devices.pic.interrupts() {
            return Interrupt::Pending;
        }
        match devices.pit.next_edge() {
            Some(at) if devices.pic.listens_to(pit::LINE) => {
                Interrupt::In(Duration::from_nanos(at.saturating_sub(now)))
            }
            _ => Interrupt::Unknown,
        }
    }

    /// Nanoseconds since the devices were made.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn is_device(port: u16) -> bool {
    PORTS.iter().any(|ports| ports.contains(&port))
}

/// The host's time of day, since 1970.
fn time_of_day() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

impl Devices {
    fn read(&mut self, port: u16, now: u64) -> u8 {
        match port {
            pic::COMMAND | pic::DATA | pic::COMMAND2 | pic::DATA2 => self.pic.read(port),
            pit::FIRST..=pit::COMMAND => self.pit.read(port, now),
            rtc::INDEX | rtc::DATA => self.rtc.read(port, time_of_day()),
            uart::FIRST..=uart::LAST => self.uart.read(port),
            ata::DATA..=ata::LAST | ata::CONTROL => self.ata.read(port),
            _ => FLOATING,
        }
    }

    fn write(&mut self, port: u16, value: u8, now: u64) -> Option<u8> {
        match port {
            pic::COMMAND | pic::DATA | pic::COMMAND2 | pic::DATA2 => self.pic.write(port, value),
            pit::FIRST..=pit::COMMAND => self.pit.write(port, value, now),
            rtc::INDEX | rtc::DATA => self.rtc.write(port, value, time_of_day()),
            uart::FIRST..=uart::LAST => return self.uart.write(port, value),
            ata::DATA..=ata::LAST | ata::CONTROL => self.ata.write(port, value),
            _ => {}
        }
        None
    }

    /// Carries the devices' edges to the interrupt controller.
    fn wire(&mut self, now: u64) {
        if self.pit.take_edge(now) {
            self.pic.raise(pit::LINE);
        }
        if self.uart.take_edge() {
            self.pic.raise(uart::LINE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(trapped: &Trapped, port: u16, value: u8) -> Option<u8> {
        trapped.write(port, &[value]).unwrap()
    }

    #[test]
    fn a_timer_interrupt_comes_once_it_is_unmasked() {
        let trapped = Trapped::new(None);
        write(&trapped, 0x43, 0x30);
        write(&trapped, 0x40, 1);
        write(&trapped, 0x40, 0);
        assert_eq!(trapped.interrupt(), Interrupt::Unknown, "masked");
        write(&trapped, 0x21, 0xfe);
        loop {
            match trapped.interrupt() {
                Interrupt::Pending => break,
                Interrupt::In(time) => std::thread::sleep(time),
                Interrupt::Unknown => panic!("the timer is armed"),
            }
        }
        write(&trapped, 0x20, 0x0c);
        let mut byte = [0];
        trapped.read(0x20, &mut byte).unwrap();
        assert_eq!(byte, [0x80], "line 0");
    }

    #[test]
    fn the_serial_port_interrupts_too() {
        let trapped = Trapped::new(None);
        write(&trapped, 0x21, 0xef);
        write(&trapped, 0x3f9, 2);
        assert_eq!(write(&trapped, 0x3f8, b'a'), Some(b'a'));
        assert_eq!(trapped.interrupt(), Interrupt::Pending);
    }

    #[test]
    fn nothing_a_guest_writes_stops_it() {
        let trapped = Trapped::new(None);
        let ports: Vec<u16> = PORTS.into_iter().flatten().collect();
        let mut state = 3_u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let port = ports[(state >> 40) as usize % ports.len()];
            write(&trapped, port, (state >> 32) as u8);
            trapped.read(port, &mut [0]).unwrap();
            trapped.interrupt();
        }
    }

    #[test]
    fn ports_that_float_and_accesses_that_are_too_wide() {
        let trapped = Trapped::new(None);
        let mut bytes = [0; 4];
        assert_eq!(trapped.read(0x80, &mut bytes), Ok(()));
        assert_eq!(bytes, [FLOATING; 4]);
        assert_eq!(trapped.write(0x80, &[1, 2]), Ok(None));
        assert_eq!(trapped.read(0x3f8, &mut bytes), Err(Wide));
        assert_eq!(trapped.write(0x20, &[]), Err(Wide));
    }
}
