//! What goes out, and what was given.

use alloc::string::String;
use guest_sdk::{env, eprintln, print, println};

/// Arguments and environment, one to a line.
pub fn arguments() {
    for arg in env::args().skip(2) {
        println!("arg {arg:?}");
    }
    for (name, value) in env::vars() {
        println!("var {name:?} {value:?}");
    }
    assert_eq!(env::var("EMPTY"), Some(""));
    assert_eq!(env::var("MISSING"), None);
}

/// A hundred lines, each printed in pieces.
pub fn lines() {
    for line in 0..100 {
        print!("line ");
        print!("{}", line);
        println!(".");
    }
}

/// More than one call moves, without a line's end.
pub fn one_long_line() {
    let mut text = String::new();
    for number in 0..40_000 {
        text.push_str(["alpha ", "beta ", "gamma "][number % 3]);
    }
    print!("{text}");
}

/// Both streams.
pub fn streams() {
    println!("out");
    eprintln!("error");
}

/// The `log` crate, filtered by the environment.
pub fn log() {
    guest_sdk::logger::init();
    log::info!("seen");
    log::debug!("not seen");
    log::info!(target: "quiet::inner", "not seen");
    log::error!(target: "quiet::inner", "seen too");
}
