//! The addresses of a request's sender, as the texts that its span records.
//!
//! A span has several visitors, and each of them would format an address anew. A text is also not
//! searched for secrets, which the `Display` form of a value is.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

/// The sender of a request: the client, and the peer of the connection. They differ where a proxy is
/// between the two.
///
/// Source: OpenTelemetry semantic conventions 1.44, "Client" and "Network" attributes.
pub(crate) struct Sender {
    client: Option<AddressText>,
    peer: Option<AddressText>,
    port: Option<u16>,
}

impl Sender {
    /// Returns the sender, where the client is known from the peer or from what proxies report.
    pub(crate) fn new(peer: Option<SocketAddr>, client: Option<IpAddr>) -> Self {
        let address = peer.map(|peer| peer.ip());
        let text = address.map(AddressText::new);
        Sender {
            client: match client {
                Some(client) if Some(client) != address => Some(AddressText::new(client)),
                _ => text,
            },
            peer: text,
            port: peer.map(|peer| peer.port()),
        }
    }

    /// Returns `client.address`.
    pub(crate) fn client_address(&self) -> Option<&str> {
        self.client.as_ref().map(AddressText::as_str)
    }

    /// Returns `network.peer.address`.
    pub(crate) fn peer_address(&self) -> Option<&str> {
        self.peer.as_ref().map(AddressText::as_str)
    }

    /// Returns `network.peer.port`.
    pub(crate) fn peer_port(&self) -> Option<u16> {
        self.port
    }
}

/// An IP address in its `Display` form.
#[derive(Clone, Copy)]
struct AddressText {
    bytes: [u8; LONGEST],
    length: usize,
}

/// The length of the longest address.
const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".len();

impl AddressText {
    fn new(address: IpAddr) -> Self {
        let mut text = AddressText {
            bytes: [0; LONGEST],
            length: 0,
        };
        // An address always fits.
        let _ = match address {
            IpAddr::V4(address) => text.write_octets(address.octets()),
            IpAddr::V6(address) => write!(text, "{address}"),
        };
        text
    }

    /// Writes what `Display` would, in a fraction of its time.
    fn write_octets(&mut self, octets: [u8; 4]) -> fmt::Result {
        for (index, octet) in octets.into_iter().enumerate() {
            if index > 0 {
                self.write_str(".")?;
            }
            self.write_str(itoa::Buffer::new().format(octet))?;
        }
        Ok(())
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for AddressText {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len());
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_display_writes_it() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "192.168.100.255",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:255.255.255.255",
            "2001:db8::7",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(AddressText::new(ip).as_str(), ip.to_string());
            assert_eq!(ip.to_string(), address);
        }
    }

    #[test]
    fn the_client_is_the_peer_unless_a_proxy_reports_another() {
        let peer: SocketAddr = "10.0.0.1:4711".parse().unwrap();
        let texts = |peer, client| {
            let sender = Sender::new(peer, client);
            let text = |text: Option<&str>| text.map(str::to_owned);
            (
                text(sender.client_address()),
                text(sender.peer_address()),
                sender.peer_port(),
            )
        };
        let text = |text: &str| Some(text.to_owned());
        let own = text("10.0.0.1");
        assert_eq!(
            texts(Some(peer), None),
            (own.clone(), own.clone(), Some(4711))
        );
        assert_eq!(
            texts(Some(peer), Some(peer.ip())),
            (own.clone(), own.clone(), Some(4711))
        );
        assert_eq!(
            texts(Some(peer), Some("2001:db8::7".parse().unwrap())),
            (text("2001:db8::7"), own, Some(4711))
        );
        assert_eq!(texts(None, None), (None, None, None));
    }
}
