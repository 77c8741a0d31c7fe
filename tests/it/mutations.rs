//! Images with random edits: the host's plan for one is sound or there is none, and a VM of one ends.

use crate::images::{good, put};
use hypercall_abi::map;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::io::Write;
use std::time::Duration;
use trapless_tests::{Boot, require_kvm};
use vmm::image::Plan;

/// One edit of an image.
#[derive(Clone, Debug)]
enum Edit {
    /// Any byte of the headers becomes another.
    Header(usize, u8),
    /// A word of the headers becomes an interesting one.
    Word(usize, u64),
    /// Any byte of the file becomes another.
    Byte(prop::sample::Index, u8),
    /// The file ends here.
    Truncate(prop::sample::Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let interesting = prop::sample::select(vec![
        0,
        1,
        7,
        0xfff,
        0x1000,
        map::RAM_BASE - 1,
        map::RAM_BASE,
        1 << 31,
        1 << 32,
        map::MAX_MEMORY,
        1 << 47,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 0xfff,
        u64::MAX,
    ]);
    let edit = prop_oneof![
        4 => (0..600_usize, any::<u8>()).prop_map(|(at, value)| Edit::Header(at, value)),
        4 => (0..600_usize, interesting).prop_map(|(at, value)| Edit::Word(at & !3, value)),
        3 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, value)| Edit::Byte(at, value)),
        1 => any::<prop::sample::Index>().prop_map(Edit::Truncate),
    ];
    prop::collection::vec(edit, 1..6)
}

fn mutated(edits: &[Edit]) -> Vec<u8> {
    let mut image = good().to_vec();
    for edit in edits {
        let len = image.len();
        match edit {
            Edit::Header(at, value) if *at < len => image[*at] = *value,
            Edit::Word(at, value) if at + 8 <= len => put(&mut image, *at, &value.to_le_bytes()),
            Edit::Byte(at, value) if len > 0 => image[at.index(len)] = *value,
            Edit::Truncate(at) if len > 0 => image.truncate(at.index(len)),
            _ => {}
        }
    }
    image
}

/// What the rest of the host relies on.
fn assert_sound(plan: &Plan, image: &[u8]) {
    let mut before = map::RAM_BASE;
    for segment in &plan.segments {
        let (start, end) = segment.pages();
        assert!(
            start >= before && end > start && segment.end() <= map::MAX_MEMORY,
            "{plan:?}"
        );
        assert!(segment.file_size <= segment.size, "{plan:?}");
        assert!(
            segment.file_offset + segment.file_size <= image.len() as u64,
            "{plan:?}"
        );
        assert!(!(segment.write && segment.execute), "{plan:?}");
        before = end;
    }
    let holds =
        |segment: &&vmm::image::Segment| (segment.address..segment.end()).contains(&plan.entry);
    assert!(
        plan.segments
            .iter()
            .find(holds)
            .is_some_and(|segment| segment.execute),
        "{plan:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_of_anything_is_sound(edits in edits()) {
        let image = mutated(&edits);
        if let Ok(plan) = Plan::read(image.as_slice()) {
            assert_sound(&plan, &image);
        }
    }
}

#[test]
fn a_vm_of_anything_ends() {
    require_kvm!();
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = TestRunner::new(config).run(&edits(), |edits| {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&mutated(&edits)).expect("writing the image");
        let boot = Boot::image(file.path()).limit(Duration::from_millis(200));
        // However it ends, it does, and the host does not fail.
        if let Ok((vm, console)) = boot.make() {
            boot.finish(vm, &console);
        }
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
