//! What requests ask for. Pure.

use crate::change::Change;
use crate::resp::{Reply, Request};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What a request asks for.
#[derive(PartialEq, Eq, Debug)]
pub enum Command {
    /// The value of a key.
    Get(Vec<u8>),
    /// How many of these keys there are.
    Exists(Vec<Vec<u8>>),
    /// How many keys there are.
    Size,
    /// Something else than what is.
    Change(Change),
    /// What needs no store to be answered.
    Answered(Reply),
    /// The connection's end.
    Quit,
}

/// Reads a request.
pub fn read(request: Request) -> Command {
    let mut words = request.into_iter();
    let name = words.next().unwrap_or_default().to_ascii_uppercase();
    let mut words: Vec<Vec<u8>> = words.collect();
    match (name.as_slice(), words.len()) {
        (b"GET", 1) => Command::Get(words.remove(0)),
        (b"EXISTS", 1..) => Command::Exists(words),
        (b"DBSIZE", 0) => Command::Size,
        (b"SET", 2) => {
            let value = words.remove(1);
            Command::Change(Change::Set(words.remove(0), value))
        }
        (b"SET", 3..) => wrong("no options of SET are known here"),
        (b"DEL", 1..) => Command::Change(Change::Delete(words)),
        (b"PING", 0) => Command::Answered(Reply::Simple("PONG")),
        (b"PING" | b"ECHO", 1) => Command::Answered(Reply::Bulk(words.remove(0))),
        (b"QUIT", 0) => Command::Quit,
        // What clients ask before they begin.
        (b"SELECT", 1) if words[0] == b"0" => Command::Answered(Reply::OK),
        (b"SELECT", 1) => wrong("there is one database, 0"),
        (b"CLIENT", 1..) => Command::Answered(Reply::OK),
        (b"COMMAND", _) => Command::Answered(Reply::Array(vec![])),
        (b"CONFIG", 2) if words[0].eq_ignore_ascii_case(b"GET") => {
            let pair = vec![Reply::Bulk(words.remove(1)), Reply::Bulk(vec![])];
            Command::Answered(Reply::Array(pair))
        }
        (
            b"GET" | b"EXISTS" | b"DBSIZE" | b"SET" | b"DEL" | b"PING" | b"ECHO" | b"QUIT"
            | b"SELECT" | b"CLIENT",
            _,
        ) => {
            let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
            wrong(&format!("wrong number of arguments for '{name}' command"))
        }
        _ => {
            let name = &name[..name.len().min(64)];
            let name = String::from_utf8_lossy(name);
            wrong(&format!("unknown command '{name}'"))
        }
    }
}

fn wrong(why: &str) -> Command {
    Command::Answered(Reply::Error(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Command {
        super::read(line.split(' ').map(|word| word.into()).collect())
    }

    #[test]
    fn requests_ask_for_what_they_say() {
        let [a, b] = [b"a", b"b"].map(|key| key.to_vec());
        let both = vec![a.clone(), b.clone()];
        assert_eq!(read("get a"), Command::Get(a.clone()));
        assert_eq!(read("EXISTS a b"), Command::Exists(both.clone()));
        let set = Command::Change(Change::Set(a.clone(), b));
        assert_eq!(read("Set a b"), set);
        let delete = Command::Change(Change::Delete(both));
        assert_eq!(read("DEL a b"), delete);
        let pong = Command::Answered(Reply::Simple("PONG"));
        assert_eq!(read("PING"), pong);
        assert_eq!(read("ECHO a"), Command::Answered(Reply::Bulk(a)));
        assert_eq!(read("quit"), Command::Quit);
    }

    #[test]
    fn what_is_not_understood_is_said_to_be() {
        for (line, why) in [
            ("GET", "wrong number of arguments for 'get' command"),
            ("SET a", "wrong number of arguments for 'set' command"),
            ("SET a b EX 10", "no options of SET are known here"),
            ("FLUSHALL", "unknown command 'FLUSHALL'"),
            ("SELECT 1", "there is one database, 0"),
        ] {
            assert_eq!(read(line), wrong(why), "{line}");
        }
    }
}
