//! Requests in pieces, at their limits and beyond; replies.

use super::*;
use alloc::vec;
use proptest::prelude::*;

fn parse(bytes: &[u8]) -> (Vec<Request>, Option<Malformed>) {
    let mut parser = Parser::default();
    parser.feed(bytes);
    rest(&mut parser)
}

fn rest(parser: &mut Parser) -> (Vec<Request>, Option<Malformed>) {
    let mut requests = Vec::new();
    loop {
        match parser.next() {
            Ok(Some(request)) => requests.push(request),
            Ok(None) => return (requests, None),
            Err(malformed) => return (requests, Some(malformed)),
        }
    }
}

fn request(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn encode(request: &Request) -> Vec<u8> {
    let arguments = request.iter().cloned().map(Reply::Bulk).collect();
    let mut bytes = Vec::new();
    Reply::Array(arguments).write(&mut bytes);
    bytes
}

#[test]
fn requests_are_arrays_or_lines() {
    let get = request(&["GET", "a"]);
    for (bytes, requests) in [
        ("*2\r\n$3\r\nGET\r\n$1\r\na\r\n", vec![get.clone()]),
        ("GET a\r\n", vec![get.clone()]),
        ("  GET \t a  \n", vec![get.clone()]),
        ("\r\n\n*0\r\n*-1\r\nGET a\n", vec![get.clone()]),
        ("GET a\r\n*1\r\n$0\r\n\r\n", vec![get, request(&[""])]),
        ("*1\r\n$2\r\n\r\n\r\n", vec![request(&["\r\n"])]),
        ("*2\r\n$3\r\nGET\r\n$1\r\na", vec![]),
        ("GET a", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(parse(bytes.as_bytes()), (requests, None), "{bytes:?}");
    }
}

#[test]
fn what_is_none_is_refused() {
    use Malformed::*;
    for (bytes, malformed) in [
        ("*x\r\n", Count),
        ("*\r\n", Count),
        ("*1025\r\n", Count),
        ("*99999999999999999999\r\n", Count),
        ("*1\r\n:1\r\n", NoLength),
        ("*1\r\n\r\n", NoLength),
        ("*1\r\n$\r\n", Length),
        ("*1\r\n$-1\r\n", Length),
        ("*1\r\n$262145\r\n", Length),
        ("*2\r\n$1\r\na\r\n$262144\r\n", Length),
        ("*1\r\n$1\r\nab\r\n", NoEnd),
        ("*1\r\n$1\r\na\n\n", NoEnd),
    ] {
        assert_eq!(
            parse(bytes.as_bytes()),
            (vec![], Some(malformed)),
            "{bytes:?}"
        );
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    let longest = "x".repeat(MOST_LINE);
    let line = alloc::format!("{longest}\r\n");
    assert_eq!(parse(line.as_bytes()).0, [request(&[&longest])]);
    let longer = alloc::format!("x{longest}\r");
    assert_eq!(parse(longer.as_bytes()).1, Some(Malformed::Line));

    let most: Request = vec![vec![b'x'; MOST_BYTES / MOST_ARGUMENTS]; MOST_ARGUMENTS];
    assert_eq!(parse(&encode(&most)), (vec![most], None));
}

#[test]
fn replies_are_as_the_protocol_says() {
    let reply = Reply::Array(vec![
        Reply::OK,
        Reply::Error("no\r\nmore".into()),
        Reply::Integer(7),
        Reply::Bulk(b"a\r\nb".to_vec()),
        Reply::Nil,
    ]);
    let mut bytes = Vec::new();
    reply.write(&mut bytes);
    assert_eq!(
        bytes,
        b"*5\r\n+OK\r\n-ERR no  more\r\n:7\r\n$4\r\na\r\nb\r\n$-1\r\n"
    );
}

proptest! {
    #[test]
    fn requests_are_the_same_in_any_pieces(
        requests in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5), 0..6),
        sizes in prop::collection::vec(1..30_usize, 1..10),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(encode).collect();
        let (mut parser, mut found, mut at) = (Parser::default(), Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let end = bytes.len().min(at + size);
            parser.feed(&bytes[at..end]);
            let (more, malformed) = rest(&mut parser);
            prop_assert_eq!(malformed, None);
            found.extend(more);
            at = end;
            if at == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(found, requests);
    }

    #[test]
    fn any_bytes_end_somewhere(bytes in prop::collection::vec(prop::sample::select(b"*$:-+019\r\n a\xff".as_slice()), 0..200)) {
        for request in parse(&bytes).0 {
            prop_assert!(!request.is_empty() && request.len() <= MOST_ARGUMENTS);
        }
    }
}
