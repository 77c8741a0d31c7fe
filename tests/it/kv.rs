//! The example `kv`, spoken to over a forward of user-mode networking: what it acknowledged is there after whatever ended its VM.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trapless_tests::alone::Alone;
use trapless_tests::{guest, require_kvm};

/// How long a guest may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store's disk and address, and its VM while it runs.
struct Kv {
    directory: TempDir,
    at: SocketAddr,
    vm: Option<Alone>,
}

impl Kv {
    fn new() -> Kv {
        let directory = TempDir::new().unwrap();
        // Most likely nobody listens there when this one does not any more.
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let kv = Kv {
            directory,
            at: at.unwrap(),
            vm: None,
        };
        let disk = std::fs::File::create(kv.directory.path().join("disk")).unwrap();
        disk.set_len(8 << 20).unwrap();
        let toml = format!(
            "[guest]\nimage = {:?}\n\
             [machine]\nmemory = \"256MiB\"\n\
             [[disk]]\nname = \"data\"\npath = \"disk\"\n\
             [[net]]\nuser = {{ forward = [\"{}:6379\"] }}\n",
            guest("kv"),
            kv.at
        );
        std::fs::write(kv.directory.path().join("kv.toml"), toml).unwrap();
        kv
    }

    /// Starts the VM; returns what it says when it listens.
    fn start(&mut self) -> String {
        let toml = self.directory.path().join("kv.toml");
        let vm = Alone::configured(env!("CARGO_BIN_EXE_trapless-test-alone"), &toml);
        self.vm.insert(vm).first_line()
    }

    fn client(&self) -> Client {
        Client(BufReader::new(connect(self.at)))
    }

    /// Ends the VM's process, wherever it is.
    fn kill(&mut self) {
        if let Some(mut vm) = self.vm.take() {
            vm.child.kill().unwrap();
            vm.child.wait().unwrap();
        }
    }

    /// Stops the VM.
    fn stop(&mut self) {
        let vm = self.vm.take().unwrap();
        vm.stop();
        assert_eq!(vm.report().end, "Stopped(Requested)");
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection to a guest that listens, and resets what is one too many.
fn connect(at: SocketAddr) -> TcpStream {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(at) {
            Ok(stream) => {
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A client, of as much of the protocol as the tests need.
struct Client(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
enum Reply {
    /// A line, with what it begins with.
    Line(String),
    Value(Option<Vec<u8>>),
}

impl Client {
    fn send(&mut self, words: &[&[u8]]) -> Result<(), Error> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)
    }

    fn receive(&mut self) -> Result<Reply, Error> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let Some(line) = line.strip_suffix("\r\n") else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let Some(length) = line.strip_prefix('$') else {
            return Ok(Reply::Line(line.to_owned()));
        };
        let Ok(length) = length.parse::<usize>() else {
            return Ok(Reply::Value(None));
        };
        let mut value = vec![0; length + 2];
        self.0.read_exact(&mut value)?;
        value.truncate(length);
        Ok(Reply::Value(Some(value)))
    }

    fn ask(&mut self, words: &[&[u8]]) -> Reply {
        self.send(words).unwrap();
        self.receive().unwrap()
    }

    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        match self.ask(&[b"GET", key]) {
            Reply::Value(value) => value,
            Reply::Line(line) => panic!("{line}"),
        }
    }
}

fn line(line: &str) -> Reply {
    Reply::Line(line.to_owned())
}

#[test]
fn what_was_set_is_there_after_the_end_of_its_vm() {
    require_kvm!();
    let mut kv = Kv::new();
    assert_eq!(kv.start(), "0 keys; listening on port 6379");
    let long: Vec<u8> = (0..200_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let mut client = kv.client();
    assert_eq!(client.ask(&[b"PING"]), line("+PONG"));
    assert_eq!(client.ask(&[b"SET", b"long", &long]), line("+OK"));
    assert_eq!(client.ask(&[b"SET", b"\0\r\n", b""]), line("+OK"));
    assert_eq!(client.ask(&[b"SET", b"gone", b"soon"]), line("+OK"));
    assert_eq!(client.ask(&[b"DEL", b"gone", b"never"]), line(":1"));
    assert_eq!(client.get(b"gone"), None);
    assert!(client.get(b"long").as_ref() == Some(&long));
    // What is no request ends its own connection only.
    let mut other = kv.client();
    other.0.get_mut().write_all(b"*1\r\n$x\r\n").unwrap();
    assert!(matches!(other.receive(), Ok(Reply::Line(line)) if line.starts_with("-ERR Protocol")));
    assert!(other.receive().is_err());

    kv.stop();
    assert_eq!(kv.start(), "2 keys; listening on port 6379");
    let mut client = kv.client();
    assert!(client.get(b"long").as_ref() == Some(&long));
    assert_eq!(client.get(b"\0\r\n"), Some(vec![]));
    assert_eq!(client.ask(&[b"SET", b"long", b"short"]), line("+OK"));

    kv.kill();
    assert_eq!(kv.start(), "2 keys; listening on port 6379");
    assert_eq!(kv.client().get(b"long"), Some(b"short".to_vec()));
}

/// Numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// What a key may have: what was acknowledged last, and what was sent since, in its order.
type Possible = HashMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// Writes keys of its own until the connection breaks; returns how many changes were acknowledged.
fn write(client: &mut Client, name: usize, possible: &mut Possible, numbers: &mut Numbers) -> u64 {
    let mut acknowledged = 0;
    loop {
        // Several at once, perhaps of the same key.
        let mut sent = Vec::new();
        for _ in 0..=numbers.below(4) {
            let key = format!("{name}.{}", numbers.below(12)).into_bytes();
            let value = match numbers.below(6) {
                0 => None,
                _ => {
                    let mut value =
                        format!("{acknowledged} {}", numbers.below(1 << 30)).into_bytes();
                    // Some so long that the log is written anew now and then.
                    let most = [100, 3000, 50_000][numbers.below(3) as usize];
                    let length = numbers.below(most);
                    value.resize(value.len() + length as usize, b'.');
                    Some(value)
                }
            };
            let versions = possible.entry(key.clone()).or_insert_with(|| vec![None]);
            versions.push(value.clone());
            sent.push(key.clone());
            let written = match &value {
                Some(value) => client.send(&[b"SET", &key, value]),
                None => client.send(&[b"DEL", &key]),
            };
            if written.is_err() {
                return acknowledged;
            }
        }
        for (at, key) in sent.iter().enumerate() {
            match client.receive() {
                Ok(Reply::Line(line)) if line.starts_with(['+', ':']) => acknowledged += 1,
                Ok(reply) => panic!("{reply:?}"),
                Err(_) => return acknowledged,
            }
            // It has this value now, or one that was sent later.
            let later = sent[at + 1..].iter().filter(|other| *other == key).count();
            let versions = possible.get_mut(key).unwrap();
            versions.drain(..versions.len() - 1 - later);
        }
    }
}

/// Kills the VM so many times while clients write.
fn kill(times: u64) {
    const CLIENTS: usize = 4;
    let mut kv = Kv::new();
    let mut possible: Vec<Possible> = vec![Possible::new(); CLIENTS];
    let (mut numbers, mut acknowledged) = (Numbers(times), 0);
    for round in 0..=times {
        kv.start();
        let mut reader = kv.client();
        for (key, versions) in possible.iter_mut().flatten() {
            let value = reader.get(key);
            assert!(
                versions.contains(&value),
                "after {round} kills: {}: {:?}, but acknowledged or sent since: {:?}",
                String::from_utf8_lossy(key),
                value.map(|value| String::from_utf8_lossy(&value).into_owned()),
                versions,
            );
            *versions = vec![value];
        }
        if round == times {
            break;
        }
        let wait = Duration::from_micros(1000 + numbers.below(60_000));
        std::thread::scope(|scope| {
            let mut writers = Vec::new();
            for (name, possible) in possible.iter_mut().enumerate() {
                let (mut client, mut numbers) = (kv.client(), Numbers(numbers.below(1 << 30)));
                writers.push(scope.spawn(move || write(&mut client, name, possible, &mut numbers)));
            }
            std::thread::sleep(wait);
            kv.kill();
            acknowledged += writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .sum::<u64>();
        });
    }
    println!("{times} kills, {acknowledged} changes acknowledged, none lost");
    assert!(acknowledged > times);
}

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    require_kvm!();
    kill(200);
}
