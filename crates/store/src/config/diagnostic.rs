//! Mistakes and doubts about a configuration, each with its place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, ThemeCharacters, ThemeStyles};

use super::source::Source;

/// The width that texts are wrapped at.
const WIDTH: usize = 110;

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
    /// Where; the first is the place of the mistake, others belong to it (the first of two equal extensions).
    pub(super) marks: Vec<Mark>,
    pub(super) help: Option<String>,
}

/// A marked stretch of a file and what is said about it.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
    pub(super) label: String,
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

    /// What would be right, when that can be guessed.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// File, line and column (from 1), when the mistake has a place: a missing file has none.
    pub fn place(&self) -> Option<(&str, usize, usize)> {
        let mark = self.marks.first()?;
        let (line, column) = mark.source.line_and_column(mark.span.start);
        Some((&mark.source.name, line, column))
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
    let mut characters = ThemeCharacters::unicode();
    characters.underline = '^';
    characters.underbar = '^';
    let styles = if colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(WIDTH)
        .with_links(false)
        .with_context_lines(1);
    let mut text = String::new();
    for diagnostic in diagnostics {
        handler.render_report(&mut text, &Report::of(diagnostic)).expect("writing into a String cannot fail");
        text.push('\n');
    }
    text
}

/// A diagnostic in the form that miette draws: one file each, marks in other files as reports of their own.
#[derive(Debug)]
struct Report<'a> {
    message: &'a str,
    severity: miette::Severity,
    help: Option<&'a str>,
    marks: Vec<&'a Mark>,
    elsewhere: Vec<Report<'a>>,
}

impl<'a> Report<'a> {
    fn of(diagnostic: &'a Diagnostic) -> Self {
        let same_file =
            |mark: &&Mark| diagnostic.marks.first().is_none_or(|first| Arc::ptr_eq(&first.source, &mark.source));
        let (marks, others): (Vec<_>, Vec<_>) = diagnostic.marks.iter().partition(same_file);
        let severity = match diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        };
        let elsewhere = |mark: &'a Mark| Report {
            message: &mark.label,
            severity: miette::Severity::Advice,
            help: None,
            marks: vec![mark],
            elsewhere: Vec::new(),
        };
        Report {
            message: &diagnostic.message,
            severity,
            help: diagnostic.help.as_deref(),
            marks,
            elsewhere: others.into_iter().map(elsewhere).collect(),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.marks.first().map(|mark| &*mark.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.marks.iter().enumerate().map(|(n, mark)| {
            let (label, span) = (Some(mark.label.clone()), mark.span.clone());
            if n == 0 {
                LabeledSpan::new_primary_with_span(label, span)
            } else {
                LabeledSpan::new_with_span(label, span)
            }
        });
        Some(Box::new(labels))
    }

    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        Some(Box::new(self.elsewhere.iter().map(|report| report as &dyn miette::Diagnostic)))
    }
}
