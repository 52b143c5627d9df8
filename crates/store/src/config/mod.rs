//! Reading the configuration objects of a center from YAML (Spec: OB).

mod center;
mod check;
mod decoder;
mod diagnostic;
mod document;
mod files;
mod findings;
mod kinds;
mod secret;
mod sip_uri;
mod source;
mod yaml;

use std::fmt;
use std::path::Path;

pub use center::{
    Access, Agent, Center, Connection, Device, Number, Queue, ShortNumber, SipUri, Sound, Tenant, Trunk, Username,
};
pub use diagnostic::{Diagnostic, Severity, render};
pub use secret::Secret;

use decoder::{Decoder, Environment};
use findings::{Findings, Problem};
use source::Source;

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
    let mut reading = Reading::new(&from_environment);
    match files::find(path) {
        Ok(files) => files.iter().for_each(|file| reading.file(file)),
        Err(problem) => reading.findings.report(problem),
    }
    reading.finish()
}

/// Reads a configuration that is already in memory; `name` stands for the file in messages, and relative paths start at
/// the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_str(name: &str, text: &str) -> Result<Loaded, ConfigErrors> {
    let mut reading = Reading::new(&from_environment);
    reading.text(name, text.to_owned(), Path::new(""));
    reading.finish()
}

fn from_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A configuration while it is read.
struct Reading<'a> {
    center: Center,
    findings: Findings,
    environment: Environment<'a>,
}

impl<'a> Reading<'a> {
    fn new(environment: Environment<'a>) -> Self {
        Reading { center: document::empty_center(), findings: Findings::default(), environment }
    }

    fn file(&mut self, file: &Path) {
        match files::read(file) {
            Ok(text) => self.text(&file.display().to_string(), text, file.parent().unwrap_or(Path::new(""))),
            Err(problem) => {
                self.findings.incomplete = true;
                self.findings.report(problem);
            }
        }
    }

    fn text(&mut self, name: &str, text: String, folder: &Path) {
        let (source, file) = self.findings.add_source(Source::new(name.into(), text));
        let (documents, mistake) = yaml::documents(&source, file);
        for document in &documents {
            let mut decoder = Decoder { findings: &mut self.findings, environment: self.environment, folder };
            document::decode(&mut decoder, document, &mut self.center);
        }
        if let Some(mistake) = mistake {
            self.findings.incomplete = true;
            self.findings.report(Problem::error(mistake.message).at(mistake.place, "here"));
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigErrors> {
        check::check(&mut self.center, &mut self.findings);
        let refused = self.findings.has_errors();
        let diagnostics = self.findings.into_diagnostics();
        if refused {
            Err(ConfigErrors { diagnostics })
        } else {
            Ok(Loaded { center: self.center, warnings: diagnostics })
        }
    }
}
