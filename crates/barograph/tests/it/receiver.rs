//! A receiver of pushed values over loopback HTTP, and the simplest way to it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use barograph::export::otlp::{Encoding, Request};
use barograph::export::push::{Outcome, Setback, Target, Transport};
use barograph::push::Push;

/// What the receiver does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Hangs,
}

/// Keeps the value of the first point of each metric that arrived last.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    values: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Receiver {
    pub(crate) fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let receiver = Receiver {
            address: listener.local_addr().expect("it listens"),
            values: Arc::default(),
        };
        let values = Arc::clone(&receiver.values);
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                match mood {
                    Mood::Takes => {
                        let values = Arc::clone(&values);
                        std::thread::spawn(move || answer(stream, &values));
                    }
                    Mood::Hangs => hanging.push(stream),
                }
            }
        });
        receiver
    }

    pub(crate) fn value(&self, name: &str) -> Option<u64> {
        self.values.lock().unwrap().get(name).copied()
    }

    /// Everything that is recorded, pushed to this receiver.
    pub(crate) fn push(&self) -> Push {
        let transport = Post {
            target: Target {
                url: format!("http://{}/v1/metrics", self.address),
                component_type: "otlp_http_metric_exporter",
                host: self.address.ip().to_string(),
                port: Some(self.address.port()),
            },
            address: self.address,
        };
        Push::metrics("test", transport).with_encoding(Encoding::Json)
    }
}

fn answer(stream: TcpStream, values: &Mutex<BTreeMap<String, u64>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    // A metric begins with its name, and its first point has this value.
    for metric in body.split(r#"{"name":""#).skip(1) {
        let (name, rest) = metric.split_once('"')?;
        if let Some((_, value)) = rest.split_once(r#""asInt":""#) {
            let value = value.split('"').next()?.parse().ok()?;
            values.lock().unwrap().insert(name.to_owned(), value);
        }
    }
    let mut stream = stream;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .ok()
}

/// Posts a request on a connection of its own.
struct Post {
    target: Target,
    address: SocketAddr,
}

impl Transport for Post {
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match post(self.address, &request.body).await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => Outcome::Delivered(None),
                other => Outcome::Setback(Setback {
                    error_type: "connect".into(),
                    message: format!("{other:?}"),
                    retry_after: None,
                    may_have_arrived: false,
                }),
            }
        })
    }

    fn target(&self) -> &Target {
        &self.target
    }
}

async fn post(address: SocketAddr, body: &[u8]) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
