//! Configurations as people write them: what is right is read, what is wrong is shown as they see it.
//!
//! `tests/bad/NAME.yaml` (a file or a folder) is refused with the text of `NAME.stderr`; `tests/doubtful/NAME.yaml` is read
//! with the warnings of `NAME.stderr`. `UPDATE=1` rewrites the texts: read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_store::config::{self, Access, Loaded};

/// Every configuration of a folder, sorted.
fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(Path::new("tests").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {folder}");
    cases
}

/// Compares with the expected text beside the case, or rewrites it.
fn compare(case: &Path, found: &str) -> Result<(), String> {
    let file = case.with_extension("stderr");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, found).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected == found { Ok(()) } else { Err(format!("{}\nexpected:\n{expected}\nfound:\n{found}", case.display())) }
}

// spec: OB-4, OB-6, RT-5, UN-5, UN-6, SE-1
#[test]
fn every_mistake_is_shown_with_its_place_and_a_suggestion() {
    let failures: Vec<String> = cases("bad")
        .iter()
        .filter_map(|case| match config::load(case) {
            Ok(_) => Some(format!("{} is accepted", case.display())),
            Err(errors) => compare(case, &errors.to_string()).err(),
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// spec: UN-3, UN-5
#[test]
fn doubtful_configurations_are_read_with_warnings() {
    let failures: Vec<String> = cases("doubtful")
        .iter()
        .filter_map(|case| match config::load(case) {
            Ok(Loaded { warnings, .. }) => compare(case, &config::render(&warnings, false)).err(),
            Err(errors) => Some(format!("{} is refused:\n{errors}", case.display())),
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_example_center_is_read_without_a_warning() {
    let text = include_str!("../../../examples/center/center.yaml");
    let Loaded { center, warnings } = config::load_str("center.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(warnings.is_empty(), "{}", config::render(&warnings, false));
    assert_eq!((center.queues.len(), center.agents.len(), center.numbers.len()), (2, 8, 1));
    for agent in &center.agents {
        assert!(matches!(&agent.devices[0].access, Access::Registers { .. }), "{agent:?}");
    }
}

// spec: SE-5
#[test]
fn se_5_a_password_does_not_appear_in_debug_output() {
    let text = include_str!("../../../examples/center/center.yaml");
    let loaded = config::load_str("center.yaml", text).unwrap();
    let shown = format!("{loaded:?}");
    assert!(shown.contains("***") && !shown.contains("anna-secret"), "{shown}");
}
