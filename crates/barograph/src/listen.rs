//! Where the pages are served.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use crate::config::Config;
use crate::env::Notice;
use crate::error::{HOST, PORT, StartError};

/// Listens where the environment says, else where the program does, else where the standard does.
///
/// A host or port of the environment that cannot be listened on is ignored with a notice, unless
/// another program has the port.
pub(crate) fn listen(
    config: &mut Config,
    address: Option<SocketAddr>,
) -> Result<TcpListener, StartError> {
    let (host, port) = (config.host.take(), config.port.take());
    let is_from_outside = host.is_some() || port.is_some();
    let error = match bind(host, port, address) {
        Err(error @ StartError::Listen { .. }) if is_from_outside => error,
        result => return result,
    };
    let text = format!("{HOST} and {PORT} are ignored: {error:?}");
    config.notices.push(Notice::new(text));
    bind(None, None, address)
}

fn bind(
    host: Option<String>,
    port: Option<u16>,
    address: Option<SocketAddr>,
) -> Result<TcpListener, StartError> {
    let port = port
        .or(address.map(|address| address.port()))
        .unwrap_or(DEFAULT_PORT);
    let host = host
        .or(address.map(|address| address.ip().to_string()))
        .unwrap_or_else(|| LOCALHOST.into());
    let refused = |source| StartError::Listen {
        address: format!("{host}:{port}"),
        source,
    };
    let addresses = resolve(&host, port).map_err(refused)?;
    let listening = TcpListener::bind(&*addresses);
    listening.map_err(|error| match (error.kind(), addresses.first()) {
        (io::ErrorKind::AddrInUse, Some(address)) => StartError::PortTaken { address: *address },
        _ => refused(error),
    })
}

/// The addresses of a host. `localhost` is 127.0.0.1, since scrapers are told that one.
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
/// The port of the standard (OpenTelemetry specification, "Prometheus exporter").
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
