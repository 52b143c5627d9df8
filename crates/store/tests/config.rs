//! Configurations as people write them: what is right is read, what is wrong is shown as they see it.
//!
//! `tests/bad/NAME.yaml` (a file or a folder) is refused with the text of `NAME.stderr`; `tests/doubtful/NAME.yaml` is read
//! with the warnings of `NAME.stderr`. `UPDATE=1` rewrites the texts: read the difference before you commit it.

#![allow(clippy::unwrap_used, reason = "the helpers of a test")]

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
    let Loaded { center, warnings, .. } =
        config::load_str("center.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
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

// spec: SE-6
#[test]
fn se_6_a_damaged_file_is_read_or_refused_and_never_crashes() {
    let text = include_str!("../../../examples/center/center.yaml").as_bytes();
    // Knuth's multiplier: any sequence will do, as long as it is the same tomorrow.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let replacements = b"{}[]:,-&*!|>'\"#%@`\n\t ~0\xd0";
    for _ in 0..1_000 {
        let mut damaged = text.to_vec();
        for _ in 0..=random(4) {
            let at = random(damaged.len());
            match random(3) {
                0 => damaged[at] = replacements[random(replacements.len())],
                1 => drop(damaged.drain(at..(at + random(40)).min(text.len() / 2).max(at))),
                _ => damaged.insert(at, replacements[random(replacements.len())]),
            }
        }
        if let Err(errors) = config::load_str("damaged.yaml", &String::from_utf8_lossy(&damaged)) {
            assert!(!errors.to_string().is_empty());
        }
    }
}

/// 20,000 agents in 10,000 queues of 20, in one file per kind.
#[test]
fn a_large_center_is_read_whole() {
    use std::fmt::Write;

    let dir = tempfile::tempdir().unwrap();
    let mut agents = String::new();
    for n in 0..20_000 {
        writeln!(agents, "---\nkind: Agent\nname: agent-{n}\nspec:\n  display_name: Agent {n}").unwrap();
        writeln!(agents, "  devices:\n    - {{ username: agent-{n}, password: {{ plain: secret-{n} }} }}").unwrap();
    }
    let mut queues = String::new();
    for n in 0..10_000 {
        let list: Vec<String> = (0..20).map(|k| format!("agent-{}", (n * 2 + k) % 20_000)).collect();
        writeln!(queues, "---\nkind: Queue\nname: queue-{n}\nspec:\n  rings: 4\n  agents: [{}]", list.join(", "))
            .unwrap();
        // One chain through all queues, closed to a circle.
        writeln!(queues, "  unanswered: {{ queue: queue-{} }}", (n + 1) % 10_000).unwrap();
    }
    fs::write(dir.path().join("agents.yaml"), agents).unwrap();
    fs::write(dir.path().join("queues.yaml"), queues).unwrap();
    let Loaded { center, warnings, .. } = config::load(dir.path()).unwrap();
    assert_eq!((center.agents.len(), center.queues.len(), warnings.len()), (20_000, 10_000, 1));
    assert_eq!(center.queues[9_999].agents[19].name.as_str(), "agent-17");
}
