//! The whole ABI as text, held against `abi.txt`, so that no number or offset changes unnoticed.

use hypercall_abi::{
    Layout, Status, batch, boot, call, class, device, doorbell, fault, info, map, note, vcpu,
    version, vsock,
};
use std::fmt::Write;

const ADVICE: &str = "\
the ABI is no longer what tests/abi.txt records.
  - If you did not mean to change it: undo the change, the first differing line says which.
  - If you added something (a call, a status, a field in reserved space): raise version::MINOR.
  - If you changed or removed something: raise version::MAJOR, or MINOR while MAJOR is 0.
  Then record it: UPDATE_ABI=1 cargo test -p hypercall-abi, and add a line to CHANGELOG.md.
";

fn layout<T: Layout>(text: &mut String) {
    writeln!(text, "struct {} size {}", T::NAME, T::SIZE).unwrap();
    for (field, offset) in T::FIELDS {
        writeln!(text, "  {offset:4} {field}").unwrap();
    }
}

fn abi() -> String {
    let mut text = String::new();
    writeln!(text, "version {}.{}", version::MAJOR, version::MINOR).unwrap();
    for row in call::TABLE {
        writeln!(
            text,
            "call {:#05x} {} {:?}",
            row.number, row.name, row.carrier
        )
        .unwrap();
    }
    for class in class::CLASSES {
        writeln!(text, "class {} {}", class.index, class.name).unwrap();
    }
    for status in Status::ALL {
        writeln!(text, "status {} {status:?}", status.0).unwrap();
    }
    for (name, value) in [
        ("PLATFORM_BASE", map::PLATFORM_BASE),
        ("HYPERCALL_PAGE", map::HYPERCALL_PAGE),
        ("BOOT_PAGE", map::BOOT_PAGE),
        ("SHARED_INFO", map::SHARED_INFO),
        ("DEVICES", map::DEVICES),
        ("VCPU_PAGES", map::VCPU_PAGES),
        ("VCPU_PAGE_STRIDE", map::VCPU_PAGE_STRIDE),
        ("CORNER", map::CORNER),
        ("PAGE_TABLES", map::PAGE_TABLES),
        ("RAM_BASE", map::RAM_BASE),
        ("MAX_VCPUS", map::MAX_VCPUS.into()),
        ("MAX_TRANSFER", call::MAX_TRANSFER),
        ("event CONSOLE_INPUT", vcpu::event::CONSOLE_INPUT),
        ("event SHUTDOWN", vcpu::event::SHUTDOWN),
        ("event VCPU_STOPPED", vcpu::event::VCPU_STOPPED),
        ("event GENERATION", vcpu::event::GENERATION),
        ("event DEVICE_BASE", vcpu::event::DEVICE_BASE.into()),
        ("event GUEST_EVENTS", vcpu::event::GUEST_EVENTS),
        ("feature POLL", version::feature::POLL),
        ("feature BATCH", version::feature::BATCH),
        ("feature DOORBELL", version::feature::DOORBELL),
        ("feature TRAPPED", version::feature::TRAPPED),
        ("batch STOP_ON_ERROR", batch::flags::STOP_ON_ERROR.into()),
        ("batch DOORBELL", batch::flags::DOORBELL.into()),
        ("event BATCH_SERVED", vcpu::event::BATCH_SERVED),
        ("doorbell GATE", doorbell::GATE),
        ("doorbell DEVICES", doorbell::DEVICES.into()),
        ("MAX_DEVICES", device::MAX_DEVICES.into()),
        ("MAX_QUEUES", device::MAX_QUEUES.into()),
        ("MAX_QUEUE_SIZE", device::MAX_QUEUE_SIZE.into()),
        ("note KIND", note::KIND.into()),
        ("boot MAGIC", boot::MAGIC),
    ] {
        writeln!(text, "{name} {value:#x}").unwrap();
    }
    layout::<boot::BootPage>(&mut text);
    layout::<boot::Bytes>(&mut text);
    layout::<info::SharedInfo>(&mut text);
    layout::<info::Time>(&mut text);
    layout::<info::PollerAwake>(&mut text);
    layout::<vcpu::VcpuPage>(&mut text);
    layout::<vcpu::Events>(&mut text);
    layout::<vcpu::CallLine>(&mut text);
    layout::<vcpu::BatchRing>(&mut text);
    layout::<vcpu::CallTimes>(&mut text);
    layout::<batch::BatchEntry>(&mut text);
    layout::<fault::FaultFrame>(&mut text);
    layout::<fault::PanicInfo>(&mut text);
    layout::<device::Device>(&mut text);
    layout::<device::QueueSetup>(&mut text);
    layout::<vsock::Header>(&mut text);
    layout::<vsock::Config>(&mut text);
    layout::<note::Note>(&mut text);
    text
}

#[test]
fn the_abi_is_what_was_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abi.txt");
    let now = abi();
    if std::env::var_os("UPDATE_ABI").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let recorded = std::fs::read_to_string(path).unwrap_or_default();
    let differing = now
        .lines()
        .zip(recorded.lines())
        .find(|(now, recorded)| now != recorded);
    assert!(
        now == recorded,
        "{ADVICE}  first difference (now, recorded): {differing:?}"
    );
}

#[test]
fn every_call_belongs_to_a_class_and_numbers_rise() {
    for pair in call::TABLE.windows(2) {
        assert!(
            pair[0].number < pair[1].number,
            "{} is out of order",
            pair[1].name
        );
    }
    for row in call::TABLE {
        assert!(
            class::CLASSES
                .iter()
                .any(|class| class.index == row.number >> 8),
            "{} has no class",
            row.name
        );
    }
}

#[test]
fn every_number_finds_its_row_and_no_other_does() {
    for number in (0..0x2000).chain([u32::MAX, 1 << 31, 0x1_0000]) {
        let row = call::TABLE.iter().position(|row| row.number == number);
        assert_eq!(call::row(number), row, "{number:#x}");
    }
}

#[test]
fn class_sets_permit_their_classes_and_core() {
    use class::Classes;
    assert!(Classes(0).permits(call::EXIT), "core cannot be withheld");
    assert!(!Classes::NONE.permits(call::CONSOLE_WRITE));
    assert!(
        Classes::NONE
            .with(class::CONSOLE)
            .permits(call::CONSOLE_WRITE)
    );
    assert!(
        !Classes(u64::MAX).permits(u32::MAX),
        "class numbers past the set are never granted"
    );
    for row in call::TABLE {
        assert!(Classes::ALL.permits(row.number), "{}", row.name);
    }
}

#[test]
fn versions_are_refused_as_documented() {
    use note::Note;
    use version::{MAJOR, MINOR, Mismatch, accepts};
    assert_eq!(accepts(&Note::DEFAULT), Ok(()));
    assert_eq!(
        accepts(&Note {
            major: MAJOR + 1,
            ..Note::DEFAULT
        }),
        Err(Mismatch::Version)
    );
    assert_eq!(
        accepts(&Note {
            minor_built: MINOR + 1,
            ..Note::DEFAULT
        }),
        Err(Mismatch::TooNew)
    );
    assert_eq!(
        accepts(&Note {
            minor_least: MINOR + 1,
            ..Note::DEFAULT
        }),
        Err(Mismatch::TooNew)
    );
    if MAJOR == 0 {
        assert_eq!(
            accepts(&Note {
                minor_built: MINOR - 1,
                ..Note::DEFAULT
            }),
            Err(Mismatch::Version)
        );
    }
}

#[test]
fn the_clock_line_saturates_and_never_steps_back() {
    let time = info::Time {
        base_tsc: 1000,
        base_ns: 50,
        mult: 1 << 31,
        ..info::Time::default()
    };
    assert_eq!(time.at(0), 50, "before the base point");
    assert_eq!(time.at(1000), 50);
    assert_eq!(time.at(1100), 100, "half a nanosecond a tick");
    let fast = info::Time {
        mult: u64::MAX,
        base_ns: u64::MAX,
        ..info::Time::default()
    };
    assert_eq!(fast.at(u64::MAX), u64::MAX);
}

#[test]
fn again_survives_its_result_word() {
    use hypercall_abi::status::Again;
    for again in [
        Again {
            token: 7,
            hint_ns: 1_000,
        },
        Again {
            token: u32::MAX,
            hint_ns: u32::MAX,
        },
    ] {
        assert_eq!(Again::from_result(again.to_result()), again);
    }
}
