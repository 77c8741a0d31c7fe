//! The last calls a vCPU made.

use super::text::Colour;
use crate::fault::CallRecord;
use hypercall_abi::{Status, call};
use std::fmt::Write;

pub fn render(calls: &[CallRecord], colour: Colour) -> String {
    let rows: Vec<[String; 3]> = calls.iter().map(row).collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut text = format!("{}\n", colour.strong("last calls, oldest first"));
    for [name, args, answer] in &rows {
        let _ = writeln!(text, "  {name:first$}  {args:second$}  {answer}");
    }
    text
}

fn row(record: &CallRecord) -> [String; 3] {
    let name = call::entry(record.number).map_or_else(
        || format!("unknown call {:#x}", record.number),
        |entry| entry.name.to_owned(),
    );
    let [a, b, c] = record.args;
    let answer = match record.status {
        None => "does not return".to_owned(),
        Some(Status::OK) => format!("= {:#x}", record.result),
        Some(status) => match status.name() {
            Some(name) => format!("= {name}: {}", status.describe()),
            None => format!("= status {}", status.0),
        },
    };
    [name, format!("{a:#x} {b:#x} {c:#x}"), answer]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_calls_and_answers_in_columns() {
        let record = |number, args, status, result| CallRecord {
            number,
            args,
            status,
            result,
        };
        let text = render(
            &[
                record(call::CONSOLE_WRITE, [1, 0x20_3040, 5], Some(Status::OK), 5),
                record(0xffff, [u64::MAX, 0, 0], Some(Status::UNKNOWN_CALL), 0),
                record(call::NULL, [0; 3], Some(Status(77)), 0),
                record(call::EXIT, [1, 0, 0], None, 0),
            ],
            Colour::Never,
        );
        assert_eq!(
            text,
            "\
last calls, oldest first
  console_write        0x1 0x203040 0x5            = 0x5
  unknown call 0xffff  0xffffffffffffffff 0x0 0x0  = UNKNOWN_CALL: the host does not know this call
  null                 0x0 0x0 0x0                 = status 77
  exit                 0x1 0x0 0x0                 does not return
"
        );
    }
}
