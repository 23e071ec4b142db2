//! A server on the loopback that reads HTTP/1.1 requests, and responds with the bytes that a test
//! needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A received request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// The request line.
    pub(crate) line: String,
    /// The headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// The handler of a request or a connection.
type Handler = dyn FnMut(&Received, &mut dyn Write) -> Next + Send;

/// The treatment of a connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Keep,
    Close,
    /// Nothing more is sent, and the connection stays open, until the server is dropped.
    Hang,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    received: Mutex<Vec<Received>>,
    open: Mutex<Vec<TcpStream>>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// The TLS configuration of a server, which a test may replace.
pub(crate) type Tls = Arc<Mutex<Arc<ServerConfig>>>;

impl Server {
    /// Starts a server that responds to every request with `handler`.
    pub(crate) fn start(
        handler: impl FnMut(&Received, &mut dyn Write) -> Next + Send + 'static,
    ) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), None, handler)
    }

    pub(crate) fn start_tls(
        tls: &Tls,
        handler: impl FnMut(&Received, &mut dyn Write) -> Next + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::start_on(listener, Some(tls.clone()), handler)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        tls: Option<Tls>,
        handler: impl FnMut(&Received, &mut dyn Write) -> Next + Send + 'static,
    ) -> Self {
        let handler: Arc<Mutex<Box<Handler>>> = Arc::new(Mutex::new(Box::new(handler)));
        Self::accept(listener, move |stream, state| {
            let mut stream: Box<dyn Stream> = match &tls {
                None => Box::new(stream),
                Some(tls) => {
                    let config = tls.lock().unwrap().clone();
                    let connection = ServerConnection::new(config).unwrap();
                    Box::new(StreamOwned::new(connection, stream))
                }
            };
            serve(&mut *stream, state, &mut |request, stream| {
                handler.lock().unwrap()(request, stream)
            });
        })
    }

    /// Starts a server that passes every raw connection to `handler`.
    pub(crate) fn raw(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::accept(listener, move |stream, _| handler(stream))
    }

    fn accept(
        listener: TcpListener,
        handler: impl Fn(TcpStream, &State) + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (state, handler) = (Arc::new(State::default()), Arc::new(handler));
        let accepting = thread::spawn({
            let state = state.clone();
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    if state.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    state.accepted.fetch_add(1, Ordering::SeqCst);
                    state.open.lock().unwrap().push(stream.try_clone().unwrap());
                    let (state, handler) = (state.clone(), handler.clone());
                    thread::spawn(move || {
                        // The clone in the list of open connections would keep the connection open.
                        let end = stream.try_clone().unwrap();
                        handler(stream, &state);
                        let _ = end.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Server {
            port,
            state,
            accepting: Some(accepting),
        }
    }

    /// Returns the number of connections that were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Closes all connections, but not the server.
    pub(crate) fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.cut();
    }
}

fn serve(
    stream: &mut dyn Stream,
    state: &State,
    handler: &mut dyn FnMut(&Received, &mut dyn Write) -> Next,
) {
    while let Some(request) = read(stream) {
        state.received.lock().unwrap().push(request.clone());
        match handler(&request, stream) {
            Next::Keep => {}
            Next::Close => break,
            // Until the connection is closed.
            Next::Hang => while stream.read(&mut [0; 1]).is_ok_and(|length| length > 0) {},
        }
    }
}

/// Reads a request with a `Content-Length`, as the client sends it.
pub(crate) fn read(stream: &mut dyn Stream) -> Option<Received> {
    // One byte at a time, so that nothing of the next request is consumed.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = || {
        let mut line = String::new();
        let length = reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let mut request = Received {
        line: line()?,
        ..Received::default()
    };
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        request
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// A response with a length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The response of a receiver that accepted everything.
pub(crate) fn ok() -> Vec<u8> {
    answer("200 OK", &[("content-type", "application/x-protobuf")], b"")
}

/// A handler that always sends the same response.
pub(crate) fn responds(answer: Vec<u8>) -> impl FnMut(&Received, &mut dyn Write) -> Next + Send {
    move |_, stream| match stream.write_all(&answer).and_then(|()| stream.flush()) {
        Ok(()) => Next::Keep,
        Err(_) => Next::Close,
    }
}

/// A handler that sends each of these in turn, and then repeats the last one.
pub(crate) fn responds_in_turn(
    answers: Vec<Vec<u8>>,
) -> impl FnMut(&Received, &mut dyn Write) -> Next + Send {
    let mut turn = 0;
    move |request, stream| {
        let answer = answers[turn.min(answers.len() - 1)].clone();
        turn += 1;
        responds(answer)(request, stream)
    }
}
