//! The secret of a node's edge, which outlives its runs: phones keep sealed ways through their edge for as long as their
//! conversations last, and those live on other edges (Spec: CL-6).

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use carillon_edge::Seal;

/// Its name in the data folder.
const FILE: &str = "edge.secret";
const BYTES: usize = 32;

/// The secret in this data folder, made when there is none yet; a new one for each run without a folder.
///
/// # Errors
/// The file cannot be read or made, or holds something else.
pub(crate) fn kept(data: Option<&Path>) -> anyhow::Result<Seal> {
    let Some(data) = data else { return Ok(Seal::new(rand::random())) };
    let path = data.join(FILE);
    let secret = match std::fs::read(&path) {
        Ok(secret) => secret,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(data, &path).with_context(|| format!("cannot write {}", path.display()))?
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    ensure!(
        secret.len() == BYTES,
        "{} holds {} bytes instead of {BYTES}: remove it, and a new one is made",
        path.display(),
        secret.len()
    );
    let mut bytes = [0; BYTES];
    bytes.copy_from_slice(&secret);
    Ok(Seal::new(bytes))
}

/// Whole or not at all: a crash leaves no half of a file.
fn make(data: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let secret: [u8; BYTES] = rand::random();
    let draft = data.join(format!("{FILE}.new"));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    Ok(secret.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn bytes(folder: &Path) -> Vec<u8> {
        std::fs::read(folder.join(FILE)).unwrap()
    }

    #[test]
    fn the_secret_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let _made: Seal = kept(Some(folder.path())).unwrap();
        let first = bytes(folder.path());
        let _read: Seal = kept(Some(folder.path())).unwrap();
        assert_eq!(bytes(folder.path()), first);
        let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!((first.len(), mode & 0o777), (BYTES, 0o600));
    }

    #[test]
    fn what_is_no_secret_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "short").unwrap();
        let refused = kept(Some(folder.path())).unwrap_err().to_string();
        assert!(refused.contains("5 bytes instead of 32: remove it"), "{refused}");
    }
}
