//! The text of a configuration file, and places in it.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// One file, with an index of its lines so that a place is found without reading the text again.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// As it is shown: with stars in the place of passwords (Spec: SE-5), otherwise as it is, byte for byte.
    text: String,
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
    pub(super) fn new(name: String, text: &str) -> Self {
        let text = masked(text);
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

/// Stars over whatever follows `password:` and `plain:`, up to the end of the value. Works on the text alone, because a
/// file that is no YAML is shown too. A value that stands on the next lines is recognised by its indentation.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // While a value goes on over lines: how far its key is indented.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|key| indent > key || line.trim().is_empty()) {
            push_stars(&mut shown, line);
            continue;
        }
        block = mask_line(&mut shown, line).then_some(indent);
    }
    shown
}

/// Whether the line ends with a secret key whose value is yet to come.
fn mask_line(shown: &mut String, line: &str) -> bool {
    let mut rest = line;
    while let Some((before, value)) = split_after_secret_key(rest) {
        shown.push_str(before);
        let value_end = match value.chars().next() {
            // The map of `password: { … }`, or the next key.
            Some('{') => 0,
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
            _ => value[..value.find([',', '}', '\n', '\r']).unwrap_or(value.len())].trim_end().len(),
        };
        push_stars(shown, &value[..value_end]);
        rest = &value[value_end..];
        if matches!(&value[..value_end], "" | "|" | ">" | "|-" | ">-") && !value.starts_with('{') {
            shown.push_str(rest);
            return before.trim_end().ends_with("plain:");
        }
    }
    shown.push_str(rest);
    false
}

/// Divides a text after the first `password:` or `plain:` and the spaces behind it.
fn split_after_secret_key(text: &str) -> Option<(&str, &str)> {
    let key = |word: &str| text.find(word).map(|at| at + word.len());
    let mut at = [key("password:"), key("plain:"), key("plain\":"), key("plain':")].into_iter().flatten().min()?;
    at += text[at..].len() - text[at..].trim_start_matches(' ').len();
    Some(text.split_at(at))
}

fn push_stars(shown: &mut String, secret: &str) {
    shown.extend(secret.bytes().map(|byte| if byte == b'\n' || byte == b'\r' { byte as char } else { '*' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SE-5
    #[test]
    fn se_5_passwords_are_masked_wherever_a_line_is_shown() {
        for (written, shown) in [
            (
                "{ username: anna, password: { plain: s3cret }, kind: x }",
                "{ username: anna, password: { plain: ****** }, kind: x }",
            ),
            ("password: { plain: \"a, b\" }", "password: { plain: ****** }"),
            ("password: s3cret\nkind: x\n", "password: ******\nkind: x\n"),
            ("password:\n  plain: s3cret # ours\nkind: x", "password:\n  plain: *************\nkind: x"),
            ("plain: |\n  s3cret\n\n  more\nkind: x", "plain: *\n********\n\n******\nkind: x"),
            ("password: { env: ANNA }", "password: { env: ANNA }"),
            ("password: { plain: ключ", "password: { plain: ********"),
        ] {
            let masked = masked(written);
            assert_eq!(masked, shown);
            assert_eq!(masked.len(), written.len());
        }
    }

    #[test]
    fn columns_count_characters_and_carets_stay_on_their_line() {
        let source = Source::new("a.yaml".into(), "name: Иван\nspec:\n  rings: 4\n");
        assert_eq!(source.line_and_column(source.text.find("ван").unwrap()), (1, 8));
        assert_eq!(source.line_and_column(source.text.find('4').unwrap()), (3, 10));
        let whole = Place { file: 0, start: 6, end: source.text.len() as u32 };
        assert_eq!(&source.text[source.first_line_of(whole)], "Иван");
        let past_the_end = Place { file: 0, start: 1_000, end: 1_000 };
        assert!(source.first_line_of(past_the_end).is_empty());
    }
}
