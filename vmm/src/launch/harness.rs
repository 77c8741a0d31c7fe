//! The harness of a guest crate's VM tests: one VM for each, and the words of `cargo test`.

use super::{Program, complain, configuration, ignore_broken_pipes};
use crate::config::Config;
use crate::error::Error;
use crate::run;
use std::fmt;
use std::process;

/// The environment variable that, set to `1`, has tests skipped where there is no KVM.
const SKIP_VARIABLE: &str = "TRAPLESS_SKIP_KVM";

/// The exit code of `cargo test`'s own harness when a test fails.
const FAILED: i32 = 101;

/// Builds the program's guest flavour and boots it once for each test, which is the guest's argument. A guest that exits with 0 has passed.
///
/// Takes `cargo test`'s usual arguments: names to filter by, `--exact`, `--skip NAME` and `--list`; others are ignored. Exits
/// with 101 if a test fails.
pub fn test(program: &Program, tests: &[&str]) -> ! {
    ignore_broken_pipes();
    let filter = Filter::parse(std::env::args().skip(1));
    let (chosen, filtered): (Vec<&str>, Vec<&str>) =
        tests.iter().partition(|test| filter.takes(test));
    if filter.list {
        for test in chosen {
            println!("{test}: test");
        }
        process::exit(0);
    }
    let config = configuration(program).unwrap_or_else(|error| process::exit(complain(&error)));
    let tally = run_tests(config, &chosen);
    println!("\n{tally}; {} filtered out\n", filtered.len());
    process::exit(if tally.failed == 0 { 0 } else { FAILED });
}

fn run_tests(mut config: Config, tests: &[&str]) -> Tally {
    println!("\nrunning {} tests", tests.len());
    let skip = std::env::var_os(SKIP_VARIABLE).is_some_and(|value| value == "1");
    let mut tally = Tally::default();
    for test in tests {
        config.guest.args = vec![(*test).to_owned()];
        let verdict = match run::run(&config, &run::Options::default()) {
            Ok(0) => Verdict::Passed,
            Ok(code) => Verdict::Failed(format!("exit code {code}")),
            Err(error @ Error::NoKvm(_)) if skip => Verdict::Ignored(error.to_string()),
            Err(error @ Error::NoKvm(_)) => Verdict::Failed(format!(
                "{error}; {SKIP_VARIABLE}=1 skips the tests that need it"
            )),
            Err(error) => Verdict::Failed(error.to_string()),
        };
        println!("test {test} ... {verdict}");
        tally.count(&verdict);
    }
    tally
}

/// What became of a test.
enum Verdict {
    Passed,
    Failed(String),
    Ignored(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => f.write_str("ok"),
            Verdict::Failed(why) => write!(f, "FAILED ({why})"),
            Verdict::Ignored(why) => write!(f, "ignored, {why}"),
        }
    }
}

/// How many became what.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Ignored(_) => self.ignored += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        write!(
            f,
            "test result: {verdict}. {} passed; {} failed; {} ignored; 0 measured",
            self.passed, self.failed, self.ignored
        )
    }
}

/// Which tests to run.
#[derive(Debug, Default)]
struct Filter {
    names: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
}

impl Filter {
    fn parse(mut args: impl Iterator<Item = String>) -> Filter {
        let mut filter = Filter::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--exact" => filter.exact = true,
                "--list" => filter.list = true,
                "--skip" => filter.skip.extend(args.next()),
                // These have a value, which is no name.
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(args.next()),
                option if option.starts_with('-') => {}
                _ => filter.names.push(arg),
            }
        }
        filter
    }

    fn takes(&self, test: &str) -> bool {
        let names = |name: &String| match self.exact {
            true => name == test,
            false => test.contains(name.as_str()),
        };
        (self.names.is_empty() || self.names.iter().any(names)) && !self.skip.iter().any(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_cargo_test() {
        let filter = |args: &[&str]| Filter::parse(args.iter().map(|&arg| arg.to_owned()));
        assert!(filter(&[]).takes("sleeps"));
        assert!(filter(&["--nocapture", "--test-threads", "1", "lee"]).takes("sleeps"));
        assert!(!filter(&["lee", "--exact"]).takes("sleeps"));
        assert!(!filter(&["--skip", "sle"]).takes("sleeps"));
        assert!(filter(&["--list"]).list);
    }

    #[test]
    fn the_last_line_is_cargo_tests() {
        let mut tally = Tally::default();
        for verdict in [
            Verdict::Passed,
            Verdict::Ignored("no KVM".to_owned()),
            Verdict::Passed,
        ] {
            tally.count(&verdict);
        }
        assert_eq!(
            tally.to_string(),
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured"
        );
        tally.count(&Verdict::Failed("exit code 101".to_owned()));
        assert!(
            tally
                .to_string()
                .starts_with("test result: FAILED. 2 passed; 1 failed")
        );
    }
}
