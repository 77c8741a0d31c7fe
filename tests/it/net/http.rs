//! The example that is a web server, asked as a browser asks it: through a user-mode network, and on a tap device.

use super::tap::Tap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use trapless_tests::{Boot, require_kvm};
use vmm::config::{Forward, Link, Protocol, UserNetwork};
use vmm::{End, StopReason};

/// The server's sockets.
const SOCKETS: usize = 128;

/// Runs the example until `ask` has asked it.
fn serve(args: &[&str], link: Link, ask: impl FnOnce() + Send) {
    let boot = Boot::guest("http", args).card(link);
    let (vm, console) = boot.vm();
    let stopper = vm.stopper();
    let finished = std::thread::scope(|scope| {
        let asker = scope.spawn(move || {
            ask();
            stopper.stop(StopReason::Requested);
        });
        let finished = boot.finish(vm, &console);
        asker.join().unwrap();
        finished
    });
    let end = &finished.outcome.end;
    assert!(
        matches!(end, End::Stopped(StopReason::Requested)),
        "{end:?}"
    );
}

/// A connection, as soon as the server answers one.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: SocketAddr) -> Client {
        let until = Instant::now() + Duration::from_secs(100);
        loop {
            // A forward accepts before the guest does, and closes what the guest refuses.
            if let Ok(stream) = TcpStream::connect(server) {
                stream
                    .set_read_timeout(Some(Duration::from_secs(100)))
                    .unwrap();
                let mut client = Client(BufReader::new(stream));
                if client.try_ask("GET / HTTP/1.1\r\n\r\n").is_some() {
                    return client;
                }
            }
            assert!(Instant::now() < until, "nobody answers at {server}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_ask(&mut self, request: &str) -> Option<(String, String)> {
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        self.read()
    }

    /// The next answer: its head and its body.
    fn read(&mut self) -> Option<(String, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length?.parse().ok()?];
        self.0.read_exact(&mut body).ok()?;
        Some((head, String::from_utf8(body).ok()?))
    }

    fn ask(&mut self, request: &str) -> (String, String) {
        self.try_ask(request).expect("an answer")
    }
}

/// Everything a client may do.
fn ask(server: SocketAddr) {
    let mut client = Client::new(server);
    for visit in 2..50 {
        let (head, body) = client.ask("GET / HTTP/1.1\r\nHost: guest\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.contains(&format!("asked for {visit} times")), "{body}");
    }
    assert!(client.ask("GET /x HTTP/1.1\r\n\r\n").0.contains("404"));
    // Two at once.
    let get = "GET / HTTP/1.1\r\n\r\n";
    let (first, _) = client.ask(&format!("{get}{get}"));
    let (second, _) = client.read().expect("a second answer");
    assert!(first.contains("200") && second.contains("200"));
    // Several connections, and then one that ends.
    let mut others: Vec<Client> = (0..8).map(|_| Client::new(server)).collect();
    for other in &mut others {
        assert!(other.ask(get).0.contains("keep-alive"));
    }
    assert!(
        client
            .ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            .0
            .contains("close")
    );
    assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    let mut client = Client::new(server);
    assert!(client.ask("nonsense\r\n\r\n").0.contains("400"));
    let mut client = Client::new(server);
    let (refused, _) = client.ask("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b");
    assert!(refused.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"));
    assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    curl(server);
}

/// The client that everybody has. Where it is not there, this says so.
fn curl(server: SocketAddr) {
    let url = format!("http://{server}/");
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", &url])
        .stderr(Stdio::inherit())
        .output();
    match curl {
        Ok(output) => {
            let page = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && page.contains("Hello from a guest"),
                "{page}"
            );
        }
        Err(error) => eprintln!("skipped: curl cannot be run: {error}"),
    }
}

/// A network that forwards to the server, and where.
fn forwarded() -> (Link, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = free.local_addr().unwrap();
    let forward = Forward {
        protocol: Protocol::Tcp,
        host,
        guest: 80,
    };
    let network = UserNetwork {
        forward: vec![forward],
        ..UserNetwork::default()
    };
    (Link::User(network), host)
}

#[test]
fn a_web_server_answers_through_a_user_mode_network() {
    require_kvm!();
    let (link, server) = forwarded();
    serve(&[], link, || ask(server));
}

/// More clients than the server has sockets, from before it has an address, each with a connection for every page: the forward lets nobody
/// see that there was none free.
#[test]
fn many_short_connections_are_all_answered() {
    const CLIENTS: usize = SOCKETS + 22;
    const PAGES: usize = 8;
    require_kvm!();
    let (link, server) = forwarded();
    serve(&[], link, || {
        let client = || {
            for _ in 0..PAGES {
                let mut stream = TcpStream::connect(server)?;
                stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            }
            std::io::Result::Ok(())
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            for client in clients {
                client.join().unwrap().unwrap();
            }
        });
    });
}

/// As many clients as the server has sockets, of which the last has asked for half a page: each is left after a while, and its socket is another's.
#[test]
fn silent_clients_do_not_keep_others_out() {
    require_kvm!();
    let (link, server) = forwarded();
    serve(&[], link, || {
        drop(Client::new(server));
        let begun = Instant::now();
        let mut silent: Vec<TcpStream> = (0..SOCKETS)
            .map(|_| TcpStream::connect(server).unwrap())
            .collect();
        silent[SOCKETS - 1]
            .write_all(b"GET / HTTP/1.1\r\n")
            .unwrap();
        Client::new(server);
        for stream in &mut silent {
            stream
                .set_read_timeout(Some(Duration::from_secs(100)))
                .unwrap();
            // One that found no socket for a second is reset.
            let left = stream.read(&mut [0]).map_err(|error| error.kind());
            assert!(
                matches!(left, Ok(0) | Err(ErrorKind::ConnectionReset)),
                "{left:?}"
            );
        }
        assert!(begun.elapsed() > Duration::from_secs(4));
    });
}

#[test]
fn a_web_server_answers_on_a_tap_device() {
    require_kvm!();
    let Some(tap) = Tap::new() else {
        return;
    };
    let server = SocketAddr::new(tap.address(2).parse().unwrap(), 80);
    let link = Link::Tap(tap.name.clone());
    serve(&[&tap.subnet(2)], link, || ask(server));
}
