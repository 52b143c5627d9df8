//! A document without its places and comments: what is kept of an object, compared, and written again as YAML.

use std::fmt::Write as _;

use super::yaml::{Entry, Node, Value};

/// Lists and maps of words that fit into so many characters stand on one line.
const LINE: usize = 100;

/// A value as it was written.
#[derive(Clone)]
pub(super) enum Tree {
    Text {
        text: String,
        /// Without quotes, as a number must be.
        plain: bool,
    },
    List(Vec<Tree>),
    /// In the order in which it was written.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Tree::Text { text: text.into(), plain: true }
    }

    /// `None` for nothing: a field that is null is absent.
    pub(super) fn of(node: &Node) -> Option<Tree> {
        Some(match &node.value {
            Value::Null => return None,
            Value::Text { text, quoted } => Tree::Text { text: text.clone(), plain: !quoted },
            Value::List(items) => Tree::List(items.iter().filter_map(Tree::of).collect()),
            Value::Map(entries) => {
                let field = |entry: &Entry| Some((entry.key.clone(), Tree::of(&entry.value)?));
                Tree::Map(entries.iter().filter_map(field).collect())
            }
        })
    }

    pub(super) fn get(&self, field: &str) -> Option<&Tree> {
        match self {
            Tree::Map(fields) => fields.iter().find(|(name, _)| name == field).map(|(_, value)| value),
            Tree::Text { .. } | Tree::List(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, field: &str) -> Option<&mut Tree> {
        match self {
            Tree::Map(fields) => fields.iter_mut().find(|(name, _)| name == field).map(|(_, value)| value),
            Tree::Text { .. } | Tree::List(_) => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Tree::Text { text, .. } => Some(text),
            Tree::List(_) | Tree::Map(_) => None,
        }
    }

    pub(super) fn items_mut(&mut self) -> &mut [Tree] {
        match self {
            Tree::List(items) => items,
            Tree::Text { .. } | Tree::Map(_) => &mut [],
        }
    }

    /// Whether both mean the same: the order of fields does not matter, nor do quotes, except around a number.
    pub(super) fn means(&self, other: &Tree) -> bool {
        match (self, other) {
            (Tree::Text { text, plain }, Tree::Text { text: other, plain: also }) => {
                text == other && (plain == also || text.parse::<i64>().is_err())
            }
            (Tree::List(items), Tree::List(others)) => {
                items.len() == others.len() && items.iter().zip(others).all(|(item, other)| item.means(other))
            }
            (Tree::Map(fields), Tree::Map(others)) => {
                let same = |(name, value): &(String, Tree)| other.get(name).is_some_and(|other| value.means(other));
                fields.len() == others.len() && fields.iter().all(same)
            }
            (Tree::Text { .. } | Tree::List(_) | Tree::Map(_), _) => false,
        }
    }

    /// On one line.
    pub(super) fn flow(&self) -> String {
        let mut line = String::new();
        self.write_flow(&mut line);
        line
    }

    fn write_flow(&self, out: &mut String) {
        match self {
            Tree::Text { text, plain } => write_text(text, *plain, out),
            Tree::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n > 0 { ", " } else { "" });
                    item.write_flow(out);
                }
                out.push(']');
            }
            Tree::Map(fields) if fields.is_empty() => out.push_str("{}"),
            Tree::Map(fields) => {
                for (n, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if n > 0 { ", " } else { "{ " });
                    write_text(name, true, out);
                    out.push_str(": ");
                    value.write_flow(out);
                }
                out.push_str(" }");
            }
        }
    }

    /// As a document, without the line that divides documents.
    pub(super) fn document(&self) -> String {
        let mut text = String::new();
        match self {
            Tree::Map(fields) if !fields.is_empty() => write_fields(fields, 0, &mut text),
            Tree::Text { .. } | Tree::List(_) | Tree::Map(_) => {
                self.write_flow(&mut text);
                text.push('\n');
            }
        }
        text
    }
}

/// The outer maps of a document stand in lines of their own; below, what fits stands on one line.
fn write_fields(fields: &[(String, Tree)], depth: usize, out: &mut String) {
    for (name, value) in fields {
        let _infallible = write!(out, "{:1$}", "", 2 * depth);
        write_text(name, true, out);
        out.push(':');
        write_value(value, depth, out);
    }
}

fn write_value(value: &Tree, depth: usize, out: &mut String) {
    match value {
        Tree::Map(fields) if !fields.is_empty() && (depth == 0 || !fits(value)) => {
            out.push('\n');
            write_fields(fields, depth + 1, out);
        }
        Tree::List(items) if items.iter().any(|item| item.as_str().is_none()) => {
            out.push('\n');
            for item in items {
                let _infallible = writeln!(out, "{:1$}- {2}", "", 2 * (depth + 1), item.flow());
            }
        }
        Tree::Text { .. } | Tree::List(_) | Tree::Map(_) => {
            let _infallible = writeln!(out, " {}", value.flow());
        }
    }
}

fn fits(value: &Tree) -> bool {
    value.flow().len() <= LINE
}

/// Without quotes only what means the same everywhere in YAML.
fn write_text(text: &str, plain: bool, out: &mut String) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    let begins = |byte: u8| byte.is_ascii_alphanumeric() || (b"+-".contains(&byte) && text.len() > 1);
    let is_number = || text.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit());
    let is_bare = text.bytes().next().is_some_and(begins)
        && text.bytes().all(good)
        && (text.as_bytes()[0].is_ascii_alphanumeric() || is_number())
        && !matches!(text, "null" | "Null" | "NULL");
    if plain && is_bare {
        out.push_str(text);
    } else {
        // A JSON string is a YAML string (YAML 1.2.2 §1.2).
        out.push_str(&serde_json::to_string(text).expect("a text is always JSON"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn tree(text: &str) -> Tree {
        let document = yaml::documents(text, 0).next().unwrap();
        Tree::of(&document.unwrap_or_else(|mistake| panic!("{text}: {}", mistake.message))).unwrap()
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        for text in [
            "kind: Queue\nname: support\nspec:\n  rings: 04\n  extension: \"0201\"\n  agents: [anna, piotr]\n",
            "a: \"null\"\nb: \"12\"\nc: 12\nd: -3\ne: +4\nf: \"- x\"\ng: \"{ a: b }\"\nh: 'it''s'\n",
            "exits: { \"*\": hang_up, '#': callback, 1: { queue: sales } }\n",
            "text: |\n  two\n  lines, \"quoted\"\nplain: one\n  folded line: no\n".replace(": no", " no").as_str(),
            "devices:\n  - { username: anna, password: { env: ANNA } }\n  - contact: \"sip:a@192.0.2.1;transport=tcp\"\n",
            "empty: []\nnone: {}\nunicode: Иван 🎵\ncolon: \"a: b #c\"\n",
        ] {
            let first = tree(text);
            let written = first.document();
            let again = tree(&written);
            assert!(first.means(&again), "{text}\n{written}");
            assert_eq!(again.document(), written, "it is written in one way only");
        }
    }

    #[test]
    fn the_order_of_fields_and_quotes_around_words_mean_nothing() {
        assert!(tree("{ a: x, b: [1, 2] }").means(&tree("{ b: [1, 2], a: \"x\", c: null }")));
        for other in
            ["{ a: x, b: [2, 1] }", "{ a: x }", "{ a: y, b: [1, 2] }", "{ a: x, b: [1, \"2\"] }", "{ a: x, b: 1 }"]
        {
            assert!(!tree("{ a: x, b: [1, 2] }").means(&tree(other)), "{other}");
        }
    }
}
