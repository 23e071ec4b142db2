//! TLS: trusted roots, client certificates, and files that change.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use std::{env, fs, io};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::config::{Files, Pem, TlsConfig};
use super::invalid::InvalidFile;
use super::small_file;

/// The TLS configuration of a client, renewed when a file has changed.
pub(super) struct Tls {
    config: TlsConfig,
    /// The protocol for ALPN.
    protocol: &'static [u8],
    /// The system's roots. Read once: that takes tens of milliseconds.
    system: Option<Arc<RootCertStore>>,
    loaded: Option<Loaded>,
}

struct Loaded {
    contents: Vec<Vec<u8>>,
    stamps: Vec<Option<Stamp>>,
    connectors: Connectors,
}

/// The connectors that start TLS on a stream, by peer.
#[derive(Clone)]
pub(super) struct Connectors {
    pub(super) endpoint: TlsConnector,
    /// Proxies use HTTP/1.1, whatever protocol goes through them.
    pub(super) proxy: TlsConnector,
}

/// The modification time and the length of a file.
type Stamp = (Option<SystemTime>, u64);

impl Tls {
    /// Reads all files once, so that errors in them are found at the start; with `Files::OnConnect`
    /// that is left to the first connection.
    pub(super) fn new(
        config: TlsConfig,
        protocol: &'static [u8],
        files: Files,
    ) -> Result<Self, InvalidFile> {
        let mut tls = Tls {
            config,
            protocol,
            system: None,
            loaded: None,
        };
        if files == Files::AtStart {
            tls.connectors()?;
        }
        Ok(tls)
    }

    /// Returns true if a file seems to have changed since it was read.
    pub(super) fn has_changed(&self) -> bool {
        let loaded = self.loaded.as_ref().map(|loaded| &loaded.stamps);
        loaded != Some(&self.stamps())
    }

    /// Returns the connectors for new connections, renewed if a file has changed.
    pub(super) fn connectors(&mut self) -> Result<Connectors, InvalidFile> {
        // Taken before the contents are read: a change in between is then detected as a change.
        let stamps = self.stamps();
        let contents: Vec<_> = self.pems().map(read).collect::<Result<_, _>>()?;
        match &mut self.loaded {
            // If the contents are the same, the connectors are kept, and with them the sessions to
            // resume.
            Some(loaded) if loaded.contents == contents => loaded.stamps = stamps,
            _ => {
                let connectors = self.load(&contents)?;
                self.loaded = Some(Loaded {
                    contents,
                    stamps,
                    connectors,
                });
            }
        }
        let loaded = self.loaded.as_ref().expect("set above");
        Ok(loaded.connectors.clone())
    }

    /// Iterates over the roots, the certificates and the key, as far as they are configured, in
    /// this order.
    fn pems(&self) -> impl Iterator<Item = &Pem> {
        let identity = self.config.identity.iter();
        let identity = identity.flat_map(|identity| [&identity.certificates, &identity.key]);
        self.config.roots.iter().chain(identity)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |pem: &Pem| match pem {
            Pem::Given(_) => None,
            Pem::File(path) => {
                let metadata = fs::metadata(path).ok()?;
                Some((metadata.modified().ok(), metadata.len()))
            }
        };
        self.pems().map(stamp).collect()
    }

    fn load(&mut self, contents: &[Vec<u8>]) -> Result<Connectors, InvalidFile> {
        let mut contents = contents.iter();
        let mut next = || contents.next().map_or(&[][..], Vec::as_slice);
        let roots = match &self.config.roots {
            Some(pem) => Arc::new(roots(pem, next())?),
            None => self.system()?,
        };
        // The provider is named explicitly: if a program links two of them, rustls panics when it
        // has to choose one.
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let mut config = match &self.config.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates(&identity.certificates, next())?;
                let key = PrivateKeyDer::from_pem_slice(next())
                    .map_err(|error| invalid(&identity.key, "a private key in PEM form", error))?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|error| {
                    invalid(
                        &identity.key,
                        "the private key of the client certificate",
                        error,
                    )
                })?
            }
        };
        let mut for_proxy = config.clone();
        config.alpn_protocols = vec![self.protocol.to_vec()];
        for_proxy.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (endpoint, proxy) = (Arc::new(config).into(), Arc::new(for_proxy).into());
        Ok(Connectors { endpoint, proxy })
    }

    /// Returns the system's roots, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead.
    fn system(&mut self) -> Result<Arc<RootCertStore>, InvalidFile> {
        if let Some(roots) = &self.system {
            return Ok(roots.clone());
        }
        replaced_system()?;
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // System stores contain old certificates that cannot be parsed; the others suffice.
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if taken == 0 {
            let reason = found.errors.first().map(ToString::to_string);
            return Err(InvalidFile {
                path: None,
                expected: "root certificates in the system's store",
                reason: reason.unwrap_or_else(|| "there are none".to_owned()),
            });
        }
        let roots = Arc::new(roots);
        self.system = Some(roots.clone());
        Ok(roots)
    }
}

/// Checks the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name before `rustls_native_certs` reads
/// them, since it waits for a FIFO and reads a device to its end.
fn replaced_system() -> Result<(), InvalidFile> {
    let invalid = |path: &Path, error: io::Error| InvalidFile {
        path: Some(path.to_owned()),
        expected: "root certificates in PEM form",
        reason: error.to_string(),
    };
    if let Some(path) = env::var_os("SSL_CERT_FILE") {
        let path = Path::new(&path);
        small_file::check(path).map_err(|error| invalid(path, error))?;
    }
    let directories = env::var_os("SSL_CERT_DIR").unwrap_or_default();
    // Directories that cannot be read are reported by `rustls_native_certs`, which skips directory
    // entries that are not regular files.
    let entries =
        env::split_paths(&directories).filter_map(|directory| fs::read_dir(directory).ok());
    for entry in entries.flatten().flatten() {
        let path = entry.path();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            small_file::check(&path).map_err(|error| invalid(&path, error))?;
        }
    }
    Ok(())
}

fn roots(pem: &Pem, contents: &[u8]) -> Result<RootCertStore, InvalidFile> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, contents)? {
        let added = roots.add(certificate);
        added.map_err(|error| invalid(pem, "root certificates", error))?;
    }
    Ok(roots)
}

fn certificates(pem: &Pem, contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidFile> {
    const EXPECTED: &str = "certificates in PEM form";
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(contents).collect();
    let found = found.map_err(|error| invalid(pem, EXPECTED, error))?;
    match found.is_empty() {
        true => Err(invalid(pem, EXPECTED, "there is none")),
        false => Ok(found),
    }
}

fn read(pem: &Pem) -> Result<Vec<u8>, InvalidFile> {
    match pem {
        Pem::Given(contents) => Ok(contents.clone()),
        Pem::File(path) => {
            small_file::read(path).map_err(|error| invalid(pem, "a file in PEM form", error))
        }
    }
}

fn invalid(pem: &Pem, expected: &'static str, reason: impl ToString) -> InvalidFile {
    let path = match pem {
        Pem::File(path) => Some(path.clone()),
        Pem::Given(_) => None,
    };
    InvalidFile {
        path,
        expected,
        reason: reason.to_string(),
    }
}
