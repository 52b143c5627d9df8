//! Whose certificates a node believes: signed by the cluster's authority, for the cluster's name, whichever side shows them.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

/// What a node that is dialled asks of the one that dials: besides the signature the name, which TLS asks of servers only.
#[derive(Debug)]
pub(super) struct Peers {
    signed: Arc<dyn ClientCertVerifier>,
    serving: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl Peers {
    pub(super) fn of(
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        name: &ServerName<'static>,
    ) -> Result<Arc<Self>, Error> {
        let signed = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let serving = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let unusable = |error| Error::General(format!("the authority: {error}"));
        let (signed, serving) = (signed.map_err(unusable)?, serving.map_err(unusable)?);
        Ok(Arc::new(Peers { signed, serving, name: name.clone() }))
    }

    /// Whether other nodes would believe this node's own certificate, on either side.
    pub(super) fn check(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let (own, between) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let now = UnixTime::now();
        self.serving.verify_server_cert(own, between, &self.name, &[], now)?;
        self.verify_client_cert(own, between, now).map(drop)
    }
}

impl ClientCertVerifier for Peers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(end_entity, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, &self.name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Links speak TLS 1.3 and nothing older.
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
