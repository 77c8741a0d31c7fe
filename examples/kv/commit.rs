//! One write and one flush for the changes of several clients: those that come while the disk is busy share the next ones.

use crate::change::Change;
use crate::log::Disk;
use crate::store::{Done, Store};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;

/// How many clients there can be at a time.
pub const CLIENTS: usize = 128;

/// How many bytes of changes end a group.
const GROUP: usize = 256 << 10;

/// What is to be made durable. A client waits for its answer before it sends more, so there is room for everybody's.
pub type Queue = Channel<NoopRawMutex, Changes, CLIENTS>;

/// What became of a client's changes, or why that is not known.
pub type Answer = Signal<NoopRawMutex, Result<Vec<Done>, String>>;

/// Changes of one client.
pub struct Changes {
    /// They, in their order.
    pub changes: Vec<Change>,
    /// Where the answer goes.
    pub answer: Rc<Answer>,
}

/// Makes durable what comes, and says so. After the disk has failed nothing is, until the store is opened again.
pub async fn run<D: Disk>(mut store: Store<D>, queue: &Queue) -> ! {
    let mut failure = None;
    loop {
        let (mut group, mut bytes) = (Vec::new(), 0);
        let mut answers: Vec<(usize, Rc<Answer>)> = Vec::new();
        let mut next = Some(queue.receive().await);
        while let Some(Changes { changes, answer }) = next.take() {
            bytes += changes.iter().map(Change::cost).sum::<usize>();
            answers.push((changes.len(), answer));
            group.extend(changes);
            if bytes < GROUP {
                next = queue.try_receive().ok();
            }
        }
        let done = match failure {
            None => store.commit(group).await.map_err(|error| error.to_string()),
            Some(why) => Err(why),
        };
        failure = done.as_ref().err().cloned();
        let mut done = done.map(Vec::into_iter);
        for (count, answer) in answers {
            let own = done.as_mut().map(|done| done.take(count).collect());
            answer.signal(own.map_err(|why| why.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::fake::Fake;
    use alloc::vec;
    use embassy_futures::select::select;
    use guest_sdk::executor::block_on;

    fn send(queue: &Queue, change: Change) -> Rc<Answer> {
        let answer = Rc::new(Answer::new());
        let changes = Changes {
            changes: vec![change],
            answer: Rc::clone(&answer),
        };
        assert!(queue.try_send(changes).is_ok());
        answer
    }

    fn set(key: u8) -> Change {
        Change::Set(vec![key], vec![key; 9])
    }

    #[test]
    fn clients_share_a_flush_and_each_has_its_own_answer() {
        let (disk, queue) = (Fake::new(100), Queue::new());
        let store = block_on(Store::open(&disk)).unwrap();
        let flushes = disk.flushes();
        let first = send(&queue, set(1));
        let second = send(&queue, Change::Delete(vec![vec![1], vec![2]]));
        let third = send(&queue, Change::Set(vec![3], vec![3; 1 << 16]));
        block_on(select(run(store, &queue), third.wait()));
        assert_eq!(disk.flushes(), flushes + 1);
        assert_eq!(first.try_take(), Some(Ok(vec![Done::Set])));
        assert_eq!(second.try_take(), Some(Ok(vec![Done::Deleted(1)])));
    }

    #[test]
    fn nothing_is_acknowledged_after_a_failure() {
        let (disk, queue) = (Fake::new(100), Queue::new());
        let store = block_on(Store::open(&disk)).unwrap();
        let map = store.map();
        disk.fail_after(1);
        let mut running = core::pin::pin!(run(store, &queue));
        for key in 1..3 {
            let answer = send(&queue, set(key));
            let answered = block_on(select(running.as_mut(), answer.wait()));
            let embassy_futures::select::Either::Second(Err(why)) = answered else {
                panic!("acknowledged");
            };
            assert_eq!(why, "the disk failed: as it was told to");
            disk.fail_after(100);
        }
        assert_eq!(map.borrow().len(), 0);
    }
}
