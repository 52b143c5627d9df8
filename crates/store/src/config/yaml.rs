//! YAML as a tree in which every node knows its place, so that any mistake found later can be shown where it stands.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::source::Place;

/// Deeper nesting is a mistake: the deepest object has five levels.
const DEPTH: usize = 16;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node is. Types are the decoder's business: a plain `201` is text that may become a number or an extension.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Text {
        text: String,
        /// In quotes, or a block: certainly not meant as a number.
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

/// A mistake in the YAML itself; reading the file ends with it.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) place: Place,
}

/// Reads the documents of a file, one at a time: all of them at once would be many times their text. Empty documents are
/// left out, and nothing comes after a mistake.
pub(super) fn documents(text: &str, file: u32) -> impl Iterator<Item = Result<Node, SyntaxError>> {
    let options =
        granit_parser::options! { flow_nesting_limit: DEPTH, block_nesting_limit: DEPTH, emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Some(Reader { parser, text, file });
    std::iter::from_fn(move || {
        loop {
            match reader.as_mut()?.document() {
                Ok(Some(node)) if matches!(node.value, Value::Null) => {}
                Ok(Some(node)) => return Some(Ok(node)),
                Ok(None) => reader = None,
                Err(error) => {
                    reader = None;
                    return Some(Err(error));
                }
            }
        }
    })
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    text: &'a str,
    file: u32,
}

impl<'a> Reader<'a> {
    /// The next document, or `None` at the end of the file.
    fn document(&mut self) -> Result<Option<Node>, SyntaxError> {
        while let Some(event) = self.next()? {
            match event {
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(None),
                (event, span) => return self.node(event, span).map(Some),
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, SyntaxError> {
        self.parser.next_event().transpose().map_err(|error| self.syntax(&error))
    }

    fn expect(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        let place = Place { file: self.file, start: self.text.len() as u32, end: self.text.len() as u32 };
        self.next()?.ok_or(SyntaxError { message: "the file ends too early".into(), place })
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, SyntaxError> {
        let place = self.place(span);
        let value = match event {
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _)
                if anchor != 0 =>
            {
                let mut error = self.refused("anchors (`&name`) are not supported", span);
                let before = &self.text[..error.place.start as usize];
                error.place.start = before.rfind('&').map_or(error.place.start, |at| at as u32);
                return Err(error);
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => {
                return Err(self.refused("tags (`!name`) are not supported", span));
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Value::Null,
            Event::Scalar(text, style, ..) => {
                Value::Text { text: text.into_owned(), quoted: !matches!(style, ScalarStyle::Plain) }
            }
            Event::SequenceStart(..) => return self.list(place),
            Event::MappingStart(..) => return self.map(place),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(self.refused("aliases (`*name`) are not supported; write `*` in quotes", span));
            }
            other => return Err(self.refused(&format!("unexpected {other:?}"), span)),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, mut place: Place) -> Result<Node, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.expect()? {
                (Event::SequenceEnd, span) => {
                    place.end = place.end.max(self.place(span).end);
                    return Ok(Node { place, value: Value::List(items) });
                }
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self, mut place: Place) -> Result<Node, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            match self.expect()? {
                (Event::MappingEnd, span) => {
                    place.end = place.end.max(self.place(span).end);
                    return Ok(Node { place, value: Value::Map(entries) });
                }
                (event, span) => {
                    let key = self.node(event, span)?;
                    let Value::Text { text, .. } = key.value else {
                        return Err(self.refused("a key must be a word", span));
                    };
                    let (event, span) = self.expect()?;
                    let value = self.node(event, span)?;
                    entries.push(Entry { key: text, key_place: key.place, value });
                }
            }
        }
    }

    fn place(&self, span: Span) -> Place {
        let byte = |marker: granit_parser::Marker| {
            let end = self.text.len();
            marker.byte_offset().map_or(end, |at| at.min(end)) as u32
        };
        Place { file: self.file, start: byte(span.start), end: byte(span.end) }
    }

    fn refused(&self, message: &str, span: Span) -> SyntaxError {
        SyntaxError { message: message.into(), place: self.place(span) }
    }

    fn syntax(&self, error: &ScanError) -> SyntaxError {
        let place = self.place(Span::empty(*error.marker()));
        SyntaxError { message: format!("this is not YAML: {}", error.info()), place }
    }
}

/// The core schema's spellings of nothing (YAML 1.2.2 §10.3.2).
fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}
