//! Binds the listener of the pages.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;

use barograph_config::variables::{HOST, PORT};
use barograph_config::{Config, Notice};

use crate::error::StartError;

/// A listener for the pages, or an address to bind later.
#[derive(Debug)]
pub(crate) enum Listening {
    Bound(Arc<TcpListener>),
    /// The address cannot be bound now; telemetry starts anyway.
    Later(Later),
    Ended,
}

/// A host and port that cannot be bound now.
#[derive(Clone, Debug)]
pub(crate) struct Later {
    host: String,
    port: u16,
}

impl Later {
    fn new(host: Option<String>, port: Option<u16>, address: Option<SocketAddr>) -> Self {
        Later {
            host: host
                .or(address.map(|address| address.ip().to_string()))
                .unwrap_or_else(|| LOCALHOST.into()),
            port: port
                .or(address.map(|address| address.port()))
                .unwrap_or(DEFAULT_PORT),
        }
    }

    /// Tries to bind once more.
    pub(crate) fn listen(self) -> Listening {
        match self.bind() {
            Ok(listener) => Listening::Bound(Arc::new(listener)),
            Err(_) => Listening::Later(self),
        }
    }

    fn bind(&self) -> Result<TcpListener, StartError> {
        let refused = |source| StartError::Listen {
            address: format!("{}:{}", self.host, self.port),
            source,
        };
        let addresses = resolve(&self.host, self.port).map_err(refused)?;
        let listening = TcpListener::bind(&*addresses);
        listening.map_err(|error| match (error.kind(), addresses.first()) {
            (io::ErrorKind::AddrInUse, Some(address)) => {
                StartError::PortTaken { address: *address }
            }
            _ => refused(error),
        })
    }
}

/// Binds the address that the environment sets, else the one of the program, else the default.
///
/// A host or port of the environment that cannot be bound is ignored with a notice, and the other of
/// the two still applies. If another program has the port that the environment or the default sets,
/// it is bound later, also with a notice: telemetry does not keep a service from starting. For an
/// address that the program sets, this is an error.
pub(crate) fn listen(
    config: &mut Config,
    address: Option<SocketAddr>,
) -> Result<Listening, StartError> {
    let (mut host, mut port) = (config.host.take(), config.port.take());
    let (place, bound) = loop {
        let place = Later::new(host.clone(), port, address);
        let bound = place.bind();
        let Err(StartError::Listen { source, .. }) = &bound else {
            break (place, bound);
        };
        let ignored = if let Some(host) = host.take_if(|host| !is_here(host)) {
            Notice::ignored(HOST.name, &host, "a name or address of this machine")
        } else if let Some(port) = port.take() {
            Notice::ignored(
                PORT.name,
                &port.to_string(),
                "a port that can be listened on",
            )
        } else {
            break (place, bound);
        };
        let text = format!("{ignored}: {source}");
        config.notices.push(Notice::new(text));
    };
    match bound {
        Ok(listener) => Ok(Listening::Bound(Arc::new(listener))),
        Err(error) if address.is_some() && host.is_none() && port.is_none() => Err(error),
        Err(error) => {
            let text = format!(
                "{error:?}; the service starts without its pages, and it is tried again until they \
                 are there"
            );
            config.notices.push(Notice::new(text));
            Ok(Listening::Later(place))
        }
    }
}

/// Returns true if this machine can listen on this host, on some port.
fn is_here(host: &str) -> bool {
    resolve(host, 0).is_ok_and(|addresses| TcpListener::bind(&*addresses).is_ok())
}

/// Returns the addresses of a host. `localhost` is 127.0.0.1, the address that scrapers are given.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case(LOCALHOST) {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![SocketAddr::from((ip, port))]),
        Err(_) => Ok((host, port).to_socket_addrs()?.collect()),
    }
}

const LOCALHOST: &str = "localhost";
/// The default port (OpenTelemetry specification, "Prometheus exporter").
const DEFAULT_PORT: u16 = 9464;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses() {
        for (host, expected) in [
            ("localhost", "127.0.0.1:9464"),
            ("LOCALHOST", "127.0.0.1:9464"),
            ("0.0.0.0", "0.0.0.0:9464"),
            ("::1", "[::1]:9464"),
            ("[::1]", "[::1]:9464"),
        ] {
            let addresses = resolve(host, DEFAULT_PORT).expect("no name has to be looked up");
            assert_eq!(addresses[0].to_string(), expected, "{host}");
        }
    }
}
