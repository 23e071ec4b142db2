//! Establishes connections: name resolution, sockets, proxies, TLS. No part of a request is sent
//! here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use barograph_model::cause::{CONNECTION_FAILED, NAME_RESOLUTION, of_io};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::MAX_RESPONSE;
use super::endpoint::{Address, Endpoint};
use super::message::causes;
use super::proxy::Proxy;
use super::url::Host;

/// The reason why no connection could be established.
pub(super) struct Unconnected {
    /// The value of `error.type`.
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Unconnected {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Unconnected { kind, message }
    }
}

/// A byte stream of any type.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The way to an endpoint.
pub(super) struct Route<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) proxy: Option<&'a Proxy>,
    /// Set if the endpoint uses TLS.
    pub(super) tls: Option<TlsConnector>,
    /// Set if the proxy uses TLS.
    pub(super) proxy_tls: Option<TlsConnector>,
    pub(super) user_agent: &'a str,
}

impl Route<'_> {
    /// Connects to the endpoint, directly or through a tunnel, or to the proxy that gets the request
    /// itself.
    pub(super) async fn connect(self) -> Result<Box<dyn Stream>, Unconnected> {
        let host = match &self.endpoint.address {
            Address::Unix(path) => return unix(path).await,
            Address::Tcp(host) => host,
        };
        let Some(proxy) = self.proxy else {
            let stream = tcp(host, "").await?;
            return match self.endpoint.is_tls {
                true => tls(stream, host, self.tls).await,
                false => Ok(stream),
            };
        };
        let mut stream = tcp(&proxy.host, "proxy ").await?;
        if proxy.is_tls {
            stream = tls(stream, &proxy.host, self.proxy_tls).await?;
        }
        if self.endpoint.needs_tunnel() {
            tunnel(&mut stream, host, proxy, self.user_agent).await?;
        }
        match self.endpoint.is_tls {
            true => tls(stream, host, self.tls).await,
            false => Ok(stream),
        }
    }
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> Result<Box<dyn Stream>, Unconnected> {
    match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let message = format!("no connection to unix:{}: {error}", path.display());
            let kind = of_io(error.kind()).unwrap_or(CONNECTION_FAILED);
            Err(Unconnected::new(kind, message))
        }
    }
}

#[cfg(not(unix))]
async fn unix(path: &std::path::Path) -> Result<Box<dyn Stream>, Unconnected> {
    let message = format!(
        "no connection to unix:{}: this system has no such sockets",
        path.display()
    );
    Err(Unconnected::new(CONNECTION_FAILED, message))
}

/// Resolves the name, and tries its addresses in turn. A message contains an address only once: the
/// caller's text already names the endpoint.
async fn tcp(host: &Host, role: &str) -> Result<Box<dyn Stream>, Unconnected> {
    let addresses = match lookup_host((&*host.name, host.port)).await {
        Ok(addresses) => addresses.take(MAX_ADDRESSES).collect::<Vec<_>>(),
        Err(error) => {
            let message = match role {
                "" => format!("no address: {}", causes(&error)),
                _ => format!("no address for {role}{}: {}", host.name, causes(&error)),
            };
            return Err(Unconnected::new(NAME_RESOLUTION, message));
        }
    };
    let mut failure = None;
    for address in &addresses {
        let connecting = TcpStream::connect(address);
        // An address that does not respond must not use up the time for those after it.
        let connected = match addresses.last() == Some(address) {
            false => timeout(NEXT_ADDRESS_AFTER, connecting).await,
            true => Ok(connecting.await),
        };
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // Otherwise the end of a request is delayed until its beginning is acknowledged. A
                // stream that rejects the option is only slower.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Err(error) => {
                let kind = of_io(error.kind()).unwrap_or(CONNECTION_FAILED);
                failure = Some((kind, address, error));
            }
        }
    }
    let host = host.authority();
    let to = match role {
        "" => String::new(),
        _ => format!(" to {role}{host}"),
    };
    let Some((kind, address, error)) = failure else {
        let message = format!("no connection{to}: the name has no address");
        return Err(Unconnected::new(NAME_RESOLUTION, message));
    };
    let message = match address.to_string() {
        address if address == host => format!("no connection{to}: {error}"),
        address => format!("no connection{to}: {address}: {error}"),
    };
    Err(Unconnected::new(kind, message))
}

async fn tls(
    stream: Box<dyn Stream>,
    host: &Host,
    connector: Option<TlsConnector>,
) -> Result<Box<dyn Stream>, Unconnected> {
    let failed = |reason: String| {
        Unconnected::new("tls", format!("no TLS with {}: {reason}", host.authority()))
    };
    let connector = connector.ok_or_else(|| failed("it is not set up".to_owned()))?;
    let name = ServerName::try_from(host.name.clone());
    let name = name.map_err(|_| failed("not a name that a certificate can have".to_owned()))?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(failed(causes(&error))),
    }
}

/// Requests a tunnel from a proxy.
///
/// Why not the `Tunnel` of hyper-util? It loses the bytes that follow the head of the response, such
/// as the settings of a gRPC server, accepts only status 200, and its errors do not show the status line.
///
/// Source: RFC 9110, 9.3.6.
async fn tunnel(
    stream: &mut Box<dyn Stream>,
    host: &Host,
    proxy: &Proxy,
    user_agent: &str,
) -> Result<(), Unconnected> {
    let failed = |reason: String| {
        let message = format!("no tunnel by proxy {}: {reason}", proxy.host.authority());
        Unconnected::new("proxy", message)
    };
    let authority = host.authority();
    let credentials = proxy.credentials.as_ref();
    let credentials =
        credentials.map(|credentials| format!("Proxy-Authorization: {}\r\n", credentials.basic));
    let request = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {user_agent}\r\n{}\r\n",
        credentials.unwrap_or_default(),
    );
    let response = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        // One byte at a time: the bytes after the head come from the other end of the tunnel.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_TUNNEL_HEAD {
            head.push(stream.read_u8().await?);
        }
        Ok::<_, io::Error>(head)
    };
    let head = response.await.map_err(|error| failed(error.to_string()))?;
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let is_http = line.starts_with("HTTP/1.") && head.ends_with(b"\r\n\r\n");
    let status = line.split_ascii_whitespace().nth(1).filter(|_| is_http);
    match status {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
        _ => Err(failed(format!("it responded `{line}`"))),
    }
}

/// The number of bytes transferred on a connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    written: AtomicU64,
    read: AtomicU64,
    /// The limit of the bytes read, counted from the beginning of the connection.
    readable: AtomicU64,
}

impl Traffic {
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Permits [`MAX_EXCHANGE`] more bytes to be read.
    pub(super) fn begin_exchange(&self) {
        let read = self.read.load(Ordering::Relaxed);
        let readable = read.saturating_add(MAX_EXCHANGE);
        self.readable.store(readable, Ordering::Relaxed);
    }
}

/// A stream that counts the bytes written to it, and limits the bytes read from it.
pub(super) struct Counted {
    pub(super) stream: Box<dyn Stream>,
    pub(super) traffic: Arc<Traffic>,
}

impl Counted {
    fn count(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if let Ok(written) = written {
            let total = &self.traffic.written;
            total.fetch_add(written as u64, Ordering::Relaxed);
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before) as u64;
        let traffic = &*self.traffic;
        let total = traffic.read.fetch_add(read, Ordering::Relaxed);
        if total.saturating_add(read) > traffic.readable.load(Ordering::Relaxed) {
            let message = format!("more than {MAX_EXCHANGE} bytes came for one request");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The maximum number of bytes read for one request: its response with all heads and frames.
/// Interim responses and empty frames are otherwise unlimited.
const MAX_EXCHANGE: u64 = 2 * MAX_RESPONSE as u64;
/// The maximum number of addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The time that an address other than the last may take to connect.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_secs(2);
/// The maximum size of a proxy's response to `CONNECT`.
const MAX_TUNNEL_HEAD: usize = 16 << 10;
