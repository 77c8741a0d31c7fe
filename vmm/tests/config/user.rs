//! User-mode networking of a card.

use super::parse;
use std::path::Path;
use vmm::Config;
use vmm::config::{Ipv4Network, Link, NameServer, UserNetwork};

fn user(value: &str) -> UserNetwork {
    let text = format!("[[net]]\nuser = {value}\n[guest]\nimage = \"Cargo.toml\"");
    let config = parse(&text).unwrap();
    let effective = config.to_toml();
    let again = Config::parse(&effective, Path::new("/nowhere/at/all.toml"))
        .unwrap_or_else(|refusal| panic!("{refusal}\n{effective}"));
    assert_eq!(again.nets, config.nets, "{effective}");
    match &config.nets[0].link {
        Link::User(user) => user.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_word_is_enough() {
    assert_eq!(user("true"), UserNetwork::default());
    assert_eq!(user("{}"), UserNetwork::default());
    let UserNetwork {
        host_access,
        network,
        ..
    } = user("true");
    assert!(!host_access);
    assert_eq!(network.to_string(), "10.0.2.0/24");
}

#[test]
fn every_key_is_understood() {
    let user = user(
        r#"{ forward = ["127.0.0.1:8080:80", "udp:[::1]:5353:53", "udp:127.0.0.1:8080:80"], host_access = true, network = "192.168.7.8/29", dns = "2001:db8::53" }"#,
    );
    let forward = user.forward.iter().map(ToString::to_string);
    assert_eq!(
        forward.collect::<Vec<_>>(),
        [
            "tcp:127.0.0.1:8080:80",
            "udp:[::1]:5353:53",
            "udp:127.0.0.1:8080:80"
        ]
    );
    assert!(user.host_access);
    let network = Ipv4Network {
        address: [192, 168, 7, 8].into(),
        prefix: 29,
    };
    assert_eq!(user.network, network);
    assert_eq!(user.dns, NameServer::At("2001:db8::53".parse().unwrap()));
}
