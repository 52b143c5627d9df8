//! Somebody who signs certificates, and the files in which a node finds them.

use std::path::PathBuf;

use carillon_rpc::cluster::link::{Tls, TlsError, TlsFiles};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A node's three files, as cert-manager mounts them.
pub(crate) struct Files {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Authority { issuer: Issuer::new(parameters, key), certificate }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for `name`, and its key.
    pub(crate) fn sign(&self, name: &str, usages: &[ExtendedKeyUsagePurpose]) -> (String, String) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.extended_key_usages.extend_from_slice(usages);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The files of a node of its cluster.
    pub(crate) fn files(&self) -> Files {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        files.renew(&self.pem(), &self.sign("carillon", &usages));
        files
    }
}

impl Files {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn renew(&self, authority: &str, (certificate, key): &(String, String)) {
        for (name, text) in [("ca.crt", authority), ("tls.crt", certificate), ("tls.key", key)] {
            std::fs::write(self.path(name), text).unwrap();
        }
    }

    pub(crate) fn read(&self) -> Result<Tls, TlsError> {
        self.read_for("carillon")
    }

    pub(crate) fn read_for(&self, name: &str) -> Result<Tls, TlsError> {
        let [authority, certificate, key] = ["ca.crt", "tls.crt", "tls.key"].map(|name| self.path(name));
        Tls::new(TlsFiles { authority, certificate, key, name: name.to_owned() })
    }
}
