//! Image files that are damaged, wrong or made to deceive.

use hypercall_abi::{map, note, version};
use std::io::Write;
use std::sync::OnceLock;
use trapless_tests::{Boot, guest, require_kvm};
use vmm::image::Plan;

/// A good image, as bytes.
pub fn good() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| std::fs::read(guest("hostile")).expect("a guest's image"))
}

/// Overwrites bytes of an image.
pub fn put(image: &mut [u8], offset: usize, bytes: &[u8]) {
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn number(image: &[u8], offset: usize) -> u64 {
    let bytes = image[offset..offset + 8].try_into().expect("eight bytes");
    u64::from_le_bytes(bytes)
}

/// Where the program headers of a kind are in the file.
fn headers(image: &[u8], kind: u32) -> Vec<usize> {
    let first = number(image, 32) as usize;
    let count = usize::from(u16::from_le_bytes([image[56], image[57]]));
    let all = (0..count).map(|index| first + index * 56);
    all.filter(|&at| image[at..at + 4] == kind.to_le_bytes())
        .collect()
}

/// Offsets in a program header.
const FLAGS: usize = 4;
const OFFSET: usize = 8;
const ADDRESS: usize = 16;
const FILE_SIZE: usize = 32;
const SIZE: usize = 40;
/// Kinds of program header.
const LOAD: u32 = 1;
const NOTE: u32 = 4;

/// What the host says of a good image after an edit. It says it in the same words whether it is asked about the bytes or
/// to make a VM of the file.
#[track_caller]
fn refused(edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut image = good().to_vec();
    edit(&mut image);
    let problem = match Plan::read(image.as_slice()) {
        Ok(plan) => panic!("accepted: {plan:?}"),
        Err(problem) => problem,
    };
    if trapless_tests::kvm::present() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&image).expect("writing the image");
        let refusal = Boot::image(file.path()).refused();
        assert!(
            refusal.contains(&problem),
            "{refusal:?} does not say {problem:?}"
        );
        let path = file.path().display().to_string();
        assert!(refusal.contains(&path), "{refusal:?} does not name {path}");
    }
    problem
}

#[track_caller]
fn says(problem: &str, word: &str) {
    assert!(problem.contains(word), "{problem:?} does not say {word:?}");
}

#[test]
fn the_good_one_is_accepted() {
    let plan = Plan::read(good()).expect("a good image");
    assert!(plan.segments.len() > 1);
    assert_eq!(plan.note.major, version::MAJOR);
}

#[test]
fn truncated_anywhere() {
    let image = good();
    let last = Plan::read(image).expect("a good image").segments;
    let needed = last
        .iter()
        .map(|segment| segment.file_offset + segment.file_size)
        .max();
    let needed = needed.expect("a segment") as usize;
    for len in (0..2000)
        .chain((2000..needed).step_by(4099))
        .chain([needed - 1])
    {
        assert!(
            Plan::read(&image[..len]).is_err(),
            "accepted with {len} of {needed} bytes"
        );
    }
    says(&refused(|image| image.truncate(0)), "not an ELF file");
    says(&refused(|image| image.truncate(40)), "truncated");
    says(&refused(|image| image.truncate(needed - 1)), "truncated");
}

#[test]
fn something_else() {
    says(
        &refused(|image| *image = b"#!/bin/sh\necho no\n".to_vec()),
        "not an ELF file",
    );
    says(&refused(|image| image[0] = 0), "not an ELF file");
    says(&refused(|image| image[4] = 1), "64-bit");
    says(&refused(|image| image[5] = 2), "little-endian");
    says(
        &refused(|image| put(image, 18, &183_u16.to_le_bytes())),
        "183",
    );
    says(
        &refused(|image| put(image, 16, &3_u16.to_le_bytes())),
        "static",
    );
    says(
        &refused(|image| put(image, 16, &1_u16.to_le_bytes())),
        "object",
    );
    says(
        &refused(|image| put(image, 54, &32_u16.to_le_bytes())),
        "program header",
    );
    says(
        &refused(|image| put(image, 56, &u16::MAX.to_le_bytes())),
        "program header",
    );
    says(
        &refused(|image| put(image, 56, &0_u16.to_le_bytes())),
        "nothing to load",
    );
    says(
        &refused(|image| put(image, 32, &u64::MAX.to_le_bytes())),
        "program header",
    );
}

#[test]
fn not_a_file() {
    require_kvm!();
    says(
        &Boot::image("/nonexistent/image".as_ref()).refused(),
        "/nonexistent/image",
    );
    says(&Boot::image("/tmp".as_ref()).refused(), "/tmp");
}

#[test]
fn segments_in_the_wrong_place() {
    let edit = |field: usize, value: u64| {
        refused(|image| {
            let segment = headers(image, LOAD)[1];
            put(image, segment + field, &value.to_le_bytes());
        })
    };
    let first = Plan::read(good()).expect("a good image").segments[0];
    says(&edit(ADDRESS, first.address), "overlap");
    says(&edit(ADDRESS, first.end()), "page");
    for address in [
        0,
        0x1000,
        map::HYPERCALL_PAGE,
        map::CORNER,
        map::RAM_BASE - 1,
    ] {
        says(&edit(ADDRESS, address), "platform area");
    }
    for address in [map::MAX_MEMORY, 1 << 47, 1 << 63, u64::MAX] {
        says(&edit(ADDRESS, address), "most memory");
    }
    for size in [map::MAX_MEMORY, 1 << 63, u64::MAX] {
        says(&edit(SIZE, size), "most memory");
    }
    for offset in [good().len() as u64, 1 << 63, u64::MAX] {
        says(&edit(OFFSET, offset), "truncated");
    }
    says(&edit(FILE_SIZE, u64::MAX), "more bytes");
    says(&edit(SIZE, 0x10_0000_0000), "most memory");
}

#[test]
fn segments_larger_than_the_vm() {
    require_kvm!();
    let mut image = good().to_vec();
    let last = *headers(&image, LOAD).last().expect("a segment");
    put(&mut image, last + SIZE, &(64_u64 << 20).to_le_bytes());
    Plan::read(image.as_slice()).expect("an image for a larger VM");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&image).expect("writing the image");
    says(&Boot::image(file.path()).refused(), "memory");
}

#[test]
fn segments_that_may_do_too_much() {
    let problem = refused(|image| {
        let segment = headers(image, LOAD)[1];
        put(image, segment + FLAGS, &7_u32.to_le_bytes());
    });
    says(&problem, "writable and executable");
}

#[test]
fn an_entry_point_outside() {
    let readable = Plan::read(good()).expect("a good image").segments;
    let data = readable
        .iter()
        .find(|segment| !segment.execute)
        .expect("data")
        .address;
    for entry in [0, map::HYPERCALL_PAGE, data, 1 << 47, u64::MAX] {
        let problem = refused(|image| put(image, 24, &entry.to_le_bytes()));
        says(&problem, "entry point");
    }
}

/// Where the note begins in the file, found by its owner's name and its type.
fn note_at(image: &[u8]) -> usize {
    let owner = [note::OWNER.as_bytes(), b"\0"].concat();
    let wanted = |&at: &usize| {
        image[at..].starts_with(&owner) && image[at - 4..at] == note::KIND.to_le_bytes()
    };
    let found = (12..image.len()).find(wanted);
    found.expect("the note in the image") - 12
}

#[test]
fn a_note_that_is_missing_or_damaged() {
    let version = |offset: usize, value: u16| {
        refused(|image| {
            let note = note_at(image) + 24 + offset;
            put(image, note, &value.to_le_bytes());
        })
    };
    let none = refused(|image| {
        for header in headers(image, NOTE) {
            put(image, header, &0_u32.to_le_bytes());
        }
    });
    says(&none, "no Trapless note");
    says(
        &refused(|image| {
            let note = note_at(image);
            image[note + 12] = b'X';
        }),
        "no Trapless note",
    );
    says(
        &refused(|image| {
            let note = note_at(image);
            put(image, note, &u32::MAX.to_le_bytes());
        }),
        "damaged",
    );
    says(
        &refused(|image| {
            let note = note_at(image);
            put(image, note + 4, &u32::MAX.to_le_bytes());
        }),
        "damaged",
    );
    says(
        &refused(|image| {
            let note = note_at(image);
            put(image, note + 4, &8_u32.to_le_bytes());
        }),
        "damaged",
    );
    says(&version(0, version::MAJOR + 1), "ABI");
    says(&version(4, version::MINOR + 1), "newer");
    says(&version(2, u16::MAX), "newer");
    let features = refused(|image| {
        let note = note_at(image) + 24 + 8;
        put(image, note, &(1_u64 << 63).to_le_bytes());
    });
    says(&features, "feature");
}

#[test]
fn a_note_that_asks_for_too_much() {
    require_kvm!();
    let asks = |offset: usize| {
        let mut image = good().to_vec();
        let note = note_at(&image) + 24 + offset;
        put(&mut image, note, &(1_u64 << 40).to_le_bytes());
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&image).expect("writing the image");
        Boot::image(file.path()).refused()
    };
    says(&asks(16), "0x10000000000");
    says(&asks(24), "device with ID 40");
    says(&asks(32), "memory");
}
