use super::super::results::{Against, Host, Method};
use super::super::rows::{Figure, Side};
use super::*;

pub(in super::super) fn estimate(median: f64, half: f64) -> Estimate {
    Estimate {
        median,
        low: median - half,
        high: median + half,
    }
}

pub(in super::super) fn line(name: &str, cost: Estimate, against: &[(&str, Estimate)]) -> Line {
    let against = against.iter().map(|(name, ratio)| Against {
        name: (*name).to_owned(),
        ratio: *ratio,
        pairs: 40,
    });
    Line {
        name: name.to_owned(),
        operation: "an operation".to_owned(),
        mechanism: "a <mechanism>".to_owned(),
        side: Side::Called,
        figure: Figure::Cost,
        per: 1,
        explain: "What it means.".to_owned(),
        skipped: None,
        cost_ns: Some(cost),
        against: against.collect(),
        samples: 100,
        p50_ns: Some(cost.median),
        p90_ns: None,
        p99_ns: None,
        p999_ns: None,
        max_ns: Some(1e6),
        exits: Some(1.0),
        kicks: None,
        events: None,
        signals: None,
        cpu_own_ns: Some(10.0),
        cpu_others_ns: Some(0.0),
        operations: 1000,
        preemptions: 2,
        waited_ns: 5000,
        histogram: vec![(10.0, 11.0, 99), (1e6, 1.1e6, 1)],
    }
}

pub(in super::super) fn results(rows: Vec<Line>) -> Results {
    Results {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        host: Host {
            version: "1.2.3".to_owned(),
            host: "software".to_owned(),
            kernel: Some("6.1".to_owned()),
            cpu: None,
            cpus: vec![0, 1],
            online: vec![0, 1],
            first: 0,
            second: 1,
            load_before: Some(0.5),
            load_after: None,
            pressure_before: None,
            pressure_after: None,
            huge_pages: Some("madvise".to_owned()),
            date: 0,
        },
        method: Method {
            quick: false,
            pairs: 40,
            block_ns: 10_000_000,
            chunk_ns: 100_000,
            confidence: 0.95,
            timer_guest_ns: 10.0,
            timer_host_ns: 10.0,
            tsc_mhz: 2000.0,
        },
        rows,
    }
}

#[test]
fn json_comes_back_as_it_went() {
    let results = results(vec![line(
        "a",
        estimate(66.25, 0.5),
        &[("b", estimate(1.01, 0.125))],
    )]);
    let json = serde_json::to_string(&results).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&json).unwrap(), results);
    let more = json.replacen("\"kind\"", "\"kindly\":1,\"kind\"", 1);
    assert!(serde_json::from_str::<Results>(&more).is_err());
}

#[test]
fn only_what_is_beyond_the_noise_is_a_change() {
    let old = |cost| results(vec![line("a", cost, &[])]);
    let verdict = |before: Estimate, after: Estimate| {
        let changes = compare(&old(before), &old(after)).unwrap();
        assert_eq!(changes.compared, 1);
        changes.changes.first().map(Change::is_slower)
    };
    assert_eq!(
        verdict(estimate(100.0, 2.0), estimate(110.0, 2.0)),
        Some(true)
    );
    assert_eq!(
        verdict(estimate(110.0, 2.0), estimate(100.0, 2.0)),
        Some(false)
    );
    assert_eq!(
        verdict(estimate(100.0, 6.0), estimate(110.0, 6.0)),
        None,
        "the intervals touch"
    );
    assert_eq!(
        verdict(estimate(100.0, 0.1), estimate(101.0, 0.1)),
        None,
        "certain, and nothing"
    );
    assert_eq!(verdict(estimate(100.0, 1.0), estimate(100.0, 1.0)), None);
}

#[test]
fn a_ratio_speaks_for_its_row() {
    // Everything takes twice the time on this day, and the ratio holds.
    let old = results(vec![line(
        "a",
        estimate(100.0, 1.0),
        &[("b", estimate(1.0, 0.01)), ("gone", estimate(3.0, 0.1))],
    )]);
    let new = results(vec![
        line(
            "a",
            estimate(200.0, 1.0),
            &[("b", estimate(1.0, 0.01)), ("new", estimate(9.0, 0.1))],
        ),
        line("new", estimate(1.0, 0.1), &[]),
    ]);
    let changes = compare(&old, &new).unwrap();
    assert_eq!((changes.compared, changes.changes.len()), (1, 0));

    let mut worse = new.clone();
    worse.rows[0].against[0].ratio = estimate(1.3, 0.01);
    let changes = compare(&old, &worse).unwrap();
    assert_eq!(changes.slower().count(), 1);
    let shown = changes.to_string();
    assert!(
        shown.contains("slower  a") && shown.contains("+30.0 %") && shown.contains("against b"),
        "{shown}"
    );
}

#[test]
fn more_kicks_and_events_are_a_change_beside_the_ratios() {
    let told = |median, half| {
        let mut line = line("d", estimate(9.0, 0.1), &[("b", estimate(1.0, 0.01))]);
        line.signals = Some(estimate(median, half));
        results(vec![line])
    };
    let changes = |old, new| compare(&old, &new).unwrap();
    let more = changes(told(0.0, 0.0), told(0.46, 0.02));
    assert_eq!((more.compared, more.slower().count()), (2, 1));
    let shown = more.to_string();
    let expected = "more    d                  kicks and events: 0.46 [0.44 to 0.48], was 0.00 [";
    assert!(shown.contains(expected), "{shown}");
    let fewer = changes(told(2.0, 0.1), told(1.0, 0.1));
    assert_eq!((fewer.changes.len(), fewer.slower().count()), (1, 0));
    let none = changes(told(0.0, 0.0), told(0.004, 0.001));
    assert_eq!(none.changes, [], "one in a hundred is as good as none");
}

#[test]
fn a_floor_that_moves_is_nobodys_regression() {
    let floor = |cost| {
        let mut floor = line("f", cost, &[]);
        floor.side = Side::Floor;
        results(vec![floor])
    };
    let changes = compare(&floor(estimate(50.0, 1.0)), &floor(estimate(80.0, 1.0))).unwrap();
    assert_eq!((changes.compared, changes.changes.len()), (0, 0));
    assert!(
        changes.remarks[0].starts_with("a floor has moved: slower  f"),
        "{changes}"
    );
}

#[test]
fn another_kind_of_host_is_refused_and_another_processor_is_said() {
    let old = results(vec![]);
    let mut new = old.clone();
    new.host.cpu = Some("another".to_owned());
    assert_eq!(
        compare(&old, &new).unwrap().remarks,
        ["another processor: another; it was unknown"]
    );
    new.host.host = "vmx".to_owned();
    let refusal = compare(&old, &new).unwrap_err().to_string();
    assert!(
        refusal.contains("software host and these of a vmx host"),
        "{refusal}"
    );
}

#[test]
fn other_files_are_refused_with_a_reason() {
    let path = std::env::temp_dir().join(format!("trapless-compare-{}.json", std::process::id()));
    let refusal = |text: &str| {
        std::fs::write(&path, text).unwrap();
        read(&path).unwrap_err().to_string()
    };
    for text in ["", "[]", "{\"kind\":\"a cake\",\"schema\":1}"] {
        assert!(refusal(text).contains("it is not a result file"), "{text}");
    }
    let newer = refusal("{\"kind\":\"trapless bench\",\"schema\":99,\"more\":1}");
    assert!(
        newer.contains(&format!(
            "its schema is 99, and this trapless compares schema {SCHEMA}"
        )),
        "{newer}"
    );
    let partial = refusal(&format!(
        "{{\"kind\":\"trapless bench\",\"schema\":{SCHEMA}}}"
    ));
    assert!(partial.contains("missing field"), "{partial}");

    let whole = results(vec![line("a", estimate(1.0, 0.1), &[])]);
    std::fs::write(&path, serde_json::to_string(&whole).unwrap()).unwrap();
    assert_eq!(read(&path).unwrap(), whole);
    std::fs::remove_file(&path).unwrap();
    assert!(
        read(&path)
            .unwrap_err()
            .to_string()
            .contains("No such file")
    );
}

#[test]
fn both_renderings_show_every_row_and_no_raw_markup() {
    let mut skipped = line("s", estimate(1.0, 0.1), &[]);
    skipped.skipped = Some("no <second> processor".to_owned());
    skipped.cost_ns = None;
    let mut batches = vec![];
    for size in [1, 8, 64] {
        let mut batch = line(
            &format!("batch/trap/{size}"),
            estimate(90.0 / f64::from(size), 0.1),
            &[],
        );
        batch.per = size;
        batches.push(batch);
    }
    let mut rows = vec![
        line("a", estimate(66.0, 0.5), &[("b", estimate(0.002, 0.0001))]),
        skipped,
    ];
    rows.extend(batches);
    let results = results(rows);
    let text = super::super::table::render(&results);
    for shown in [
        "66.0 ns",
        "1/500 of b",
        "skipped: no <second> processor",
        "most often 2 times, for 5.00 µs in all, in a",
    ] {
        assert!(text.contains(shown), "{shown}:\n{text}");
    }
    let page = super::super::page::render(&results);
    for shown in [
        "66.0 ns",
        "1/500 of",
        "no &lt;second&gt; processor",
        "Many calls at once",
        "a &lt;mechanism&gt;",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("<mechanism>"));
    for outside in ["http:", "https:", "<script", "NaN", "inf"] {
        assert!(!page.contains(outside), "{outside}");
    }
}
