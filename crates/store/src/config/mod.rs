//! Reading the configuration objects of a center from YAML (Spec: OB).

mod center;
mod diagnostic;
mod secret;
mod source;
mod yaml;

use std::fmt;
use std::path::Path;

pub use center::{
    Access, Agent, Center, Connection, Device, Number, Queue, ShortNumber, SipUri, Sound, Tenant, Trunk, Username,
};
pub use diagnostic::{Diagnostic, Severity, render};
pub use secret::Secret;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The objects.
    pub center: Center,
    /// What works but is probably not meant; show them with [`render`].
    pub warnings: Vec<Diagnostic>,
}

/// Every mistake of a configuration (and its warnings), in the order of the files. `Display` renders them without
/// colour; [`render`] with.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    /// At least one of them is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.diagnostics, false))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads a file, or all `*.yaml` and `*.yml` files of a folder and its subfolders in the order of their paths.
///
/// # Errors
/// All mistakes of all files at once: syntax, unknown fields, wrong types, values out of range, references that lead
/// nowhere, names, extensions, numbers and user names that exist twice, and files that cannot be read.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let _ = path;
    Err(ConfigErrors { diagnostics: Vec::new() })
}

/// Reads a configuration that is already in memory; `name` stands for the file in messages, and relative paths start at
/// the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_str(name: &str, text: &str) -> Result<Loaded, ConfigErrors> {
    let _ = (name, text);
    Err(ConfigErrors { diagnostics: Vec::new() })
}
