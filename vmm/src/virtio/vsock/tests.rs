//! A connection's state by itself: credit, and how it ends.

use super::connection::{Connection, HELD, Turn};
use super::request::{Packet, Ports, Room, Said};
use hypercall_abi::vsock::{op, shutdown};

const PORTS: Ports = Ports {
    guest: 10,
    host: 20,
};

fn packet(said: Said, alloc: u32, forwarded: u32) -> Packet {
    Packet {
        ports: PORTS,
        room: Room { alloc, forwarded },
        said,
    }
}

/// The next packet's operation and flags, and whether it is the last.
fn next(connection: &mut Connection) -> Option<(u16, u32, bool)> {
    assert_eq!(connection.owes(), connection.clone().next(3).is_some());
    let (header, is_last) = connection.next(3)?;
    Some((header.op, header.flags, is_last))
}

fn open() -> Connection {
    let mut connection = Connection::from_guest(&packet(Said::Request, 100, 0));
    assert_eq!(next(&mut connection), Some((op::RESPONSE, 0, false)));
    assert_eq!(next(&mut connection), None);
    connection
}

#[test]
fn a_program_asks_and_the_guest_answers() {
    let mut connection = Connection::to_guest(PORTS);
    let early = connection.clone().hear(&packet(Said::Response, 100, 0));
    assert_eq!(early, Turn::Broken, "it was not asked yet");
    assert_eq!(next(&mut connection), Some((op::REQUEST, 0, false)));
    assert_eq!(connection.allowance(), 0);
    let data = connection.clone().hear(&packet(Said::Data(1), 100, 0));
    assert_eq!(data, Turn::Broken, "it has not answered yet");
    let turn = connection.hear(&packet(Said::Response, 100, 0));
    assert_eq!((turn, connection.allowance()), (Turn::Opened, 100));
    let again = connection.hear(&packet(Said::Response, 100, 0));
    assert_eq!(again, Turn::Broken);
}

#[test]
fn a_program_that_gives_up_takes_its_question_back() {
    let mut connection = Connection::to_guest(PORTS);
    assert!(connection.clone().leave(), "nothing was asked yet");
    next(&mut connection);
    assert!(!connection.leave());
    assert_eq!(next(&mut connection), Some((op::RST, 0, true)));
    // The answer that was on its way is for nobody.
    let turn = connection.hear(&packet(Said::Response, 100, 0));
    assert_eq!(turn, Turn::Noted);
}

#[test]
fn the_guests_room_is_kept_to() {
    let mut connection = open();
    assert_eq!(connection.allowance(), 100);
    connection.data(3, 60);
    assert_eq!(connection.allowance(), 40);
    connection.data(3, 40);
    assert_eq!(connection.allowance(), 0);
    for (alloc, forwarded, allowance) in [
        (100, 30, 30),
        // Backwards, and more than was sent: not believed.
        (100, 20, 30),
        (100, 101, 30),
        (100, u32::MAX, 30),
        // Room may shrink.
        (10, 30, 0),
        (100, 100, 100),
        (u32::MAX, 100, u32::MAX),
    ] {
        connection.hear(&packet(Said::Credit, alloc, forwarded));
        assert_eq!(connection.allowance(), allowance, "{alloc} {forwarded}");
    }
}

#[test]
fn what_is_held_is_bounded_and_the_guest_learns_of_room() {
    let mut connection = open();
    let all = packet(Said::Data(HELD), 100, 0);
    assert_eq!(connection.hear(&all), Turn::Data(HELD));
    let more = connection.clone().hear(&packet(Said::Data(1), 100, 0));
    assert_eq!(more, Turn::Broken);
    connection.forward(HELD / 2 - 1);
    assert_eq!(next(&mut connection), None);
    connection.forward(1);
    assert_eq!(next(&mut connection), Some((op::CREDIT_UPDATE, 0, false)));
    assert_eq!(next(&mut connection), None);
    connection.hear(&packet(Said::CreditRequest, 100, 0));
    assert_eq!(next(&mut connection), Some((op::CREDIT_UPDATE, 0, false)));
    let half = packet(Said::Data(HELD / 2), 100, 0);
    assert_eq!(connection.hear(&half), Turn::Data(HELD / 2));
}

#[test]
fn it_ends_when_both_directions_have() {
    let ends = |flags| packet(Said::Shutdown(flags), 100, 0);
    // The guest first, with something still held.
    let mut connection = open();
    connection.hear(&packet(Said::Data(5), 100, 0));
    connection.hear(&ends(shutdown::SEND));
    assert!(!connection.is_drained());
    let late = connection.clone().hear(&packet(Said::Data(1), 100, 0));
    assert_eq!(late, Turn::Broken);
    connection.forward(5);
    assert!(connection.is_drained());
    connection.end(shutdown::SEND);
    let told = Some((op::SHUTDOWN, shutdown::SEND, false));
    assert_eq!(next(&mut connection), told);
    assert_eq!(next(&mut connection), Some((op::RST, 0, true)));

    // The program first.
    let mut connection = open();
    connection.end(shutdown::SEND);
    assert_eq!((next(&mut connection), connection.allowance()), (told, 0));
    assert_eq!(next(&mut connection), None);
    connection.hear(&ends(shutdown::SEND));
    assert_eq!(next(&mut connection), Some((op::RST, 0, true)));

    // The guest altogether.
    let mut connection = open();
    connection.hear(&ends(shutdown::BOTH));
    assert_eq!(next(&mut connection), Some((op::RST, 0, true)));

    // The program altogether: it says so, and that is the last.
    let mut connection = open();
    assert!(!connection.leave());
    let both = Some((op::SHUTDOWN, shutdown::BOTH, true));
    assert_eq!(next(&mut connection), both);
}
