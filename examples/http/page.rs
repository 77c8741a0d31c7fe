//! As much of HTTP/1.1 as a page takes: a request's first line and whether the connection is to stay, and the answer.

use alloc::format;
use alloc::string::String;

/// What is answered to what is no request.
pub const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A request, without its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    what: What,
    /// Whether the answer's body is left out.
    only_head: bool,
    /// Whether more may come on the connection.
    pub keep_alive: bool,
    /// Its bytes.
    pub len: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Page,
    NoSuchPage,
    NoSuchMethod,
}

/// What the bytes of a connection begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole request.
    Request(Request),
    /// The beginning of one.
    Part,
    /// Something else.
    Bad,
}

/// Reads the first request.
pub fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Parsed::Part;
    };
    let Some(Ok(text)) = bytes.get(..end).map(core::str::from_utf8) else {
        return Parsed::Bad;
    };
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Bad;
    };
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Parsed::Bad,
    };
    let mut has_body = false;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Parsed::Bad;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("connection") {
            keep_alive = !value.eq_ignore_ascii_case("close")
                && (keep_alive || value.eq_ignore_ascii_case("keep-alive"));
        }
        // Nobody reads it, and so nobody knows where the next request begins.
        has_body |= name.eq_ignore_ascii_case("content-length") && value != "0"
            || name.eq_ignore_ascii_case("transfer-encoding");
    }
    keep_alive &= !has_body;
    let what = match (method, path) {
        ("GET" | "HEAD", "/") => What::Page,
        (_, "/") => What::NoSuchMethod,
        _ => What::NoSuchPage,
    };
    Parsed::Request(Request {
        what,
        only_head: method == "HEAD",
        keep_alive,
        len: end + 4,
    })
}

/// The answer to a request, of so many there were.
pub fn answer(request: &Request, visits: u32) -> String {
    let page = format!(
        "<!doctype html><title>A guest</title><h1>Hello from a guest</h1><p>This page was asked for {visits} times.</p>\n"
    );
    let (status, body) = match request.what {
        What::Page => ("200 OK", page.as_str()),
        What::NoSuchPage => ("404 Not Found", "there is only one page, at /\n"),
        What::NoSuchMethod => ("405 Method Not Allowed\r\nAllow: GET, HEAD", ""),
    };
    let kind = match request.what {
        What::Page => "text/html",
        _ => "text/plain",
    };
    let connection = match request.keep_alive {
        true => "keep-alive",
        false => "close",
    };
    let sent = match request.only_head {
        true => "",
        false => body,
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{sent}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Parsed::Request(request) => request,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_ends_with_an_empty_line() {
        let text = "GET / HTTP/1.1\r\nHost: guest\r\n\r\n";
        for len in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..len]), Parsed::Part);
        }
        let two = format!("{text}{text}");
        assert_eq!(request(&two).len, text.len());
    }

    #[test]
    fn a_connection_stays_where_both_want_it() {
        for (version, header, stays) in [
            ("1.1", "", true),
            ("1.1", "connection: Close\r\n", false),
            ("1.1", "Connection: keep-alive\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let text = format!("GET / HTTP/{version}\r\n{header}\r\n");
            assert_eq!(request(&text).keep_alive, stays, "{text}");
        }
    }

    #[test]
    fn a_body_is_the_end_of_its_connection() {
        for (header, stays) in [
            ("Content-Length: 1", false),
            ("content-length: 0", true),
            ("Transfer-Encoding: chunked", false),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{header}\r\nConnection: keep-alive\r\n\r\n");
            let request = request(&text);
            assert_eq!(request.keep_alive, stays, "{text}");
            assert_eq!(request.what, What::NoSuchMethod);
        }
    }

    #[test]
    fn what_is_no_request_is_bad() {
        for text in [
            "\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1 x\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        ] {
            assert_eq!(parse(text.as_bytes()), Parsed::Bad, "{text:?}");
        }
        assert_eq!(parse(b"\xff / HTTP/1.1\r\n\r\n"), Parsed::Bad);
    }

    #[test]
    fn answers_have_the_length_they_say() {
        for (line, status) in [
            ("GET / HTTP/1.1", "200 OK"),
            ("HEAD / HTTP/1.1", "200 OK"),
            ("GET /other HTTP/1.1", "404 Not Found"),
            ("HEAD /other HTTP/1.1", "404 Not Found"),
            ("PUT /other HTTP/1.1", "404 Not Found"),
            (
                "POST / HTTP/1.1",
                "405 Method Not Allowed\r\nAllow: GET, HEAD",
            ),
            (
                "DELETE / HTTP/1.1",
                "405 Method Not Allowed\r\nAllow: GET, HEAD",
            ),
        ] {
            let answer = answer(&request(&format!("{line}\r\n\r\n")), 7);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{head}"
            );
            let length = format!("Content-Length: {}\r\n", body.len());
            match line.starts_with("HEAD") {
                true => assert_eq!(body, ""),
                false => assert!(head.contains(&length), "{head}"),
            }
            assert_eq!(line == "GET / HTTP/1.1", body.contains("7 times"));
        }
    }
}
