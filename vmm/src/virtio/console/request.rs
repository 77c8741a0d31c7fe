//! Control messages: what a driver's mean, and which a port owes the driver.

use hypercall_abi::console::{Control, event};

/// What a driver says that matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// It is ready for messages.
    DeviceReady,
    /// It is ready for a port.
    PortReady(u16),
    /// Its side of a port is open now, or closed.
    PortOpen(u16, bool),
}

/// What a message asks for, where there are so many ports. `None`: nothing that is known here, and a driver that says so goes on.
pub(super) fn parse(message: &Control, ports: u16) -> Option<Request> {
    if message.event == event::DEVICE_READY {
        return (message.value == 1).then_some(Request::DeviceReady);
    }
    let port = u16::try_from(message.id).ok().filter(|id| *id < ports)?;
    match (message.event, message.value) {
        (event::PORT_READY, 1) => Some(Request::PortReady(port)),
        (event::OPEN, 0 | 1) => Some(Request::PortOpen(port, message.value == 1)),
        _ => None,
    }
}

/// What a driver is still to be told of a port. However often it asks, it is told each thing once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Owed {
    is_added: bool,
    is_named: bool,
    /// Whether the driver may be told of the host's side.
    is_ready: bool,
    /// What it was told of the host's side last, what is so, and how often that has changed in between: it is told of each time.
    told: bool,
    now: bool,
    changes: u64,
}

impl Owed {
    /// The driver wants to know which ports there are.
    pub fn ask(&mut self) {
        *self = Owed {
            is_added: true,
            now: self.now,
            ..Owed::default()
        };
    }

    /// The driver is ready for the port. It takes the host's side for closed until it is told.
    pub fn ready(&mut self) {
        (self.is_named, self.is_ready) = (true, true);
        (self.told, self.changes) = (false, self.now.into());
    }

    /// The host's side is open now, or closed.
    pub fn update(&mut self, is_open: bool) {
        if self.now != is_open {
            self.now = is_open;
            self.changes = self.changes.wrapping_add(1);
        }
    }

    /// What the driver is to be told next: an event and its value.
    pub fn next(&self) -> Option<(u16, u16)> {
        match *self {
            Owed { is_added: true, .. } => Some((event::ADD, 1)),
            Owed { is_named: true, .. } => Some((event::NAME, 1)),
            Owed {
                is_ready: true,
                told,
                changes: 1..,
                ..
            } => Some((event::OPEN, (!told).into())),
            _ => None,
        }
    }

    /// The driver has been told that.
    pub fn tell(&mut self) {
        match self.next() {
            Some((event::ADD, _)) => self.is_added = false,
            Some((event::NAME, _)) => self.is_named = false,
            Some(_) => (self.told, self.changes) = (!self.told, self.changes.wrapping_sub(1)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_mean_what_the_specification_says() {
        use Request::{DeviceReady, PortOpen, PortReady};
        for (id, what, value, meaning) in [
            (0, event::DEVICE_READY, 1, Some(DeviceReady)),
            (u32::MAX, event::DEVICE_READY, 1, Some(DeviceReady)),
            (0, event::DEVICE_READY, 0, None),
            (0, event::PORT_READY, 1, Some(PortReady(0))),
            (2, event::PORT_READY, 1, Some(PortReady(2))),
            (3, event::PORT_READY, 1, None),
            (0x1_0000, event::PORT_READY, 1, None),
            (1, event::PORT_READY, 0, None),
            (1, event::OPEN, 1, Some(PortOpen(1, true))),
            (1, event::OPEN, 0, Some(PortOpen(1, false))),
            (1, event::OPEN, 2, None),
            (u32::MAX, event::OPEN, 1, None),
            (0, event::ADD, 1, None),
            (0, event::REMOVE, 1, None),
            (0, event::NAME, 1, None),
            (0, event::CONSOLE, 1, None),
            (0, event::RESIZE, 1, None),
            (0, 8, 1, None),
            (0, u16::MAX, u16::MAX, None),
        ] {
            let event = what;
            let message = Control { id, event, value };
            assert_eq!(parse(&message, 3), meaning, "{message:?}");
        }
    }

    /// Everything that is owed now.
    fn told(owed: &mut Owed) -> Vec<(u16, u16)> {
        let mut all = Vec::new();
        while let Some(next) = owed.next() {
            all.push(next);
            owed.tell();
        }
        all
    }

    #[test]
    fn a_driver_is_told_in_order_and_once() {
        let mut owed = Owed::default();
        owed.update(true);
        assert_eq!(told(&mut owed), [], "before it asks");
        owed.ask();
        owed.ask();
        assert_eq!(told(&mut owed), [(event::ADD, 1)]);
        owed.ready();
        assert_eq!(told(&mut owed), [(event::NAME, 1), (event::OPEN, 1)]);
        owed.update(true);
        assert_eq!(told(&mut owed), []);
        owed.update(false);
        assert_eq!(told(&mut owed), [(event::OPEN, 0)]);
    }

    #[test]
    fn a_driver_learns_of_each_time_that_a_side_was_closed() {
        let mut owed = Owed::default();
        owed.update(true);
        owed.ready();
        assert_eq!(told(&mut owed), [(event::NAME, 1), (event::OPEN, 1)]);
        for _ in 0..3 {
            owed.update(false);
            owed.update(true);
        }
        let turns: Vec<u16> = told(&mut owed).iter().map(|(_, value)| *value).collect();
        assert_eq!(turns, [0, 1, 0, 1, 0, 1]);
    }
}
