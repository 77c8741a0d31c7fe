//! What SPECIFICATION.md names as guards is there.

use super::rows;
use std::path::Path;

#[test]
fn every_guard_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let text = std::fs::read_to_string(root.join("SPECIFICATION.md")).unwrap();
    let promises = text.lines().filter(|line| line.starts_with("| "));
    let mut guards = 0;
    for promise in promises {
        let cells: Vec<&str> = promise.trim_matches('|').split(" | ").collect();
        let [_, guard] = cells[..] else {
            panic!("not a promise and its guard: {promise}");
        };
        for (kind, name) in guard.split('`').filter_map(|name| name.split_once(": ")) {
            guards += 1;
            match (kind, name.split_once(" against ")) {
                ("bench", None) => assert!(rows::row(name).is_some(), "{name}"),
                ("bench", Some((name, other))) => {
                    let row = rows::row(name).unwrap_or_else(|| panic!("no row {name}"));
                    assert!(row.against.contains(&other), "{name} against {other}");
                }
                (file, _) => {
                    let source = std::fs::read_to_string(root.join(file)).expect(file);
                    assert!(source.contains(&format!("fn {name}()")), "{file}: {name}");
                }
            }
        }
    }
    assert!(guards > 20, "{guards} guards");
}
