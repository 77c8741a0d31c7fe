//! The tables over results that were never measured.

use super::super::compare::tests::{estimate, line as row, results};
use super::super::rows::{self, Figure};
use super::*;

#[test]
fn every_row_that_is_shown_exists() {
    let known = |name: &str| rows::row(name).is_some_and(|row| row.name == name);
    for work in WORKS {
        for name in [work.called, work.without_exit, work.trapped].concat() {
            assert!(known(name), "{name}");
        }
    }
    for device in devices::DEVICES {
        let row = rows::row(device.row).expect("a row");
        let others = device.alone.iter().map(|(name, _)| *name);
        for other in others.chain(device.trapped) {
            assert!(row.against.contains(&other), "{} {other}", device.row);
        }
    }
    for (name, against, _) in RATIOS {
        let row = rows::row(name).expect("a row");
        assert!(row.against.contains(against), "{name} against {against}");
    }
}

#[test]
fn the_tables_hold_what_was_measured_and_leave_out_the_rest() {
    let results = results(vec![
        row("console/trap/64", estimate(50e3, 1e3), &[]),
        row("console/poll/64", estimate(250.0, 1.0), &[]),
        row("console/uart/64", estimate(8e6, 1e3), &[]),
        row(
            "null/poll",
            estimate(120.0, 1.0),
            &[("floor/threads", estimate(1.05, 0.02))],
        ),
    ]);
    let text = tables(&results);
    let expected = "| write 64 bytes (16550 UART) | 50.0 µs | 250 ns | 8.00 ms | 32,000× |\n";
    assert!(text.contains(expected), "{text}");
    let expected = "(`null/poll`) | 1.05× | 1.03× to 1.07× |\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("Measured 1970-01-01 00:00 UTC on software KVM, kernel 6.1,"));
    assert!(!text.contains("clock") && !text.contains("idle"), "{text}");

    let svg = plot(&results);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(">8.00 ms</text>") && !svg.contains("clock"));
    assert_eq!(svg.matches("<rect class=").count(), 1 + 3 + 4, "{svg}");
}

#[test]
fn a_device_is_shown_beside_the_host_alone_and_trapped() {
    let mut disk = row(
        "disk/1",
        estimate(1_600.0, 1.0),
        &[
            ("floor/pread", estimate(4.0, 0.1)),
            ("floor/disk/1", estimate(1.16, 0.1)),
            ("disk/ata", estimate(0.001, 0.0001)),
        ],
    );
    (disk.kicks, disk.events) = (Some(0.001), Some(0.002));
    let mut web = row("floor/http", estimate(6_250.0, 1.0), &[]);
    web.figure = Figure::Rate;
    let text = tables(&results(vec![disk, web]));
    for expected in [
        "(`disk/1`) | 1.60 µs | 1.60 µs | – | 0.0030 | 4.00× of `pread`; 1.16× of two threads on such a ring that `pread` | 1/1,000 |\n",
        "(`floor/http`) | 160,000/s | 6.25 µs | – | – | – | – |\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn only_what_is_between_the_marks_is_renewed() {
    let path = std::env::temp_dir().join(format!("trapless-readme-{}.md", std::process::id()));
    let refusal = |text: &str| {
        std::fs::write(&path, text).unwrap();
        renewed(&path, "new\n").unwrap_err().to_string()
    };
    for text in ["", BEGIN, END, &format!("{END}\n{BEGIN}\n")] {
        assert!(refusal(text).contains("which are not there"), "{text}");
    }
    std::fs::write(&path, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
    let once = renewed(&path, "new\n").unwrap();
    assert_eq!(once, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
    std::fs::write(&path, &once).unwrap();
    assert_eq!(renewed(&path, "new\n").unwrap(), once);
    std::fs::remove_file(&path).unwrap();
}
