//! Behaviors of a fake receiver.

use std::{borrow::Cow, fmt, io, sync::Arc};

use super::peer::Peer;

/// An action on a client's connection; an error closes the connection.
pub type Hook = Arc<dyn Fn(&mut Peer) -> io::Result<()> + Send + Sync>;

/// A named behavior.
#[derive(Clone)]
pub struct Behavior {
    name: Cow<'static, str>,
    /// Runs before anything is read from a connection.
    pub(super) on_accept: Option<Hook>,
    /// Runs when an HTTP/2 connection has begun, in place of sending settings.
    pub(super) on_preface: Option<Hook>,
    /// Runs when a request has arrived, in place of the response.
    pub(super) on_request: Option<Hook>,
}

impl Behavior {
    /// Accepts everything and responds at once.
    pub fn good() -> Self {
        Self::named("good")
    }

    /// The name of the behavior.
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

    /// Runs the hook on each new connection.
    pub fn on_accept(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_accept = Some(Arc::new(hook));
        behavior
    }

    /// Runs the hook on each HTTP/2 connection after its preface.
    pub fn on_preface(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_preface = Some(Arc::new(hook));
        behavior
    }

    /// Runs the hook on each request.
    pub fn on_request(
        name: impl Into<Cow<'static, str>>,
        hook: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut behavior = Self::named(name);
        behavior.on_request = Some(Arc::new(hook));
        behavior
    }

    /// Responds to each request with these bytes, and closes the connection.
    pub fn answer(name: impl Into<Cow<'static, str>>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::on_request(name, move |peer| {
            peer.write(&bytes)?;
            Err(Peer::done())
        })
    }

    /// Returns true if the behavior needs a connection that has not begun yet.
    pub(super) fn needs_new_connection(&self) -> bool {
        self.on_accept.is_some() || self.on_preface.is_some()
    }
}

impl fmt::Debug for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
