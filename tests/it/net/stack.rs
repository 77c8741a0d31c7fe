//! TCP, ARP and ICMP between a guest's stack and one of the test's, over a wire.

use super::Wire;
use super::peer::Peer;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;
use trapless_tests::require_kvm;

/// A peer as a device of smoltcp's.
struct Wired {
    peer: Peer,
    bytes: VecDeque<u8>,
}

impl Wired {
    /// Reads what there is, waiting for it a little.
    fn fill(&mut self) {
        let mut bytes = [0; 65536];
        match self.peer.0.read(&mut bytes) {
            Ok(len) => self.bytes.extend(&bytes[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let len: Vec<u8> = self.bytes.iter().take(4).copied().collect();
        let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
        if self.bytes.len() < 4 + len {
            return None;
        }
        Some(self.bytes.drain(..4 + len).skip(4).collect())
    }
}

struct Frame(Vec<u8>);
struct Room<'a>(&'a mut Peer);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, work: F) -> R {
        work(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, work: F) -> R {
        let mut frame = vec![0; len];
        let result = work(&mut frame);
        let mut bytes = (len as u32).to_be_bytes().to_vec();
        bytes.extend(frame);
        // The guest may have ended.
        let _ = self.0.0.write_all(&bytes);
        result
    }
}

impl Device for Wired {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Room<'_>)> {
        let frame = self.frame()?;
        Some((Frame(frame), Room(&mut self.peer)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.peer))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A server that takes two questions at once for one may answer the first alone, which then nobody waits for any more.
#[test]
fn a_stack_asks_for_its_address_once() {
    require_kvm!();
    Wire::new().run(&["dhcp"], |mut peer| {
        let frames = std::iter::from_fn(|| peer.try_receive());
        // IPv4, UDP, to the port of DHCP servers.
        let asks = |frame: &Vec<u8>| {
            frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == [0, 67]
        };
        assert_eq!(frames.filter(asks).count(), 1);
    });
}

#[test]
fn tcp_carries_what_was_written() {
    require_kvm!();
    Wire::new().run(&["tcp", "10.0.0.2/24"], |peer| {
        peer.0
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let mut device = Wired {
            peer,
            bytes: VecDeque::new(),
        };
        let mac = EthernetAddress([2, 0, 0, 0, 0, 2]);
        let mut interface = Interface::new(Config::new(mac.into()), &mut device, Instant::now());
        interface.update_ip_addrs(|addresses| {
            let address = IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24);
            addresses.push(address).unwrap();
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; 65_535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let remote = (IpAddress::v4(10, 0, 0, 2), 7);
        socket.connect(interface.context(), remote, 40_000).unwrap();
        let mut sockets = SocketSet::new(vec![]);
        let handle = sockets.add(socket);

        let mut sent: Vec<u8> = (0..200_000_u32).map(|n| ((n * 7) >> 2) as u8).collect();
        sent.extend(b"\0quit");
        // Written apart, so that it is read at a beginning.
        let (first, last) = (sent.len() - 4, sent.len());
        let (mut written, mut back) = (0, Vec::new());
        while back.len() < sent.len() {
            interface.poll(Instant::now(), &mut device, &mut sockets);
            let socket = sockets.get_mut::<tcp::Socket>(handle);
            assert!(
                socket.state() != tcp::State::Closed,
                "closed after {} bytes",
                back.len()
            );
            let until = if back.len() == first { last } else { first };
            if socket.can_send() && written < until {
                written += socket.send_slice(&sent[written..until]).unwrap();
            }
            if socket.can_recv() {
                socket
                    .recv(|bytes| {
                        back.extend_from_slice(bytes);
                        (bytes.len(), ())
                    })
                    .unwrap();
            } else if !socket.can_send() || written == until {
                device.fill();
            }
        }
        assert!(back == sent);
        sockets.get_mut::<tcp::Socket>(handle).close();
        // The guest ends with its last connection, and the wire with it.
        loop {
            interface.poll(Instant::now(), &mut device, &mut sockets);
            let mut bytes = [0; 4096];
            match device.peer.0.read(&mut bytes) {
                Ok(0) => break,
                Ok(len) => device.bytes.extend(&bytes[..len]),
                Err(_) => {}
            }
        }
    });
}
