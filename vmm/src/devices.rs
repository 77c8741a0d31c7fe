//! Which devices a configuration gives a VM: opened here, before anything of the VM is built.

use crate::Error;
use crate::config::Config;
use crate::virtio::net::Card;
use crate::virtio::{Block, Console, Device, Disk, Rng, Vsock};
use hypercall_abi::device::kind;
use hypercall_abi::note::Note;
use std::path::PathBuf;
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

/// A sentence about a device that an image cannot do without and that is not there: what its note says and where, what the configuration
/// lacks and where.
pub(crate) fn missing(
    note: &Note,
    present: impl Iterator<Item = u32>,
    said_in: Option<&(PathBuf, usize)>,
) -> Option<String> {
    let present = present.fold(0, |set, kind| set | bit(kind));
    let missing = note.devices & !present;
    let first = (0..u64::BITS).find(|kind| missing & bit(*kind) != 0)?;
    let known = kind::ALL.iter().find(|(kind, _)| *kind == first);
    let says = match note.place() {
        Some((file, line)) => format!("{file}:{line} says"),
        None => "its note says".into(),
    };
    let configuration = match said_in {
        Some((path, line)) => format!("the configuration that runs it ({}:{line})", path.display()),
        None => "this VM's configuration".into(),
    };
    Some(match known {
        Some((_, "rng")) => format!(
            "{says} that it needs a device for random numbers, and {configuration} has none; write rng = true in [machine]"
        ),
        Some((_, "console")) => format!(
            "{says} that it needs a console with ports, and {configuration} has none; add a [[console]] with name = \"NAME\""
        ),
        Some((_, name)) => format!(
            "{says} that it needs a {name} device, and {configuration} has none; add a [[{name}]]"
        ),
        None => format!(
            "{says} that it needs a virtio device with ID {first}, which this host does not know"
        ),
    })
}

fn bit(kind: u32) -> u64 {
    1_u64.checked_shl(kind).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is missing for a note that needs some kinds, where others are there.
    fn missing(needed: &[u32], present: &[u32]) -> Option<String> {
        let note = needed
            .iter()
            .fold(Note::DEFAULT, |note, kind| note.needs(*kind));
        let note = note.said_in("src/main.rs", 7);
        let said_in = (PathBuf::from("vm.toml"), 2);
        super::missing(&note, present.iter().copied(), Some(&said_in))
    }

    #[test]
    fn what_is_missing_is_named_with_both_places_and_its_cure() {
        assert_eq!(missing(&[], &[]), None);
        assert_eq!(missing(&[kind::RNG], &[kind::RNG]), None);
        assert_eq!(
            missing(&[kind::BLOCK, kind::RNG], &[kind::RNG]).as_deref(),
            Some(
                "src/main.rs:7 says that it needs a disk device, and the configuration that runs it (vm.toml:2) has none; add a [[disk]]"
            )
        );
        let rng = missing(&[kind::RNG], &[kind::BLOCK]).unwrap();
        assert!(rng.contains("rng = true in [machine]"), "{rng}");
        let console = missing(&[kind::CONSOLE], &[]).unwrap();
        assert!(console.contains("a [[console]] with name"), "{console}");
        let unknown = missing(&[63], &[]).unwrap();
        assert!(unknown.contains("ID 63"), "{unknown}");
        let nowhere = super::missing(&Note::DEFAULT.needs(1), [].into_iter(), None).unwrap();
        assert!(
            nowhere.starts_with("its note says") && nowhere.contains("this VM's"),
            "{nowhere}"
        );
    }
}
