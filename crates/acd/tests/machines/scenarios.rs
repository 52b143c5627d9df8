//! Runs the text scenarios of `tests/scenarios/*.txt` on the pure machines and compares what happens with what the file
//! says. `UPDATE=1 cargo test -p carillon-acd --test machines` writes what happened into the files instead; read the
//! difference before you commit it.
//!
//! A file is a list of blocks: commands, a line `----`, and what they lead to. `#` begins a comment, and `# spec: QU-1`
//! says which rules the file proves. The commands are in `script.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::script::Script;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("tests/scenarios exists")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

/// The file as it should read: its own commands and comments, with the results of this run.
fn replay(text: &str, name: &str) -> String {
    let mut script = Script::default();
    let mut result = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let words = line.split('#').next().unwrap_or_default().trim();
        if line == "----" {
            while lines.next_if(|(_, expected)| !expected.is_empty()).is_some() {}
            for happened in script.take() {
                result.push_str(&happened);
                result.push('\n');
            }
        } else if !words.is_empty()
            && let Err(problem) = script.run(words)
        {
            panic!("{name}:{}: {problem}: {line}", number + 1);
        }
    }
    assert!(script.take().is_empty(), "{name}: the last commands have no `----` after them");
    result
}

#[test]
fn the_scenarios_happen_as_written() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let expected = fs::read_to_string(&file).unwrap();
        let happened = replay(&expected, &name);
        if expected == happened {
            continue;
        }
        if update {
            fs::write(&file, happened).unwrap();
        } else {
            let (line, (was, is)) = (1..)
                .zip(expected.lines().zip(happened.lines()))
                .find(|(_, (a, b))| a != b)
                .unwrap_or((expected.lines().count(), ("(end of file)", "(more)")));
            wrong.push(format!("{name}:{line}: expected {was:?}, happened {is:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes what happened into the files", wrong.join("\n"));
}

/// The rules that this room is to show by scenarios.
const RULES: [&str; 33] = [
    "QU-1", "QU-2", "QU-3", "QU-4", "QU-5", "QU-6", "QU-7", "QU-8", "QU-9", "QU-10", "QU-11", "QU-12", "UN-1", "UN-2",
    "UN-3", "UN-4", "UN-5", "UN-6", "UN-7", "UN-8", "PL-4", "PL-5", "TR-4", "TR-5", "TR-6", "OB-4", "OB-5", "OB-6",
    "RT-3", "RT-5", "RT-9", "AU-1", "CL-3",
];

#[test]
fn every_rule_has_a_scenario() {
    let shown: String = files().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let named = |rule: &str| {
        let specs = shown.lines().filter_map(|line| line.strip_prefix("# spec:"));
        specs.flat_map(|ids| ids.split(',')).any(|id| id.trim() == rule)
    };
    let missing: Vec<&str> = RULES.into_iter().filter(|rule| !named(rule)).collect();
    assert!(missing.is_empty(), "no scenario names {missing:?}");
}
