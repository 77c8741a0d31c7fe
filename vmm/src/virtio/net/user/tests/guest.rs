//! A guest: another TCP/IP stack in the same process, on the other end of the network's frames.

use super::super::checksum;
use super::super::frame::Packet;
use super::super::network::Network;
use super::super::plan::Plan;
use super::super::resolvers::Resolvers;
use crate::config::Forward;
use crate::config::UserNetwork;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetAddress, IpCidr, IpProtocol, Ipv4Address, Ipv4Cidr, TcpPacket,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
pub const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
pub const RESOLVER: Ipv4Address = Ipv4Address::new(10, 0, 2, 3);
pub const MTU: u16 = 1500;

/// Long enough for any machine: what takes as long hangs.
const HANGS: Duration = Duration::from_secs(120);

/// The network alone, for frames made by hand.
pub fn network(host_access: bool, forwards: &[Forward], servers: &[SocketAddr]) -> Network {
    let network = UserNetwork::default().network;
    let network = Ipv4Cidr::new(network.address, network.prefix);
    let plan = Plan::new(network, MAC, MTU, host_access);
    Network::open(plan, Resolvers::new(servers.to_vec()), forwards).unwrap()
}

/// Waits until a network has something to do, or a moment.
pub fn wait(network: &Network) {
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    let descriptor = network.descriptor();
    poll(
        &mut [PollFd::new(&descriptor, PollFlags::IN)],
        Some(&moment),
    )
    .unwrap();
}

/// Whether a frame asks for a connection.
pub fn is_asking(frame: &[u8]) -> bool {
    let packet = Packet::parse(&frame[ETHERNET_HEADER_LEN..]);
    let packet = packet.filter(|packet| packet.protocol == IpProtocol::Tcp);
    let segment = packet.and_then(|packet| TcpPacket::new_checked(packet.payload).ok());
    segment.is_some_and(|segment| segment.syn() && !segment.ack())
}

/// The frames between the two.
#[derive(Default)]
pub struct Wire {
    pub to_guest: VecDeque<Vec<u8>>,
    from_guest: VecDeque<Vec<u8>>,
}

pub struct Guest {
    pub network: Network,
    pub interface: Interface,
    pub sockets: SocketSet<'static>,
    pub wire: Wire,
    /// How often it was asked for a connection.
    pub asked: usize,
    start: std::time::Instant,
    port: u16,
}

impl Guest {
    pub fn new(network: Network) -> Guest {
        let mut wire = Wire::default();
        let mut config = Config::new(MAC.into());
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(ADDRESS.into(), 24)).unwrap();
        });
        interface
            .routes_mut()
            .add_default_ipv4_route(GATEWAY)
            .unwrap();
        Guest {
            network,
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            asked: 0,
            start: std::time::Instant::now(),
            port: 50_000,
        }
    }

    /// A guest that reaches the host.
    pub fn with_host() -> Guest {
        Guest::new(network(true, &[], &[]))
    }

    /// Both ends do what they can.
    pub fn step(&mut self) {
        self.network.ready();
        let mut room = vec![0; 2048];
        while let Some(length) = self.network.receive(&mut room) {
            assert!(length <= usize::from(MTU) + 14);
            checksum::fill(&mut room[..length]);
            self.asked += usize::from(is_asking(&room[..length]));
            self.wire.to_guest.push_back(room[..length].to_vec());
        }
        let now = Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap());
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        for frame in self.wire.from_guest.drain(..) {
            self.network.send(&frame);
        }
        self.network.flush();
    }

    /// Both ends go on until something has come true.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Guest) -> bool) {
        let begin = std::time::Instant::now();
        loop {
            self.step();
            if done(self) {
                return;
            }
            wait(&self.network);
            assert!(begin.elapsed() < HANGS, "{what} does not come");
        }
    }

    /// A new TCP socket.
    pub fn socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 32 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    pub fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub fn udp(&mut self, handle: SocketHandle) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Begins to connect to a port.
    pub fn connect(&mut self, to: Ipv4Address, port: u16) -> SocketHandle {
        let handle = self.socket();
        self.port += 1;
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        socket
            .connect(self.interface.context(), (to, port), self.port)
            .unwrap();
        handle
    }

    /// A new UDP socket.
    pub fn datagrams(&mut self, port: u16) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16 << 10]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    /// Sends all of this and says that it was all.
    pub fn send_all(&mut self, handle: SocketHandle, bytes: &[u8]) {
        let mut sent = 0;
        self.until("the end of sending", |guest| {
            let socket = guest.tcp(handle);
            if socket.can_send() {
                sent += socket.send_slice(&bytes[sent..]).unwrap();
            }
            sent == bytes.len()
        });
        self.tcp(handle).close();
    }

    /// Receives until the other side has sent all.
    pub fn receive_all(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.until("the end of receiving", |guest| {
            let socket = guest.tcp(handle);
            while socket.can_recv() {
                socket
                    .recv(|room| {
                        bytes.extend_from_slice(room);
                        (room.len(), ())
                    })
                    .unwrap();
            }
            !socket.may_recv()
        });
        bytes
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.to_guest.pop_front()?;
        Some((Received(frame), Sending(&mut self.from_guest)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        (self.from_guest.len() < 64).then_some(Sending(&mut self.from_guest))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(MTU) + 14;
        capabilities
    }
}

pub struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let done = write(&mut frame);
        self.0.push_back(frame);
        done
    }
}
