//! Changing single values of a received message: every byte that is not named goes on as it came.

use super::header::Header;
use super::headers::Headers;
use super::scan::{Field, split_list};
use super::{MAX_MESSAGE, scan};
use bytes::Bytes;

/// Bytes that are replaced.
struct Change {
    start: usize,
    end: usize,
    with: Vec<u8>,
}

/// The changes to one message, which must not overlap.
pub(crate) struct Edit<'a> {
    headers: &'a Headers,
    changes: Vec<Change>,
}

impl<'a> Edit<'a> {
    pub(crate) fn new(headers: &'a Headers) -> Self {
        Edit { headers, changes: Vec::with_capacity(6) }
    }

    /// Adds a line above all others; of several the one that is added first stands first.
    pub(crate) fn add_on_top(&mut self, header: Header, value: &[u8]) {
        let at = self.headers.fields.first().map_or(0, |first| usize::from(first.name.start));
        let mut line = Vec::with_capacity(header.name().len() + value.len() + 4);
        super::builder::field(&mut line, header, value);
        self.changes.push(Change { start: at, end: at, with: line });
    }

    /// Puts `with` in the place of `part`, a slice of the message.
    pub(crate) fn replace(&mut self, part: &[u8], with: Vec<u8>) {
        let span = scan::Span::of(&self.headers.bytes, part);
        self.changes.push(Change { start: span.start.into(), end: span.end.into(), with });
    }

    /// Takes the first `count` elements of a header that is a list off, with the lines that become empty.
    pub(crate) fn remove_first(&mut self, header: Header, mut count: usize) {
        let headers = self.headers;
        for (index, field) in headers.fields.iter().enumerate().filter(|(_, field)| field.header == Some(header)) {
            if count == 0 {
                return;
            }
            let elements: Vec<&[u8]> = split_list(field.value.get(&headers.bytes)).collect();
            let (start, end) = match elements.get(count) {
                Some(first_left) => (field.value.start, scan::Span::of(&headers.bytes, first_left).start.into()),
                None => (field.name.start, self.line_end(index)),
            };
            count = count.saturating_sub(elements.len());
            self.changes.push(Change { start: start.into(), end, with: Vec::new() });
        }
    }

    /// Where the line after a field begins: names start their lines, and after the last field comes the empty line.
    fn line_end(&self, index: usize) -> usize {
        let next: Option<&Field> = self.headers.fields.get(index + 1);
        next.map_or(usize::from(self.headers.body.start) - 2, |next| next.name.start.into())
    }

    /// The changed message, cut to its Content-Length; `None` when it has become too long.
    pub(crate) fn finish(mut self) -> Option<Bytes> {
        // Stable: what is added at one place keeps its order.
        self.changes.sort_by_key(|change| change.start);
        let bytes = &self.headers.bytes[..usize::from(self.headers.body.end)];
        let mut out = Vec::with_capacity(bytes.len() + 512);
        let mut at = 0;
        for change in &self.changes {
            out.extend_from_slice(&bytes[at..change.start]);
            out.extend_from_slice(&change.with);
            at = change.end;
        }
        out.extend_from_slice(&bytes[at..]);
        (out.len() <= MAX_MESSAGE).then(|| out.into())
    }
}
