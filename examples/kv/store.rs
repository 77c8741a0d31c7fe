//! The store: a map in memory, and a log on a disk of everything that has changed in it.

use crate::change::{self, Change};
use crate::log::{Disk, Error, Log};
use crate::map::Map;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// The key has its value, durably.
    Set,
    /// The keys have none, durably; so many had one.
    Deleted(u64),
    /// There is no room for it.
    Full,
}

/// A store.
pub struct Store<D> {
    log: Log<D>,
    map: Rc<RefCell<Map>>,
    /// How many bytes of map there is room for: what is left of a half lets it change.
    most: usize,
}

impl<D: Disk> Store<D> {
    /// Opens the store on a disk, or makes one on an empty disk.
    pub async fn open(disk: D) -> Result<Store<D>, Error<D::Error>> {
        let map = Rc::new(RefCell::new(Map::default()));
        let replay = |payload: &[u8]| match change::decode(payload) {
            Some(changes) => {
                let mut map = map.borrow_mut();
                changes.into_iter().for_each(|change| {
                    map.apply(change);
                });
                true
            }
            None => false,
        };
        let mut log = Log::open(disk, replay).await?;
        log.begin(pieces(&map)).await?;
        let most = log.half_bytes() / 4 * 3;
        Ok(Store { log, map, most })
    }

    /// What it contains. Only what is durable is there.
    pub fn map(&self) -> Rc<RefCell<Map>> {
        Rc::clone(&self.map)
    }

    /// Makes changes, together and in their order: first durable, then visible.
    pub async fn commit(&mut self, changes: Vec<Change>) -> Result<Vec<Done>, Error<D::Error>> {
        let mut bytes = self.map.borrow().bytes();
        let mut payload = Vec::new();
        let admit = |change: Change| {
            if let Change::Set(key, value) = &change {
                let growth = self.map.borrow().growth(key, value);
                if bytes + growth > self.most {
                    return None;
                }
                bytes += growth;
            }
            change.encode(&mut payload);
            Some(change)
        };
        let admitted: Vec<Option<Change>> = changes.into_iter().map(admit).collect();
        if !payload.is_empty() {
            if !self.log.has_room(payload.len()) {
                self.log.rewrite(pieces(&self.map)).await?;
            }
            match self.log.append(&payload).await {
                Err(Error::Full) => return Ok(admitted.iter().map(|_| Done::Full).collect()),
                appended => appended?,
            }
        }
        let mut map = self.map.borrow_mut();
        let done = admitted.into_iter().map(|change| match change {
            Some(change @ Change::Delete(_)) => Done::Deleted(map.apply(change)),
            Some(change) => {
                map.apply(change);
                Done::Set
            }
            None => Done::Full,
        });
        Ok(done.collect())
    }
}

/// The pieces of a map, one after the other.
fn pieces(map: &RefCell<Map>) -> impl FnMut() -> Option<Vec<u8>> {
    let mut after: Option<Vec<u8>> = None;
    move || {
        let (piece, last) = map.borrow().piece(after.as_deref())?;
        after = Some(last);
        Some(piece)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
