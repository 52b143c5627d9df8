//! The rules of `crates/README.md` that a machine can check: pure crates stay pure, dependencies point one way.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{cargo_output, metadata, root};

/// Crates that decide and do nothing else.
const PURE: [&str; 3] = ["acd", "sip", "media"];

/// Folders that decide and do nothing else, inside crates that do more; and what none of their files may name.
const PURE_FOLDERS: [&str; 1] = ["crates/cluster/src/ownership"];
const IMPURE_WORDS: [&str; 5] = ["tokio", "Instant", "SystemTime", "rand::", "std::thread"];

/// What must not be anywhere below a pure crate: a runtime, sockets, randomness.
const IMPURE: [&str; 6] = ["tokio", "mio", "socket2", "rand", "getrandom", "ractor"];

/// What a pure crate's `clippy.toml` must refuse.
const CLOCKS: [&str; 2] = ["std::time::Instant::now", "std::time::SystemTime::now"];

/// Which of our crates each may use. A crate that is not here is refused, so that a new one is thought about.
const DIRECTIONS: [(&str, &[&str]); 15] = [
    ("acd", &[]),
    ("sip", &[]),
    ("media", &[]),
    ("rpc", &["acd"]),
    ("store", &["acd"]),
    ("cluster", &["acd"]),
    ("edge", &["acd", "sip", "media"]),
    ("actors", &["acd", "rpc", "store", "cluster"]),
    ("api", &["acd", "rpc", "store", "actors"]),
    ("simulate", &["acd"]),
    ("carillon", &["acd", "media", "rpc", "store", "cluster", "edge", "actors", "api", "simulate"]),
    ("tests", &[]),
    ("simulation", &["acd", "simulate"]),
    ("turmoil", &["acd", "rpc", "cluster", "actors", "carillon"]),
    ("xtask", &[]),
];

/// Fails with every rule that is broken.
pub(crate) fn check() -> Result<()> {
    let mut broken = directions(&metadata()?)?;
    for name in PURE {
        broken.extend(impure_dependencies(name)?);
        broken.extend(unguarded_clocks(name)?);
    }
    for folder in PURE_FOLDERS {
        impure_words(&root().join(folder), &mut broken)?;
    }
    if broken.is_empty() {
        println!("purity: {} are pure, and all dependencies point the right way", PURE.join(", "));
        return Ok(());
    }
    bail!("purity:\n  {}", broken.join("\n  "))
}

fn impure_dependencies(name: &str) -> Result<Vec<String>> {
    let package = format!("carillon-{name}");
    let tree =
        cargo_output(&["tree", "--package", &package, "--edges", "normal", "--prefix", "none", "--format", "{p}"])?;
    let below = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = below.filter(|crate_name| IMPURE.contains(crate_name)).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(|bad| format!("{package} depends on {bad}")).collect())
}

fn impure_words(folder: &Path, broken: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            impure_words(&path, broken)?;
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let found = IMPURE_WORDS.iter().filter(|word| text.contains(**word));
        broken.extend(found.map(|word| format!("{} names {word}", path.display())));
    }
    Ok(())
}

fn unguarded_clocks(name: &str) -> Result<Vec<String>> {
    let path = root().join("crates").join(name).join("clippy.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let missing = CLOCKS.iter().filter(|clock| !text.contains(**clock));
    Ok(missing.map(|clock| format!("crates/{name}/clippy.toml does not refuse {clock}")).collect())
}

fn directions(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut broken = Vec::new();
    for package in packages {
        let Some(user) = ours(&package["name"]) else { continue };
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| *name == user) else {
            broken.push(format!("{user} has no place in the directions of crates/xtask/src/purity.rs"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        // Tests may use what the crate itself may not.
        let used = dependencies.iter().filter(|d| d["kind"].is_null()).filter_map(|d| ours(&d["name"]));
        broken.extend(used.filter(|u| !allowed.contains(u)).map(|u| format!("{user} depends on {u}")));
    }
    Ok(broken)
}

/// `acd` of `carillon-acd`; `None` for other people's crates.
fn ours(name: &Value) -> Option<&str> {
    let name = name.as_str()?;
    if name == "carillon" { Some(name) } else { name.strip_prefix("carillon-") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let list: Vec<Value> = dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "dependencies": list })
    }

    #[test]
    fn a_dependency_against_the_direction_is_named() {
        let metadata = json!({ "packages": [
            package("carillon-acd", &[("serde", None), ("carillon-sip", Some("dev"))]),
            package("carillon-edge", &[("carillon-acd", None), ("carillon-actors", None)]),
            package("carillon-helpers", &[]),
        ]});
        let broken = directions(&metadata).unwrap();
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert_eq!(broken[0], "edge depends on actors");
        assert!(broken[1].starts_with("helpers has no place"));
    }
}
