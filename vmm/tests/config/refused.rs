//! Each key wrong in each way: `refused.txt` has the files, and under each the mark and the words it must be refused with.

use super::{FILE, parse};

const CASES: &str = include_str!("refused.txt");

#[test]
fn each_key_wrong_in_each_way_is_refused_where_it_stands() {
    let here = env!("CARGO_MANIFEST_DIR");
    let mut recorded = String::new();
    for case in CASES.split("\n\n") {
        let mut file: Vec<&str> = Vec::new();
        for line in case.lines() {
            let marked = line.trim_start().starts_with('^');
            if !marked && !line.starts_with('#') {
                file.push(line);
            }
        }
        let mut text = file.join("\n");
        // Cases about other sections have a guest that is right, after what they are about.
        if !text.contains("guest") && !text.is_empty() {
            text.push_str("\n[guest]\nimage = \"Cargo.toml\"");
        }
        let refusal = match parse(&text) {
            Ok(config) => panic!("accepted:\n{text}\nas {config:?}"),
            Err(refusal) => refusal,
        };
        let shown = refusal.to_string();
        assert!(shown.starts_with(FILE), "{shown}");
        let marks = shown.lines().last().and_then(|line| line.split_once("| "));
        let (_, marks) = marks.unwrap();
        let problem = refusal.problem.replace(here, "HERE");
        for line in case.lines().filter(|line| line.starts_with('#')) {
            recorded += &format!("{line}\n");
        }
        for (number, line) in file.iter().enumerate() {
            recorded += &format!("{line}\n");
            if number + 1 == refusal.line {
                recorded += &format!("{marks} {problem}\n");
            }
        }
        recorded += "\n";
    }
    let recorded = recorded.trim_end();
    if std::env::var_os("UPDATE_REFUSED").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/refused.txt");
        std::fs::write(path, format!("{recorded}\n")).unwrap();
    }
    let differing = recorded
        .lines()
        .zip(CASES.lines())
        .find(|(now, then)| now != then);
    assert!(
        recorded == CASES.trim_end(),
        "a refusal is not what refused.txt records. First difference (now, recorded): {differing:#?}\n\
         If the new words are the better ones: UPDATE_REFUSED=1 cargo test -p vmm --test config, and read what changed."
    );
}
