//! The text of a configuration file, and places in it.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// One file, with an index of its lines so that a place is found without reading the text again.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

/// A stretch of a file, in bytes. Small, because every reference of a large center keeps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// The file's place in the list of sources.
    pub(super) file: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { name, text, lines }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(super) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.line_of(at);
        let column = self.text.get(self.lines[line]..at).map_or(0, |before| before.chars().count());
        (line + 1, column + 1)
    }

    /// The part of a stretch that stands on its first line, and at least one character: carets under several lines
    /// help nobody.
    pub(super) fn first_line_of(&self, place: Place) -> Range<usize> {
        let start = self.text.floor_char_boundary((place.start as usize).min(self.text.len()));
        let rest = &self.text[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let end = (place.end as usize).min(line_end);
        let visible = start + self.text[start..end.max(start)].trim_end().len();
        start..visible.max(start + rest.chars().next().map_or(0, char::len_utf8).min(line_end - start))
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        if span.offset() + span.len() > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let first = self.line_of(span.offset()).saturating_sub(context_lines_before);
        let last = self.line_of(span.offset() + span.len().saturating_sub(1)) + context_lines_after;
        let end = self.lines.get(last + 1).copied().unwrap_or(self.text.len());
        // Without lines before, the contract of the trait is to start at the span itself.
        let (start, column) = match context_lines_before {
            0 => (span.offset(), self.line_and_column(span.offset()).1 - 1),
            _ => (self.lines[first], 0),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[start..end.max(start)],
            (start, end.max(start) - start).into(),
            first,
            column,
            last.min(self.lines.len() - 1) + 1 - first,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_carets_stay_on_their_line() {
        let source = Source::new("a.yaml".into(), "name: Иван\nspec:\n  rings: 4\n".into());
        assert_eq!(source.line_and_column(source.text.find("ван").unwrap()), (1, 8));
        assert_eq!(source.line_and_column(source.text.find('4').unwrap()), (3, 10));
        let whole = Place { file: 0, start: 6, end: source.text.len() as u32 };
        assert_eq!(&source.text[source.first_line_of(whole)], "Иван");
        let past_the_end = Place { file: 0, start: 1_000, end: 1_000 };
        assert!(source.first_line_of(past_the_end).is_empty());
    }
}
