//! Which kind of KVM this host has, from what the kernel says of itself. Makes no VM and opens no device.

use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::Path;

/// What `/dev/kvm` is made of on this host.
///
/// Says nothing of whether `/dev/kvm` is there: see [`Host::refusal`](super::Host::refusal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HostKind {
    /// Intel VMX: every ring is native.
    Vmx,
    /// AMD SVM: every ring is native.
    Svm,
    /// Neither: ring 3 is native, ring 0 is carried out by software.
    Software,
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostKind::Vmx => "hardware KVM (VMX)",
            HostKind::Svm => "hardware KVM (SVM)",
            HostKind::Software => "software KVM",
        })
    }
}

/// What the kernel says that decides the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The processor has VMX.
    pub vmx: bool,
    /// The processor has SVM.
    pub svm: bool,
    /// Those of `kvm`, `kvm_intel`, `kvm_amd` and `kvm_pvm` that the kernel has, as modules or built in.
    pub modules: Vec<String>,
}

impl Evidence {
    /// Reads `/proc/cpuinfo` and `/sys/module`.
    #[must_use]
    pub fn gather() -> Evidence {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |flag| has_flag(&cpuinfo, flag);
        let present = |name: &&str| Path::new("/sys/module").join(name).exists();
        Evidence {
            vmx: has("vmx"),
            svm: has("svm"),
            modules: ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"]
                .into_iter()
                .filter(present)
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The kind that follows.
    #[must_use]
    pub fn kind(&self) -> HostKind {
        if self.vmx && self.has_module("kvm_intel") {
            HostKind::Vmx
        } else if self.svm && self.has_module("kvm_amd") {
            HostKind::Svm
        } else {
            HostKind::Software
        }
    }

    /// Whether the kernel has a module.
    #[must_use]
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.iter().any(|module| module == name)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.vmx, self.svm) {
            (true, _) => "the processor has VMX",
            (_, true) => "the processor has SVM",
            _ => "the processor shows neither VMX nor SVM",
        })?;
        match self.modules.as_slice() {
            [] => f.write_str("; no KVM module"),
            modules => write!(f, "; modules: {}", modules.join(", ")),
        }
    }
}

/// Which kind of KVM this host has. Cheap: reads two files, makes no VM.
#[must_use]
pub fn kind() -> HostKind {
    Evidence::gather().kind()
}

fn has_flag(cpuinfo: &str, flag: &str) -> bool {
    cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
        .is_some_and(|(_, flags)| flags.split_whitespace().any(|each| each == flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_needs_the_flag_and_its_module() {
        let cases: [(bool, bool, &[&str], HostKind); 7] = [
            (true, false, &["kvm", "kvm_intel"], HostKind::Vmx),
            (false, true, &["kvm", "kvm_amd"], HostKind::Svm),
            (false, false, &["kvm", "kvm_pvm"], HostKind::Software),
            (true, false, &["kvm", "kvm_pvm"], HostKind::Software),
            (false, false, &["kvm", "kvm_intel"], HostKind::Software),
            (true, false, &["kvm", "kvm_amd"], HostKind::Software),
            (false, false, &[], HostKind::Software),
        ];
        for (vmx, svm, modules, kind) in cases {
            let modules = modules.iter().map(|module| (*module).to_owned()).collect();
            let evidence = Evidence { vmx, svm, modules };
            assert_eq!(evidence.kind(), kind, "{evidence:?}");
        }
    }

    #[test]
    fn flags_are_whole_words() {
        let cpuinfo = "processor\t: 0\nflags\t\t: fpu vmx_nested sse svm\nvmx flags\t: vmx\n";
        assert!(has_flag(cpuinfo, "svm"));
        assert!(!has_flag(cpuinfo, "vmx"));
        assert!(!has_flag("", "vmx"));
    }
}
