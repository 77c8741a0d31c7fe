//! Threads that compute and never stop, one on each processor, for rows that have to get along with others.

use super::host::{Cores, pin, this_thread};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

/// They run until this goes.
pub struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// The kernel's numbers of their threads.
    pub ids: Vec<u32>,
}

impl Hogs {
    /// Starts one on each of the processors.
    pub fn start(cores: Cores) -> Hogs {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let hog = |core| {
            let (stop, tell) = (Arc::clone(&stop), tell.clone());
            thread::spawn(move || {
                pin(this_thread(), &[core]);
                // Somebody waits for it below.
                let _ = tell.send(this_thread());
                let mut sum = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    sum = black_box(sum.wrapping_mul(3) + 1);
                }
            })
        };
        let threads: Vec<_> = cores.both().map(hog).into_iter().collect();
        let ids = told.iter().take(threads.len()).collect();
        Hogs { stop, threads, ids }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::host::threads;

    #[test]
    fn hogs_are_there_until_they_go() {
        let hogs = Hogs::start(Cores::choose(&[0]));
        let ids = hogs.ids.clone();
        assert_eq!(ids.len(), 2);
        assert!(ids.iter().all(|id| threads().contains(id)));
        drop(hogs);
        assert!(!ids.iter().any(|id| threads().contains(id)));
    }
}
