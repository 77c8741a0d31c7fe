//! From a configuration to a card.

use super::{Backend, Card, Stream, Tap, User};
use crate::Error;
use crate::config::{Image, Link, Net};
use crate::rate::Limit;

/// The most bytes of a packet where nobody says: Ethernet's.
const MTU: u16 = 1500;

impl Card {
    /// A card as it is configured, in a VM that runs this image, connected to what it is to be connected to.
    ///
    /// # Errors
    /// What the host refuses, and what would help.
    pub fn open(image: &Image, net: &Net) -> Result<Card, Error> {
        let mac = net.mac.unwrap_or_else(|| address(image, &net.name));
        let mtu = net.mtu.unwrap_or(MTU);
        let (backend, mtu): (Box<dyn Backend>, u16) = match &net.link {
            Link::Tap(name) => {
                let (tap, mtu) = Tap::open(name, net.mtu)?;
                (Box::new(tap), mtu)
            }
            Link::Connect(path) => (Box::new(Stream::connect(path)?), mtu),
            Link::Listen(path) => (Box::new(Stream::listen(path)?), mtu),
            Link::User(user) => (Box::new(User::open(user, mac, mtu)?), mtu),
        };
        let device = format!("the network card {:?}", net.name);
        let limit = Limit::new(&device, net.ops_per_second, net.bytes_per_second)?;
        Ok(Card::new(net.name.clone(), mac, mtu, backend, limit))
    }
}

/// An Ethernet address for a card that was given none, of those that everybody may use: the same for the same guest and card.
fn address(image: &Image, card: &str) -> [u8; 6] {
    let guest = match image {
        Image::File(path) => path.file_stem().unwrap_or_default().to_string_lossy(),
        Image::Package { package, bin, .. } => bin.as_deref().unwrap_or(package).into(),
    };
    let bytes = guest.bytes().chain([0]).chain(card.bytes());
    // FNV-1a: any hash that stays the same will do.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    [2, a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_guests_and_the_cards() {
        let image = |name: &str| Image::File(name.into());
        let one = address(&image("target/http"), "net0");
        assert_eq!(one, address(&image("other/http.elf"), "net0"));
        assert_eq!(one[0], 2, "local, of one card");
        assert_ne!(one, address(&image("http"), "net1"));
        assert_ne!(one, address(&image("kv"), "net0"));
    }
}
