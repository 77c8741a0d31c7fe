//! The readable report of a guest's fault or panic: plain values in, text out. Runs nothing, and reads two kinds of file: the
//! image for its symbols, and the source line that they point at.
//!
//! Nothing here can be trusted: values and messages are the guest's, names and paths the image's. Whatever cannot be
//! looked up is left out, and what is left is safe to print on a terminal.

#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod calls;
mod cause;
mod instruction;
mod registers;
mod source;
mod symbols;
mod text;
mod trace;

pub use text::Colour;

use crate::fault::{CallRecord, Cause, Fault, Panic, Registers};
use hypercall_abi::fault::vector;
use std::fmt::Write;
use std::path::Path;
use symbols::{Location, Symbols};
use trace::{First, Trace};

/// The report of a fault, with symbols from `image` as far as it has them. Ends with a line end.
#[must_use]
pub fn render_fault(fault: &Fault, image: &Path, colour: Colour) -> String {
    let bytes = symbols::read_image(image).unwrap_or_default();
    let symbols = Symbols::parse(&bytes);
    // After a trap, `rip` is the next instruction.
    let first = match fault.cause {
        Cause::Exception {
            vector: vector::BREAKPOINT | vector::OVERFLOW,
            ..
        } => First::Return,
        _ => First::Instruction,
    };
    let trace = Trace::new(&fault.backtrace, first, &symbols, directory());
    let diagnosis = cause::diagnose(fault, symbols.code(fault.registers.rip));

    let mut text = headline("fault", fault.vcpu, &diagnosis.what, colour);
    let site = trace.site();
    if let Some((location, function)) = site {
        text.push_str(&place(&trace, location, function, colour));
    }
    hints(
        &mut text,
        diagnosis.hint.as_deref(),
        &symbols,
        image,
        colour,
    );
    details(&mut text, &trace, &fault.registers, &fault.calls, colour);
    text
}

/// The report of a panic, with symbols from `image` as far as it has them. Ends with a line end.
#[must_use]
pub fn render_panic(panic: &Panic, image: &Path, colour: Colour) -> String {
    let bytes = symbols::read_image(image).unwrap_or_default();
    let symbols = Symbols::parse(&bytes);
    let trace = Trace::new(&panic.backtrace, First::Return, &symbols, directory());

    let mut text = headline(
        "panic",
        panic.vcpu,
        &text::safe(&panic.message, true),
        colour,
    );
    match &panic.location {
        Some((file, line, column)) => {
            let found = trace.find(file, *line);
            let file = found.map_or(file, |(location, _)| &location.file).clone();
            let location = Location {
                file,
                line: *line,
                column: *column,
            };
            text.push_str(&place(
                &trace,
                &location,
                found.and_then(|(_, function)| function),
                colour,
            ));
        }
        None => text.push_str("  --> unknown: the guest's own report of it could not be read\n"),
    }
    hints(&mut text, None, &symbols, image, colour);
    details(&mut text, &trace, &panic.registers, &panic.calls, colour);
    text
}

/// What paths are shown relative to.
fn directory() -> Option<String> {
    std::env::current_dir()
        .ok()?
        .into_os_string()
        .into_string()
        .ok()
}

fn headline(kind: &str, vcpu: u32, what: &str, colour: Colour) -> String {
    let what = what.trim_end().replace('\n', "\n  ");
    format!(
        "{} {}\n",
        colour.alarm(&format!("{kind} on vCPU {vcpu}:")),
        colour.strong(&what)
    )
}

/// Where it happened, with the line of source if that can be read.
fn place(trace: &Trace, location: &Location, function: Option<&str>, colour: Colour) -> String {
    let mut text = format!("  {} {}", colour.mark("-->"), trace.place(location));
    if let Some(function) = function {
        let _ = write!(
            text,
            " in {}",
            text::safe(&text::shorten(function, 66), false)
        );
    }
    text.push('\n');
    let Some(excerpt) = source::excerpt(location) else {
        return text;
    };
    let number = location.line.to_string();
    let blank = " ".repeat(number.len());
    let bar = colour.mark("|");
    let _ = writeln!(text, "{blank} {bar}");
    let _ = writeln!(text, "{} {bar} {}", colour.mark(&number), excerpt.text);
    if let Some(before) = excerpt.caret {
        let _ = writeln!(
            text,
            "{blank} {bar} {}{}",
            " ".repeat(before),
            colour.alarm("^")
        );
    }
    text
}

fn hints(
    text: &mut String,
    hint: Option<&str>,
    symbols: &Symbols<'_>,
    image: &Path,
    colour: Colour,
) {
    let mut line = |hint: &str| {
        let mut mark = colour.mark("= hint:");
        for part in text::wrap(hint, 88) {
            let _ = writeln!(text, "  {mark} {part}");
            mark = "       ".to_owned();
        }
    };
    if let Some(hint) = hint {
        line(hint);
    }
    if symbols.is_empty() {
        let image = text::safe(&image.display().to_string(), false);
        line(&format!("no symbols could be read from {image}"));
    } else if !symbols.has_lines() {
        line("the image has no line tables: build it with `debug = \"line-tables-only\"` or more");
    }
}

fn details(
    text: &mut String,
    trace: &Trace,
    registers: &Registers,
    calls: &[CallRecord],
    colour: Colour,
) {
    text.push('\n');
    text.push_str(&trace.render(colour));
    text.push('\n');
    text.push_str(&registers::render(registers, colour));
    if !calls.is_empty() {
        text.push('\n');
        text.push_str(&calls::render(calls, colour));
    }
}
