//! Frames without a network stack.

use core::future::poll_fn;
use core::task::Poll;
use embassy_net::driver::{Driver, LinkState};
use guest_sdk::net::Card;
use guest_sdk::println;

/// A kind of frame that nobody else sends (IEEE 802's local experiments).
const OURS: [u8; 2] = [0x88, 0xb5];
/// Where a frame's own part begins.
const BODY: usize = 14;

/// Sends every frame back to where it came from, until one says that it is the last.
pub async fn echo(mut card: Card) {
    println!("{:02x?} {}", card.mac(), card.mtu());
    loop {
        let mut frame = [0; 1514];
        let len = {
            let mut received = card.next().await.expect("a card that works");
            let bytes = received.frame();
            frame[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        };
        let (to, from) = frame[..12].split_at_mut(6);
        to.swap_with_slice(from);
        let is_last = frame[12..14] == OURS && frame[BODY..].starts_with(b"last");
        card.send(&frame[..len]).await.expect("a card that works");
        if is_last {
            // Until it has gone: the other end says so.
            card.next().await.expect("a card that works");
            return;
        }
    }
}

/// A full frame with a number.
fn numbered(card: &Card, number: u32) -> [u8; 1514] {
    let mut frame = [0x55; 1514];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&card.mac());
    frame[12..14].copy_from_slice(&OURS);
    frame[BODY..BODY + 4].copy_from_slice(&number.to_be_bytes());
    frame
}

/// Sends so many numbered frames, and waits for an answer to all of them.
pub async fn flood(mut card: Card, count: u32) {
    for number in 0..count {
        let frame = numbered(&card, number);
        card.send(&frame).await.expect("a card that works");
    }
    card.next().await.expect("a card that works");
}

/// Receives so many numbered frames, in their order.
pub async fn drain(mut card: Card, count: u32) {
    let hello = numbered(&card, 0);
    card.send(&hello).await.expect("a card that works");
    for number in 0..count {
        let mut received = card.next().await.expect("a card that works");
        let frame = received.frame();
        assert_eq!((frame.len(), &frame[12..14]), (1514, &OURS[..]));
        assert_eq!(frame[BODY..BODY + 4], number.to_be_bytes());
    }
    let done = numbered(&card, count);
    card.send(&done).await.expect("a card that works");
    card.next().await.expect("a card that works");
}

/// Says when the link goes and when it comes again.
pub async fn link(mut card: Card) {
    assert!(card.has_link());
    println!("up");
    let hello = numbered(&card, 0);
    card.send(&hello).await.expect("a card that works");
    for wanted in [LinkState::Down, LinkState::Up] {
        poll_fn(|context| {
            if card.link_state(context) == wanted {
                return Poll::Ready(());
            }
            // Whoever waits for a frame is woken by a change of the link too.
            assert!(card.receive(context).is_none());
            Poll::Pending
        })
        .await;
        let state = if wanted == LinkState::Up {
            "up"
        } else {
            "down"
        };
        println!("{state}");
    }
    let frame = numbered(&card, 7);
    card.send(&frame).await.expect("a card that works");
    card.next().await.expect("a card that works");
}
