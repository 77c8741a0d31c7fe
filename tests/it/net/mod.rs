//! Network cards, with the test at the other end of the wire.

mod http;
pub mod peer;
mod stack;
mod tap;
mod user;

use peer::{PATIENCE, Peer, body, frame, numbered};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::stats::DeviceStats;

/// What a test connects a guest's card to.
struct Wire {
    directory: TempDir,
    listener: UnixListener,
}

impl Wire {
    fn new() -> Wire {
        let directory = TempDir::new().unwrap();
        let listener = UnixListener::bind(directory.path().join("wire")).unwrap();
        Wire {
            directory,
            listener,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("wire")
    }

    /// Runs a guest with its card at one end and `work` at the other.
    fn run(&self, args: &[&str], work: impl FnOnce(Peer) + Send) -> Finished {
        self.run_beside(args, |peer, _| work(peer))
    }

    /// Likewise, where `work` also sees the file that the guest prints to.
    fn run_beside(&self, args: &[&str], work: impl FnOnce(Peer, &Path) + Send) -> Finished {
        let boot = Boot::guest("net", args).stream(&self.path());
        let (vm, console) = boot.vm();
        let listener = &self.listener;
        thread::scope(|scope| {
            let worker = scope.spawn(|| work(Peer::accept(listener), console.path()));
            let finished = boot.finish(vm, &console);
            finished.passed();
            worker.join().unwrap();
            finished
        })
    }

    /// Has a peer vanish, and nobody in its place until the guest has said that its link is down.
    fn vanish(&self, peer: Peer, console: &Path) {
        let (path, away) = (self.path(), self.path().with_extension("away"));
        fs::rename(&path, &away).unwrap();
        drop(peer);
        let until = Instant::now() + PATIENCE;
        while !fs::read(console).unwrap().ends_with(b"down\n") {
            assert!(Instant::now() < until, "the guest does not see it");
            thread::sleep(Duration::from_millis(2));
        }
        fs::rename(&away, &path).unwrap();
    }
}

fn card(finished: &Finished) -> &DeviceStats {
    let [card] = &finished.outcome.stats.devices[..] else {
        panic!("{:?}", finished.outcome.stats.devices);
    };
    assert_eq!((card.name.as_str(), card.broken), ("net0", None));
    card
}

#[test]
fn frames_come_back_as_they_were_sent() {
    require_kvm!();
    let finished = Wire::new().run(&["echo"], |mut peer| {
        for len in (14..=1514).step_by(50) {
            let bytes: Vec<u8> = (14..len).map(|n| n as u8).collect();
            let sent = frame(&bytes);
            peer.send(&sent);
            let back = peer.receive();
            assert_eq!((&back[..6], &back[6..12]), (&sent[6..12], &sent[..6]));
            assert_eq!(back[12..], sent[12..]);
        }
        // Many at once.
        for number in 0..500 {
            peer.send(&numbered(number));
        }
        for number in 0..500 {
            assert_eq!(body(&peer.receive()), number);
        }
        peer.send(&frame(b"last"));
        peer.receive();
        peer.send(&frame(b"end"));
    });
    assert!(finished.text().contains("[02, 00, 00, 00, 00, 01] 1500"));
    assert_eq!(card(&finished).dropped, 0);
}

#[test]
fn frames_that_are_none_are_dropped_and_counted() {
    require_kvm!();
    let finished = Wire::new().run(&["echo"], |mut peer| {
        peer.send(&[]);
        peer.send(&[1; 13]);
        // Longer than the card's packets, and than any buffer of the guest's.
        peer.send(&[2; 1515]);
        peer.send(&[3; 65_000]);
        peer.send(&frame(b"last"));
        assert_eq!(&peer.receive()[14..], b"last");
        peer.send(&frame(b"end"));
    });
    assert_eq!(card(&finished).dropped, 4);
}

/// Kicks and events are of a fixed number of pauses, not of packets: each side is told only when it has gone to sleep.
#[test]
fn a_busy_wire_needs_few_kicks_and_events() {
    require_kvm!();
    const COUNT: u32 = 20_000;
    let count = COUNT.to_string();
    let out = Wire::new().run(&["flood", &count], |mut peer| {
        for number in 0..COUNT {
            assert_eq!(body(&peer.receive()), number);
        }
        peer.send(&numbered(0));
    });
    let back = Wire::new().run(&["drain", &count], |mut peer| {
        peer.receive();
        for number in 0..COUNT {
            peer.send(&numbered(number));
        }
        assert_eq!(body(&peer.receive()), COUNT);
        peer.send(&numbered(0));
    });
    for (finished, what) in [(&out, "out"), (&back, "in")] {
        let card = card(finished);
        assert!(
            card.requests >= COUNT.into() && card.dropped == 0,
            "{what}: {card:?}"
        );
        let told = card.kicks + card.events;
        assert!(told <= u64::from(COUNT) / 10, "{what}: {card:?}");
        let exits = finished.outcome.stats.total_exits();
        assert!(exits <= u64::from(COUNT) / 10, "{what}: {exits} exits");
    }
}

#[test]
fn a_peer_that_vanishes_takes_the_link_with_it_until_it_is_back() {
    require_kvm!();
    let wire = Wire::new();
    let finished = wire.run_beside(&["link"], |mut peer, console| {
        peer.receive();
        wire.vanish(peer, console);
        let mut peer = Peer::accept(&wire.listener);
        assert_eq!(body(&peer.receive()), 7);
        peer.send(&numbered(0));
    });
    assert_eq!(finished.text(), "up\ndown\nup\n");
}

/// Whoever waits for the stack's link is woken without a frame or a timer.
#[test]
fn a_network_stack_sees_the_link_go_and_come() {
    require_kvm!();
    let wire = Wire::new();
    let finished = wire.run_beside(&["stack-link", "10.0.0.2/24"], |mut peer, console| {
        let is_greeting = |frame: &[u8]| frame.ends_with(b"hello");
        assert!(is_greeting(&peer.receive()));
        wire.vanish(peer, console);
        let mut peer = Peer::accept(&wire.listener);
        assert!(is_greeting(&peer.receive()));
    });
    assert_eq!(finished.text(), "up\ndown\nup\ndown\n");
}

/// Sends back what comes, as long as something does, and says how many frames that were.
pub fn send_back(mut peer: Peer) -> u32 {
    let mut count = 0;
    while let Some(frame) = peer.try_receive() {
        count += 1;
        // The guest may be gone with the last ones on their way.
        if peer.try_send(&frame).is_err() {
            break;
        }
    }
    count
}

#[test]
fn what_no_queue_may_hold_stops_the_card_until_it_is_reset_and_what_is_no_frame_is_lost() {
    require_kvm!();
    let finished = Wire::new().run(&["broken"], |peer| {
        assert!(send_back(peer) > 10);
    });
    let [card] = &finished.outcome.stats.devices[..] else {
        panic!("{:?}", finished.outcome.stats.devices);
    };
    assert!(card.broken.is_some() && card.dropped == 9, "{card:?}");
}

#[test]
fn a_card_is_reset_with_frames_on_their_way() {
    require_kvm!();
    let finished = Wire::new().run(&["reset"], |peer| {
        send_back(peer);
    });
    card(&finished);
}

#[test]
fn a_wire_without_another_end_is_refused_with_its_cure() {
    require_kvm!();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("wire");
    let refused = Boot::guest("net", &["echo"]).stream(&path).refused();
    assert!(
        refused.contains("there is no socket") && refused.contains("listen"),
        "{refused}"
    );
}
