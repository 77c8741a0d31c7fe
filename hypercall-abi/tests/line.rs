//! The call line's handshake under every interleaving that the memory model allows.

use hypercall_abi::line::{self, Claim, Look, Shared, Word};
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::atomic::Ordering;

/// The checker's word under the real code.
struct Model(AtomicU32);

impl Word for Model {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn take(&self) -> bool {
        self.0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

fn word() -> Model {
    Model(AtomicU32::new(0))
}

/// A line whose call is "add one", and how often each was done. The argument and the result are relaxed words: only the handshake
/// orders them.
struct Line {
    post: Model,
    answered: Model,
    argument: AtomicU32,
    result: AtomicU32,
    claim: Claim<Model>,
    done: AtomicU32,
}

struct Host<'l>(&'l Line);

impl Shared for Host<'_> {
    fn post(&self) -> u32 {
        self.0.post.load(Ordering::Acquire)
    }
    fn act(&mut self) -> bool {
        let argument = self.0.argument.load(Ordering::Relaxed);
        self.0.result.store(argument + 1, Ordering::Relaxed);
        self.0.done.fetch_add(1, Ordering::Relaxed);
        true
    }
    fn answer(&mut self, post: u32) {
        self.0.answered.store(post, Ordering::Release);
    }
}

/// The guest posts `calls` calls; after one fruitless look at each it has the vCPU's thread serve it, as a `LINE` call does.
fn guest(line: &Line, calls: u32) {
    for call in 1..=calls {
        line.argument.store(call * 10, Ordering::Relaxed);
        let post = line::post(&line.post);
        if !line::is_answered(&line.answered, post) {
            // The gate: returns when the post is served, by this thread or by the poller.
            while line.claim.serve(&mut Host(line)) == Look::Elsewhere {
                thread::yield_now();
            }
        }
        assert!(line::is_answered(&line.answered, post), "a call was lost");
        assert_eq!(
            line.result.load(Ordering::Relaxed),
            call * 10 + 1,
            "an answer to another call"
        );
    }
}

fn check(looks: u32, calls: u32, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let line = Arc::new(Line {
            post: word(),
            answered: word(),
            argument: AtomicU32::new(0),
            result: AtomicU32::new(0),
            claim: Claim::new(word(), word()),
            done: AtomicU32::new(0),
        });
        let poller = {
            let line = Arc::clone(&line);
            // It looks as often as its window lasts, and goes to sleep whatever happens then.
            thread::spawn(move || {
                for _ in 0..looks {
                    line.claim.serve(&mut Host(&line));
                }
            })
        };
        guest(&line, calls);
        poller.join().unwrap();
        assert_eq!(
            line.done.load(Ordering::Relaxed),
            calls,
            "each call is served exactly once"
        );
    });
}

#[test]
fn each_call_is_served_once_whoever_serves_it() {
    check(1, 1, None);
    check(2, 1, None);
    // The whole tree of these is large; faults of a handshake need few switches at bad moments.
    check(2, 2, Some(3));
    check(1, 3, Some(3));
}
