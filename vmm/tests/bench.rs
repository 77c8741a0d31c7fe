//! `trapless bench` for real: that it measures what it says, not how fast that is.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trapless"))
        .arg("bench")
        .args(args)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Whether there is a KVM to measure with; where there must be one, there is.
fn has_kvm() -> bool {
    let mut options = std::fs::File::options();
    let Err(error) = options.read(true).write(true).open("/dev/kvm") else {
        return true;
    };
    let skip = std::env::var_os("TRAPLESS_SKIP_KVM").is_some_and(|value| value == "1");
    assert!(
        skip,
        "no KVM on this machine: /dev/kvm: {error} (TRAPLESS_SKIP_KVM=1 skips the tests that need it)"
    );
    eprintln!("skipped, no KVM");
    false
}

fn read(json: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

#[test]
fn a_row_with_a_device_says_what_it_and_its_driver_told_each_other() {
    if !has_kvm() {
        return;
    }
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vsock.json");
    let name = json.to_str().unwrap();
    let output = bench(&["--quick", "--filter", "vsock/request", "--json", name]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let results = read(&json);
    let rows = results["rows"].as_array().unwrap();
    let guest = rows.iter().find(|row| row["name"] == "vsock/request");
    let guest = guest.unwrap();
    if guest["skipped"].is_string() {
        return; // one processor
    }
    let (kicks, events) = (guest["kicks"].as_f64(), guest["events"].as_f64());
    assert!(kicks.is_some_and(|kicks| kicks >= 0.0), "{guest}");
    assert!(events.is_some_and(|events| events >= 0.0), "{guest}");
    assert!(guest["signals"]["median"].is_number(), "{guest}");
    let floor = rows.iter().find(|row| row["name"] == "floor/unix/request");
    assert!(floor.unwrap()["kicks"].is_null());
    std::fs::remove_file(&json).unwrap();
}

#[test]
fn a_filtered_run_counts_right_and_compares_with_itself() {
    if !has_kvm() {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (json, html) = (directory.join("null.json"), directory.join("null.html"));
    let (json_name, html_name) = (json.to_str().unwrap(), html.to_str().unwrap());
    let output = bench(&[
        "--quick",
        "--filter",
        "null/trap",
        "--json",
        json_name,
        "--html",
        html_name,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("null call") && shown.contains("of floor/exit ["),
        "{shown}"
    );

    let results = read(&json);
    assert_eq!(results["kind"], "trapless bench");
    assert_eq!(results["schema"], 3);
    assert_eq!(results["method"]["quick"], true);
    assert!(!results["host"]["cpus"].as_array().unwrap().is_empty());
    let rows = results["rows"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        rows.len(),
        2,
        "the row and its floor, nothing else: {shown}"
    );

    let null = row("null/trap");
    assert_eq!(null["against"][0]["name"], "floor/exit");
    // A starved machine runs out of time before it has all of them.
    let pairs = null["against"][0]["pairs"].as_u64().unwrap();
    let wanted = results["method"]["pairs"].as_u64().unwrap();
    assert!((1..=wanted).contains(&pairs), "{pairs} of {wanted} pairs");
    let exits = null["exits"].as_f64().unwrap();
    assert!((0.95..1.1).contains(&exits), "{exits} exits a call");
    assert!(null["kicks"].is_null(), "no device answers: {null}");
    for row in rows {
        let counted: u64 = row["histogram"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bar| bar[2].as_u64().unwrap())
            .sum();
        assert!(counted > 0 && row["samples"] == counted, "{row}");
        assert!(row["operations"].as_u64().unwrap() > counted, "{row}");
        let cost = &row["cost_ns"];
        let of = |key: &str| cost[key].as_f64().unwrap();
        assert!(
            0.0 < of("low") && of("low") <= of("median") && of("median") <= of("high"),
            "{row}"
        );
        assert!(row["p50_ns"].as_f64() <= row["max_ns"].as_f64(), "{row}");
    }

    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("floor/exit"));

    let (markdown, svg) = (directory.join("null.md"), directory.join("null.svg"));
    std::fs::write(
        &markdown,
        "Before.\n<!-- trapless bench: begin -->\n<!-- trapless bench: end -->\nAfter.\n",
    )
    .unwrap();
    let (markdown_name, svg_name) = (markdown.to_str().unwrap(), svg.to_str().unwrap());
    let output = bench(&[
        "--from",
        json_name,
        "--markdown",
        markdown_name,
        "--svg",
        svg_name,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), shown, "the same table");
    let tables = std::fs::read_to_string(&markdown).unwrap();
    assert!(
        tables.starts_with("Before.\n") && tables.ends_with("After.\n"),
        "{tables}"
    );
    assert!(tables.contains("| nothing (a null call; a bare exit) |"));
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg "));

    // Its own results are those of a host of its kind and of its schema: no time is compared here.
    let output = bench(&["--quick", "--filter", "null/trap", "--compare", json_name]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let shown = text(&output.stdout);
    assert!(
        shown.contains("Figures compared with the old results: 1;"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_is_said_before_anything_is_measured() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cake.json");
    std::fs::write(&path, "{\"kind\":\"a cake\",\"schema\":1}").unwrap();
    let output = bench(&["--compare", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("cake.json: it is not a result file"),
        "{output:?}"
    );

    let output = bench(&["--filter", "no such row"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("no row has \"no such row\""),
        "{output:?}"
    );

    let output = bench(&["--markdown", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("cake.json: the tables go between"),
        "{output:?}"
    );

    let output = bench(&["--json", "/nowhere/at/all.json"]);
    assert_eq!(output.status.code(), Some(73));
    assert!(
        text(&output.stderr).contains("/nowhere/at/all.json cannot be created"),
        "{output:?}"
    );
}
