//! Builds the guests that the tests boot into a directory, for a machine without cargo.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: trapless-test-guests DIRECTORY");
        return ExitCode::FAILURE;
    };
    trapless_tests::build_into(Path::new(&directory));
    ExitCode::SUCCESS
}
