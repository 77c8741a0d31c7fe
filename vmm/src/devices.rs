//! Which devices a configuration gives a VM: opened here, before anything of the VM is built.

use crate::Error;
use crate::config::Config;
use crate::virtio::net::Card;
use crate::virtio::{Block, Console, Device, Disk, Rng, Vsock};
use hypercall_abi::device::kind;
use std::sync::Arc;

/// The devices of a VM.
pub(crate) struct Opened {
    /// All of them, in the order of the device table.
    pub devices: Vec<Box<dyn Device>>,
    /// The first disk.
    pub disk: Option<Arc<Disk>>,
}

/// Opens every device.
///
/// # Errors
/// What the host refuses: a file, a socket, a network.
pub(crate) fn open(config: &Config) -> Result<Opened, Error> {
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    let mut first = None;
    for disk in &config.disks {
        let block = Block::open(disk, config.machine.vcpus)?;
        first.get_or_insert_with(|| Arc::clone(block.disk()));
        devices.push(Box::new(block));
    }
    for net in &config.nets {
        devices.push(Box::new(Card::open(&config.guest.image, net)?));
    }
    for vsock in &config.vsocks {
        devices.push(Box::new(Vsock::open(vsock)?));
    }
    if !config.ports.is_empty() {
        devices.push(Box::new(Console::open(&config.ports)?));
    }
    if let Some(rng) = &config.machine.rng {
        devices.push(Box::new(Rng::open(rng)?));
    }
    Ok(Opened {
        devices,
        disk: first,
    })
}

/// The [kinds](kind) of the devices that [`open`] opens, in order.
pub(crate) fn kinds(config: &Config) -> impl Iterator<Item = u32> {
    let disks = config.disks.iter().map(|_| kind::BLOCK);
    let nets = config.nets.iter().map(|_| kind::NET);
    let vsocks = config.vsocks.iter().map(|_| kind::VSOCK);
    let console = (!config.ports.is_empty()).then_some(kind::CONSOLE);
    let rng = config.machine.rng.as_ref().map(|_| kind::RNG);
    disks.chain(nets).chain(vsocks).chain(console).chain(rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Image, Link, Net, Port, PortEnd, UserNetwork};

    #[test]
    fn kinds_are_those_of_the_devices() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("disk");
        std::fs::write(&file, [0; 512]).unwrap();
        let mut config = Config::new(Image::File("guest.elf".into()));
        assert_eq!(kinds(&config).count(), 0);
        config.disks.push(config::Disk::new("disk", file));
        let user = Link::User(UserNetwork::default());
        config.nets.push(Net::new("net", user));
        let socket = directory.path().join("vsock");
        config.vsocks.push(config::Vsock::new(socket));
        config.ports.push(Port::new("one", PortEnd::None));
        config.ports.push(Port::new("two", PortEnd::None));
        config.machine.rng = Some(config::Rng::default());
        let opened = open(&config).unwrap();
        let opened = opened.devices.iter().map(|device| device.identity().kind);
        assert_eq!(
            kinds(&config).collect::<Vec<_>>(),
            opened.collect::<Vec<_>>()
        );
    }
}
