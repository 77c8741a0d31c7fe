//! The `trapless` command: read the command line, do what it says, report how that ended.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(code) => return code.into(),
    };
    match command.execute() {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("trapless: {error}");
            error.exit_code().into()
        }
    }
}
