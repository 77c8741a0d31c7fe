//! A client's connection: its requests, answered in their order. The changes among those that have arrived together are made together.

use crate::change::Change;
use crate::command::{self, Command};
use crate::commit::{Answer, Changes, Queue};
use crate::map::Map;
use crate::resp::{Parser, Reply};
use crate::store::Done;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use embedded_io_async::{Read, Write};

/// Bytes of changes or replies that are not kept waiting for more.
const ENOUGH: usize = 64 << 10;

/// A client's connection.
pub struct Session {
    map: Rc<RefCell<Map>>,
    queue: &'static Queue,
    answer: Rc<Answer>,
    parser: Parser,
    changes: Vec<Change>,
    /// Bytes of the changes.
    bytes: usize,
    /// Replies that are not sent yet.
    replies: Vec<u8>,
}

impl Session {
    /// A new one.
    pub fn new(map: Rc<RefCell<Map>>, queue: &'static Queue) -> Session {
        Session {
            map,
            queue,
            answer: Rc::new(Answer::new()),
            parser: Parser::default(),
            changes: Vec::new(),
            bytes: 0,
            replies: Vec::new(),
        }
    }

    /// Serves it to its end.
    pub async fn serve<S: Read + Write>(mut self, socket: &mut S) -> Result<(), S::Error> {
        let mut bytes = vec![0; 4096];
        let mut goes_on = true;
        while goes_on {
            let len = socket.read(&mut bytes).await?;
            self.parser.feed(&bytes[..len]);
            goes_on = len > 0 && self.answer_all(socket).await?;
            socket.write_all(&self.replies).await?;
            self.replies.clear();
        }
        Ok(())
    }

    /// Answers what has arrived; says whether more may come.
    async fn answer_all<S: Write>(&mut self, socket: &mut S) -> Result<bool, S::Error> {
        loop {
            let command = match self.parser.next() {
                Ok(Some(request)) => command::read(request),
                Ok(None) => {
                    self.commit().await;
                    return Ok(true);
                }
                Err(malformed) => {
                    self.commit().await;
                    self.reply(&Reply::Error(malformed.to_string()));
                    return Ok(false);
                }
            };
            if let Command::Change(change) = command {
                self.bytes += change.cost();
                self.changes.push(change);
                if self.bytes >= ENOUGH {
                    self.commit().await;
                }
                continue;
            }
            // It may ask for what they change, and its reply is behind theirs.
            self.commit().await;
            let goes_on = command != Command::Quit;
            let reply = self.read(command);
            self.reply(&reply);
            if !goes_on {
                return Ok(false);
            }
            if self.replies.len() >= ENOUGH {
                socket.write_all(&self.replies).await?;
                self.replies.clear();
            }
        }
    }

    /// The reply to a command that changes nothing.
    fn read(&self, command: Command) -> Reply {
        let map = self.map.borrow();
        match command {
            Command::Get(key) => match map.get(&key) {
                Some(value) => Reply::Bulk(value.to_vec()),
                None => Reply::Nil,
            },
            Command::Exists(keys) => {
                let known = keys.iter().filter(|key| map.get(key).is_some());
                Reply::Integer(known.count() as u64)
            }
            Command::Size => Reply::Integer(map.len() as u64),
            Command::Answered(reply) => reply,
            Command::Quit | Command::Change(_) => Reply::OK,
        }
    }

    /// Makes the changes durable, and replies to each.
    async fn commit(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        self.bytes = 0;
        let changes = core::mem::take(&mut self.changes);
        let count = changes.len();
        let answer = Rc::clone(&self.answer);
        self.queue.send(Changes { changes, answer }).await;
        match self.answer.wait().await {
            Ok(done) => done.into_iter().for_each(|done| {
                self.reply(&match done {
                    Done::Set => Reply::OK,
                    Done::Deleted(count) => Reply::Integer(count),
                    Done::Full => Reply::Error("there is no room for it on the disk".into()),
                });
            }),
            Err(why) => (0..count).for_each(|_| self.reply(&Reply::Error(why.clone()))),
        }
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(&mut self.replies);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
