//! The rule by which both sides of a ring tell each other.

use hypercall_abi::device::crossed;

#[test]
fn an_event_is_crossed_once_and_over_the_wrap() {
    assert!(crossed(0, 1, 0));
    assert!(!crossed(1, 1, 0));
    assert!(crossed(5, 8, 3));
    assert!(!crossed(5, 9, 8));
    assert!(crossed(u16::MAX, 2, u16::MAX - 1));
    assert!(crossed(u16::MAX - 2, 5, u16::MAX - 2));
    assert!(!crossed(u16::MAX - 2, 6, 5));
}
