//! The guest's side of a connection: a TCP socket of the stack's, alone in its set, so that what one connection costs does not depend on
//! how many there are. Its buffers are all the memory that a connection has, and are used again.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Duration;

/// Bytes of each buffer.
pub(super) const BUFFER: usize = 64 << 10;
/// How often a silent guest is asked whether it still knows of a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a guest may be silent when it should not be, before a connection is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// It.
pub(super) struct Terminal {
    pub sockets: SocketSet<'static>,
    handle: SocketHandle,
}

impl Terminal {
    pub fn new() -> Terminal {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        // The other half of the connection waits for more itself, if it wants to.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(PATIENCE));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Terminal { sockets, handle }
    }

    pub fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// Whether the guest has sent its last byte.
    pub fn is_guest_finished(&mut self) -> bool {
        let state = self.socket().state();
        matches!(
            state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        )
    }

    /// Whether nothing of the connection is left, and nothing is to be sent about its end.
    pub fn is_closed(&mut self) -> bool {
        let socket = self.socket();
        socket.state() == State::Closed && socket.remote_endpoint().is_none()
    }
}
