//! What an image cannot do without, by its note, and what a configuration gives its VM: compared before anything of the VM is built.

use crate::Error;
use crate::config::{Config, Transport};
use crate::image::Plan;
use crate::platform::Layout;
use crate::{devices, poller};
use hypercall_abi::class::Classes;
use hypercall_abi::device::kind;
use hypercall_abi::note::Note;
use hypercall_abi::version::feature;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Checks, without KVM and without a VM, that an image can run in the VM of a configuration.
///
/// # Errors
/// [`Error::Image`], as [`Vm::new`](crate::Vm::new) has it.
pub fn check(config: &Config, image: &Path) -> Result<(), Error> {
    let refused = |problem| Error::Image {
        path: image.to_owned(),
        problem,
    };
    let file = File::open(image).map_err(|error| refused(error.to_string()))?;
    let plan = Plan::read_file(&file).map_err(refused)?;
    met(&plan.note, config).map_err(refused)?;
    Layout::new(&plan, config.machine.memory).map_err(refused)?;
    Ok(())
}

/// Checks that a VM has what a note asks for.
///
/// # Errors
/// A sentence that says what it has not, and what would help.
pub(crate) fn met(note: &Note, config: &Config) -> Result<(), String> {
    let missing = note.classes & !config.limits.calls.0;
    if missing != 0 {
        let classes = Classes(missing);
        return Err(format!(
            "it needs the call classes {classes:?} (bits {missing:#x}), which limits.calls does not grant"
        ));
    }
    let missing = note.features & !features(config);
    if missing != 0 {
        let cure = match missing & feature::TRAPPED {
            0 => "",
            _ => "; machine.trapped = true offers one",
        };
        return Err(format!(
            "it needs ABI features {missing:#x}, which this VM does not offer{cure}"
        ));
    }
    match missing_devices(note, devices::kinds(config), config.guest.said_in.as_ref()) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

/// The ABI features that a VM is offered.
pub(crate) fn features(config: &Config) -> u64 {
    let polled = config.calls.transport != Transport::Trap && poller::available();
    let polled = if polled { feature::POLL } else { 0 };
    let trapped = if config.machine.trapped {
        feature::TRAPPED
    } else {
        0
    };
    feature::BATCH | feature::DOORBELL | polled | trapped
}

/// A sentence about the devices that an image cannot do without and that are not there: what its note says and where, what the configuration
/// lacks and where.
fn missing_devices(
    note: &Note,
    present: impl Iterator<Item = u32>,
    said_in: Option<&(PathBuf, usize)>,
) -> Option<String> {
    let present = present.fold(0, |set, kind| set | bit(kind));
    let missing = note.devices & !present;
    if missing == 0 {
        return None;
    }
    let (mut devices, mut cures, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for missing in (0..u64::BITS).filter(|kind| missing & bit(*kind) != 0) {
        let known = kind::ALL.iter().find(|(kind, _)| *kind == missing);
        let (device, cure) = match known {
            Some((_, "rng")) => (
                "a device for random numbers".to_owned(),
                "write rng = true in [machine]".to_owned(),
            ),
            Some((_, "console")) => (
                "a console with ports".to_owned(),
                "add a [[console]] with name = \"NAME\"".to_owned(),
            ),
            Some((_, name)) => (format!("a {name} device"), format!("add a [[{name}]]")),
            None => {
                unknown.push(format!("a virtio device with ID {missing}"));
                continue;
            }
        };
        devices.push(device);
        cures.push(cure);
    }
    let says = match note.place() {
        Some((file, line)) => format!("{file}:{line} says"),
        None => "its note says".into(),
    };
    let configuration = match said_in {
        Some((path, line)) => format!("the configuration that runs it ({}:{line})", path.display()),
        None => "this VM's configuration".into(),
    };
    let none = match devices.len() {
        1 => "none",
        _ => "none of them",
    };
    let (lacks_known, lacks_unknown) = (!devices.is_empty(), !unknown.is_empty());
    let (devices, cures, unknown) = (list(&devices), list(&cures), list(&unknown));
    let known = format!("{says} that it needs {devices}, and {configuration} has {none}; {cures}");
    let unknown = format!("needs {unknown}, which this host does not know");
    Some(match (lacks_known, lacks_unknown) {
        (_, false) => known,
        (false, true) => format!("{says} that it {unknown}"),
        (true, true) => format!("{known}; it also {unknown}"),
    })
}

/// `a, b and c`.
fn list(words: &[String]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        words => words.concat(),
    }
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
        missing_devices(&note, present.iter().copied(), Some(&said_in))
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
        let nowhere = missing_devices(&Note::DEFAULT.needs(1), [].into_iter(), None).unwrap();
        assert!(
            nowhere.starts_with("its note says") && nowhere.contains("this VM's"),
            "{nowhere}"
        );
    }

    #[test]
    fn all_that_is_missing_is_named() {
        assert_eq!(
            missing(&[kind::BLOCK, kind::RNG, kind::NET], &[]).as_deref(),
            Some(
                "src/main.rs:7 says that it needs a net device, a disk device and a device for random numbers, and the configuration that runs it (vm.toml:2) has none of them; add a [[net]], add a [[disk]] and write rng = true in [machine]"
            )
        );
        let unknown = missing(&[62, kind::RNG, 63], &[]).unwrap();
        assert!(
            unknown.contains("a device for random numbers")
                && unknown.ends_with("; it also needs a virtio device with ID 62 and a virtio device with ID 63, which this host does not know"),
            "{unknown}"
        );
    }
}
