//! Which devices a configuration gives a VM: opened here, before anything of the VM is built.

use crate::Error;
use crate::config::Config;
use crate::virtio::{Device, Rng};
use hypercall_abi::device::kind;

/// Opens every device, in the order of the device table.
///
/// # Errors
/// What the host refuses: a file, a socket, a network.
pub(crate) fn open(config: &Config) -> Result<Vec<Box<dyn Device>>, Error> {
    let mut devices: Vec<Box<dyn Device>> = Vec::new();
    if config.machine.rng {
        devices.push(Box::new(Rng::default()));
    }
    Ok(devices)
}

/// A sentence about the devices that an image cannot do without and that are not there. `needed`: a bit for each kind.
pub(crate) fn missing(needed: u64, present: impl Iterator<Item = u32>) -> Option<String> {
    let present = present.fold(0, |set, kind| set | bit(kind));
    let missing = needed & !present;
    let first = (0..u64::BITS).find(|kind| missing & bit(*kind) != 0)?;
    let known = kind::ALL.iter().find(|(kind, _)| *kind == first);
    Some(match known {
        Some((_, "rng")) => {
            "its note says that it needs random numbers from a device, and this VM has none; write machine.rng = true".into()
        }
        Some((_, name)) => format!(
            "its note says that it needs a device of the kind {name:?}, and this VM has none; add a [[{name}]] to its configuration"
        ),
        None => format!("its note says that it needs a virtio device with ID {first}, which this host does not have"),
    })
}

fn bit(kind: u32) -> u64 {
    1_u64.checked_shl(kind).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_cure() {
        assert_eq!(missing(0, [].into_iter()), None);
        assert_eq!(missing(1 << kind::RNG, [kind::RNG].into_iter()), None);
        let disk = missing(1 << kind::BLOCK | 1 << kind::RNG, [kind::RNG].into_iter()).unwrap();
        assert!(disk.contains("[[disk]]"), "{disk}");
        let rng = missing(1 << kind::RNG, [kind::BLOCK].into_iter()).unwrap();
        assert!(rng.contains("machine.rng = true"), "{rng}");
        let unknown = missing(1 << 63, [].into_iter()).unwrap();
        assert!(unknown.contains("ID 63"), "{unknown}");
    }
}
