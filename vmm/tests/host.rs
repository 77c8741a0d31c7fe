//! What `trapless doctor` rests on: right on any machine, with KVM and without.

use vmm::host::{Host, HostKind, Ring0};

#[test]
fn a_host_is_measured_or_refused_with_a_remedy() {
    let host = Host::examine();
    assert_eq!(host.kind, vmm::host::kind());
    match (&host.refusal, &host.measured) {
        (None, Some(measured)) => {
            let times = [measured.ring3_ns, measured.ring0_ns, measured.exit_ns];
            assert!(
                times.iter().all(|time| time.is_finite() && *time > 0.0),
                "{measured:?}"
            );
            assert!(!host.verdicts.is_empty());
            assert!(
                host.capabilities
                    .iter()
                    .all(|each| each.present || !each.needed)
            );
        }
        (Some(refusal), None) => {
            assert!(!refusal.problem.is_empty() && !refusal.remedy.is_empty());
            assert!(host.verdicts.is_empty());
        }
        other => panic!("measured and refused, or neither: {other:?}"),
    }
}

#[test]
fn json_names_what_programs_look_for() {
    let json = serde_json::to_value(Host::examine()).expect("a host is plain data");
    for key in [
        "refusal",
        "kind",
        "evidence",
        "machine",
        "capabilities",
        "measured",
        "verdicts",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(
        serde_json::to_value(HostKind::Software).expect("a word"),
        "software"
    );
    assert_eq!(
        serde_json::to_value(Ring0::Emulated).expect("a word"),
        "emulated"
    );
}
