//! How a receiver behaves.

use std::{borrow::Cow, fmt, io, sync::Arc};

use super::peer::Peer;

/// Something that is done to a client; an error ends its connection.
pub type Hook = Arc<dyn Fn(&mut Peer) -> io::Result<()> + Send + Sync>;

/// A way to behave, with its name.
#[derive(Clone)]
pub struct Behavior {
    name: Cow<'static, str>,
    /// Run before anything is read from a connection.
    pub(super) on_accept: Option<Hook>,
    /// Run when a connection of HTTP/2 has begun, in place of settings.
    pub(super) on_preface: Option<Hook>,
    /// Run when a request is there, in place of the answer.
    pub(super) on_request: Option<Hook>,
}

impl Behavior {
    /// Takes everything and answers at once.
    pub fn good() -> Self {
        Self::named("good")
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            on_accept: None,
            on_preface: None,
            on_request: None,
        }
    }

    /// Does this to each connection.
    pub fn on_accept(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_accept = Some(Arc::new(hook));
        behavior
    }

    /// Does this to each connection of HTTP/2 after its preface.
    pub fn on_preface(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_preface = Some(Arc::new(hook));
        behavior
    }

    /// Does this to each request.
    pub fn on_request(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_request = Some(Arc::new(hook));
        behavior
    }

    /// Answers each request with these bytes, and closes.
    pub fn answer(name: impl Into<Cow<'static, str>>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::on_request(name, move |peer| {
            peer.write(&bytes)?;
            Err(Peer::done())
        })
    }

    /// Whether it needs a connection that has not begun yet.
    pub(super) fn needs_new_connection(&self) -> bool {
        self.on_accept.is_some() || self.on_preface.is_some()
    }
}

impl fmt::Debug for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
