//! How answers are written: tables for people, JSON for programs.

use std::io::{self, Write};

pub(super) use carillon_acd::time::lasting;
use clap::ValueEnum;
use comfy_table::{Cell, Color, Table, presets};
use serde::Serialize;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people; its columns may change.
    Table,
    /// For programs.
    Json,
}

/// A table without lines, so that it can be cut and searched.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(Cell::new).collect::<Vec<_>>());
    table.enforce_styling();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Adds a row.
pub(super) fn add(table: &mut Table, row: impl IntoIterator<Item = String>) {
    add_coloured(table, row.into_iter().map(|text| (text, None)));
}

/// Adds a row some of whose cells stand out, on a terminal and off it: whoever draws has decided whether to.
pub(super) fn add_coloured(table: &mut Table, row: impl IntoIterator<Item = (String, Option<Color>)>) {
    let cell = |(text, colour): (String, Option<Color>)| {
        let cell = Cell::new_owned(printable(text));
        colour.map_or(cell.clone(), |colour| cell.fg(colour))
    };
    table.add_row(row.into_iter().map(cell).collect::<Vec<_>>());
}

/// Callers choose their own names: none may steer the terminal.
pub(super) fn printable(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}

/// Writes a table, or one line that says why there is none.
pub(super) fn write_table(out: &mut impl Write, table: &Table, empty: &str) -> io::Result<()> {
    if table.is_empty() { writeln!(out, "{empty}") } else { writeln!(out, "{}", table.trim_fmt()) }
}

/// Writes a value as indented JSON.
pub(super) fn write_json(out: &mut impl Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// The word for a value of an enum of the API: `on_break` for `AVAILABILITY_ON_BREAK` and the prefix `AVAILABILITY_`.
pub(super) fn word(value: &str, prefix: &str) -> String {
    value.strip_prefix(prefix).unwrap_or(value).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_words() {
        assert_eq!(word("AVAILABILITY_ON_BREAK", "AVAILABILITY_"), "on_break");
        assert_eq!(word("CAUSE_NORMAL", "CAUSE_"), "normal");
    }

    #[test]
    fn se_6_a_callers_name_cannot_steer_the_terminal() {
        let mut table = table(&["FROM"]);
        add(&mut table, ["\u{1b}[2Jx\ny".to_owned()]);
        assert_eq!(table.trim_fmt(), "FROM\n\u{fffd}[2Jx\u{fffd}y");
    }

    #[test]
    fn a_table_begins_at_the_left_and_ends_without_blanks() {
        let mut table = table(&["AGENT", "FOR"]);
        add(&mut table, ["anna", "7s"].map(String::from));
        let mut out = Vec::new();
        write_table(&mut out, &table, "nobody").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "AGENT  FOR\nanna   7s\n");
    }
}
