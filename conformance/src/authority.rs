//! A certificate authority for the conformance tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A certificate authority. Its own certificate is the root that a client is configured to trust.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    /// Creates an authority that no client trusts yet.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be written.
    pub fn new() -> Self {
        let mut params = parameters("barograph conformance");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, key()).expect("its own key signs a certificate");
        let directory = TempDir::with_prefix("barograph-authority-").expect("a directory");
        write(&directory.path().join("root.pem"), &issuer.pem());
        Self { issuer, directory }
    }

    /// The path of the root certificate.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Issues a certificate for the loopback addresses and returns the files of the certificate and
    /// of its key. A later call with the same name overwrites them.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be written.
    pub fn vouch(&self, name: &str) -> Identity {
        let key = key();
        let certificate = parameters(name)
            .signed_by(&key, &self.issuer)
            .expect("an authority signs");
        let file = |suffix: &str| self.directory.path().join(format!("{name}{suffix}.pem"));
        let identity = Identity {
            certificate: file(""),
            key: file("-key"),
        };
        write(&identity.key, &key.serialize_pem());
        write(&identity.certificate, &certificate.pem());
        identity
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// The files of a certificate and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system gives random numbers")
}

fn parameters(name: &str) -> CertificateParams {
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let mut params = CertificateParams::new(names).expect("two names that are well formed");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Writes a file and moves it into place in one step, as tools that rotate certificates do.
fn write(path: &Path, text: &str) {
    let part = path.with_extension("part");
    fs::write(&part, text).expect("a directory that can be written");
    fs::rename(part, path).expect("a file can be moved within its directory");
}
