//! The console with several ports, as the virtio specification 1.2 has it in section 5.3: what both sides need of it by number.
//!
//! A port is two queues of plain bytes, one each way. The device and the driver tell each other about ports in [`Control`] messages, which have two
//! queues of their own, if the driver takes [`feature::MULTIPORT`]; otherwise there is port 0 alone, and it is open.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most ports that a console has here.
pub const MAX_PORTS: u16 = 16;
/// The most bytes of a port's name.
pub const MAX_NAME: usize = 32;

/// The queue of buffers for messages to the driver.
pub const CONTROL_IN: u16 = 2;
/// The queue of messages from the driver.
pub const CONTROL_OUT: u16 = 3;

/// The queue of buffers for what a port gives the guest; the queue of what the guest gives it is the next.
#[must_use]
pub const fn port_in(port: u16) -> u16 {
    match port {
        0 => 0,
        _ => 2 * port + 2,
    }
}

/// How many queues a console with so many ports has.
#[must_use]
pub const fn queues(ports: u16) -> u16 {
    2 * ports + 2
}

const _: () = assert!(
    queues(MAX_PORTS) <= crate::device::MAX_QUEUES,
    "every port has its queues"
);

/// Feature bits of a console (5.3.3).
pub mod feature {
    /// There may be several ports, and control messages about them.
    pub const MULTIPORT: u64 = 1 << 1;
}

/// A console's configuration space (5.3.4).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Config {
    /// Columns of a terminal: not offered.
    pub cols: u16,
    /// Rows of a terminal: not offered.
    pub rows: u16,
    /// How many ports there can be.
    pub max_nr_ports: u32,
    /// A byte to write without a queue: not offered.
    pub emerg_wr: u32,
}

layout!(Config, size 12, cols @ 0, rows @ 2, max_nr_ports @ 4, emerg_wr @ 8);

/// A message about a port (5.3.6.2). A [`event::NAME`] is followed by the name's bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Control {
    /// The port.
    pub id: u32,
    /// Of [`event`].
    pub event: u16,
    /// What it says.
    pub value: u16,
}

layout!(Control, size 8, id @ 0, event @ 4, value @ 6);

/// What a [`Control`] message is about.
pub mod event {
    /// The driver is ready for messages (1), or cannot use the device (0).
    pub const DEVICE_READY: u16 = 0;
    /// The device has this port.
    pub const ADD: u16 = 1;
    /// The device has this port no more.
    pub const REMOVE: u16 = 2;
    /// The driver is ready for this port (1), or cannot use it (0).
    pub const PORT_READY: u16 = 3;
    /// This port is one for a terminal.
    pub const CONSOLE: u16 = 4;
    /// The terminal's size is another.
    pub const RESIZE: u16 = 5;
    /// The sender's side of the port is open (1) or closed (0).
    pub const OPEN: u16 = 6;
    /// The port's name.
    pub const NAME: u16 = 7;
}
