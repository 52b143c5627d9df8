//! Mutual TLS on links. A certificate of the cluster's authority that carries the cluster's name makes a node: nodes of one
//! cluster may share one, or have one each with the same name, as a Kubernetes secret gives it to all replicas.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificates::Peers;
use super::transport::Connection;

/// What both sides must agree on: HTTP/2.
const ALPN: &[u8] = b"h2";

/// Where a node's certificates stand, PEM. They are read again for each new connection, so they can be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authority that signs the nodes' certificates; several while it is replaced.
    pub authority: PathBuf,
    /// The node's certificate, with what stands between it and the authority.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The DNS name (subjectAltName) that every node's certificate carries.
    pub name: String,
}

/// Why certificates cannot be used. `file` is the field of the node's configuration, and the path.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{field}: {}` cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        field: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("`{field}: {}` holds no {wanted}: {error}", path.display())]
    NotPem {
        /// Which.
        field: &'static str,
        /// Where.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// Why.
        error: String,
    },
    /// The name is no DNS name.
    #[error("`name: {0}` is no DNS name, like `carillon`")]
    Name(String),
    /// The key is not that of the certificate.
    #[error("`key` does not belong to `certificate`: {0}")]
    Key(rustls::Error),
    /// Other nodes would refuse the certificate.
    #[error(
        "`certificate` must be signed by `authority`, carry the DNS name `{name}`, be valid now, and serve servers and clients alike: {error}"
    )]
    Certificate {
        /// The name.
        name: String,
        /// Why they would.
        error: rustls::Error,
    },
}

/// The certificates of a node, as its files hold them now.
pub struct Tls {
    files: TlsFiles,
    name: ServerName<'static>,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    texts: Texts,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    /// What is wrong with the files since, as it was said last.
    trouble: Option<String>,
}

#[derive(PartialEq, Eq)]
struct Texts {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let name = ServerName::try_from(files.name.clone()).ok().filter(|name| matches!(name, ServerName::DnsName(_)));
        let name = name.ok_or_else(|| TlsError::Name(files.name.clone()))?;
        let (client, server, texts) = load(&files, &name, Texts::read(&files)?)?;
        let loaded = Mutex::new(Loaded { texts, client, server, trouble: None });
        Ok(Tls { files, name, loaded })
    }

    /// The side that dials.
    pub(super) async fn connect(&self, stream: Box<dyn Connection>) -> io::Result<Box<dyn Connection>> {
        let client = self.current().client.clone();
        Ok(Box::new(TlsConnector::from(client).connect(self.name.clone(), stream).await?))
    }

    /// The side that is dialled.
    pub(super) async fn accept(&self, stream: Box<dyn Connection>) -> io::Result<Box<dyn Connection>> {
        let server = self.current().server.clone();
        Ok(Box::new(TlsAcceptor::from(server).accept(stream).await?))
    }

    /// The files as they are now. While they cannot be used, as in the middle of a renewal, what they held before goes on.
    fn current(&self) -> MutexGuard<'_, Loaded> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let news = match Texts::read(&self.files) {
            Ok(texts) if texts == loaded.texts => None,
            Ok(texts) => Some(load(&self.files, &self.name, texts)),
            Err(error) => Some(Err(error)),
        };
        let trouble = match news {
            Some(Ok((client, server, texts))) => {
                tracing::info!(certificate = %self.files.certificate.display(), "new certificates for links");
                *loaded = Loaded { texts, client, server, trouble: None };
                None
            }
            Some(Err(error)) => Some(error.to_string()),
            None => None,
        };
        if let Some(reason) = trouble.as_ref().filter(|reason| loaded.trouble.as_ref() != Some(*reason)) {
            tracing::error!(reason, "`link_tls`: new certificates cannot be used, the old ones stay");
        }
        loaded.trouble = trouble;
        loaded
    }
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Texts, TlsError> {
        let read = |field, path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Unreadable { field, path: path.to_owned(), error })
        };
        Ok(Texts {
            authority: read("authority", &files.authority)?,
            certificate: read("certificate", &files.certificate)?,
            key: read("key", &files.key)?,
        })
    }
}

type Usable = (Arc<ClientConfig>, Arc<ServerConfig>, Texts);

fn load(files: &TlsFiles, name: &ServerName<'static>, texts: Texts) -> Result<Usable, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates("authority", &files.authority, &texts.authority)? {
        let not_one = |error: rustls::Error| not_pem("authority", &files.authority, "certificate", error.to_string());
        roots.add(certificate).map_err(not_one)?;
    }
    let roots = Arc::new(roots);
    let chain = certificates("certificate", &files.certificate, &texts.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&texts.key)
        .map_err(|error| not_pem("key", &files.key, "private key", error.to_string()))?;
    let peers = Peers::of(&roots, &provider, name).and_then(|peers| peers.check(&chain).map(|()| peers));
    let peers = peers.map_err(|error| TlsError::Certificate { name: files.name.clone(), error })?;
    let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]);
    let mut server = server
        .and_then(|it| it.with_client_cert_verifier(peers).with_single_cert(chain.clone(), key.clone_key()))
        .map_err(TlsError::Key)?;
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let mut client = client
        .and_then(|it| it.with_root_certificates(roots).with_client_auth_cert(chain, key))
        .map_err(TlsError::Key)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    client.alpn_protocols = vec![ALPN.to_vec()];
    Ok((Arc::new(client), Arc::new(server), texts))
}

fn certificates(field: &'static str, path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(found) if found.is_empty() => Err(not_pem(field, path, "certificate", "no PEM block of one".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(not_pem(field, path, "certificate", error.to_string())),
    }
}

fn not_pem(field: &'static str, path: &Path, wanted: &'static str, error: String) -> TlsError {
    TlsError::NotPem { field, path: path.to_owned(), wanted, error }
}
