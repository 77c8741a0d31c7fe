//! The line with which a program on the host says what it wants to be connected to: `CONNECT 5000`. A pure parse.

/// The longest line there is: the word, a space, ten digits, the line's end.
pub(super) const LONGEST: usize = WORD.len() + 11;

const WORD: &[u8] = b"CONNECT ";

/// What has come of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Greeting {
    /// All: the port, and how many bytes the line has with its end.
    Connect { port: u32, len: usize },
    /// Its beginning.
    Partial,
    /// It is no such line.
    Refused,
}

/// Reads the first bytes that came, up to [`LONGEST`].
pub(super) fn parse(bytes: &[u8]) -> Greeting {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        let begins = bytes.iter().zip(WORD).all(|(byte, of)| byte == of);
        let digits = bytes.get(WORD.len()..).unwrap_or_default();
        let whole = digits.iter().all(u8::is_ascii_digit);
        return match bytes.len() < LONGEST && begins && whole {
            true => Greeting::Partial,
            false => Greeting::Refused,
        };
    };
    let line = bytes.get(..end).unwrap_or_default();
    let digits = line.strip_prefix(WORD).unwrap_or_default();
    // `parse` would take a sign.
    let port = match digits.iter().all(u8::is_ascii_digit) {
        true => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok()),
        false => None,
    };
    match port {
        Some(port) => Greeting::Connect {
            port,
            len: end.saturating_add(1),
        },
        None => Greeting::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_port() {
        for (line, port) in [
            ("CONNECT 0\n", 0),
            ("CONNECT 5000\n", 5000),
            ("CONNECT 4294967295\n", u32::MAX),
            ("CONNECT 7\nCONNECT", 7),
        ] {
            let len = line.find('\n').unwrap() + 1;
            assert_eq!(parse(line.as_bytes()), Greeting::Connect { port, len });
            for part in 0..len - 1 {
                assert_eq!(
                    parse(&line.as_bytes()[..part]),
                    Greeting::Partial,
                    "{line:?}"
                );
            }
        }
    }

    #[test]
    fn no_other_line_does() {
        for line in [
            "\n",
            "CONNECT\n",
            "CONNECT \n",
            "CONNECT x\n",
            "CONNECT -1\n",
            "CONNECT +1\n",
            "CONNECT 1 \n",
            "CONNECT 1\r\n",
            "CONNECT  1\n",
            "connect 1\n",
            "CONNECT 4294967296\n",
            "CONNECT 1\0\n",
            "CONNECT 99999999999",
            "X",
            "CONNECTED",
            "CONNECT x",
            "CONNECT 0000000000\u{1}",
            "\u{80}",
        ] {
            let bytes = &line.as_bytes()[..line.len().min(LONGEST)];
            assert_eq!(parse(bytes), Greeting::Refused, "{line:?}");
        }
    }
}
