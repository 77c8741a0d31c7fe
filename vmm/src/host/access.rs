//! Whether `/dev/kvm` is there and may be used, and what to do if not.

use super::kind::Evidence;
use kvm_ioctls::Kvm;
use serde::Serialize;
use std::io;

/// The only version of KVM's interface that Linux has had since 2.6.22.
const API_VERSION: i32 = 12;

/// Why KVM cannot be used, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What is wrong; one line.
    pub problem: String,
    /// What to do about it; one line.
    pub remedy: String,
}

/// Opens KVM.
///
/// # Errors
/// [`Refusal`], with a remedy that fits this host.
pub fn open(evidence: &Evidence) -> Result<Kvm, Refusal> {
    let kvm = Kvm::new().map_err(|errno| refusal(&errno.into(), evidence))?;
    match kvm.get_api_version() {
        API_VERSION => Ok(kvm),
        version => Err(Refusal {
            problem: format!(
                "/dev/kvm answers {version} to KVM_GET_API_VERSION, not {API_VERSION}"
            ),
            remedy: "it is not KVM's device: rm it, then sudo mknod /dev/kvm c 10 232".to_owned(),
        }),
    }
}

fn refusal(error: &io::Error, evidence: &Evidence) -> Refusal {
    let remedy = match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            "sudo usermod -aG kvm \"$USER\", then log in again (in a container: --device /dev/kvm)"
        }
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => absent(evidence),
        Some(libc::EBUSY) => "another hypervisor uses the processor's virtualization: stop it",
        _ => "see the kernel's log: sudo dmesg | grep -i kvm",
    };
    Refusal {
        problem: format!("/dev/kvm: {error}"),
        remedy: remedy.to_owned(),
    }
}

/// What to do where there is no device.
fn absent(evidence: &Evidence) -> &'static str {
    if evidence.has_module("kvm_intel")
        || evidence.has_module("kvm_amd")
        || evidence.has_module("kvm_pvm")
    {
        return "sudo mknod /dev/kvm c 10 232 (in a container: --device /dev/kvm)";
    }
    match (evidence.vmx, evidence.svm) {
        (true, _) => "load its module: sudo modprobe kvm_intel",
        (_, true) => "load its module: sudo modprobe kvm_amd",
        _ => "enable (nested) virtualization, or load a KVM that needs no VMX or SVM (kvm_pvm)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_the_host() {
        let plain = Evidence::default();
        let intel = Evidence {
            vmx: true,
            ..Evidence::default()
        };
        let amd = Evidence {
            svm: true,
            ..Evidence::default()
        };
        let loaded = Evidence {
            modules: vec!["kvm".to_owned(), "kvm_amd".to_owned()],
            ..amd.clone()
        };
        let cases = [
            (libc::EACCES, &plain, "usermod -aG kvm"),
            (libc::ENOENT, &intel, "modprobe kvm_intel"),
            (libc::ENOENT, &amd, "modprobe kvm_amd"),
            (libc::ENOENT, &plain, "(nested) virtualization"),
            (libc::ENOENT, &loaded, "--device /dev/kvm"),
            (libc::ENODEV, &plain, "(nested) virtualization"),
            (libc::EBUSY, &plain, "another hypervisor"),
            (libc::EIO, &plain, "dmesg"),
        ];
        for (errno, evidence, expected) in cases {
            let refusal = refusal(&io::Error::from_raw_os_error(errno), evidence);
            assert!(refusal.problem.starts_with("/dev/kvm: "), "{refusal:?}");
            assert!(refusal.remedy.contains(expected), "{refusal:?}");
            assert!(!refusal.remedy.contains('\n'), "{refusal:?}");
        }
    }
}
