//! Which files a configuration consists of.

use std::path::{Path, PathBuf};

use super::findings::Problem;

/// Larger files are a mistake: the largest center in sight has 20 MB.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Folders within folders; ends a walk through links in a circle.
const DEPTH: usize = 16;

/// The path itself when it is a file, otherwise every `*.yaml` and `*.yml` below it, sorted. Names that begin with a dot
/// are left out: editors and mounted volumes keep second copies under them.
pub(super) fn find(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    walk(path, DEPTH, &mut files)?;
    files.sort();
    if files.is_empty() {
        let problem = Problem::error(format!("{} holds no configuration", path.display()));
        return Err(problem.help("give a file, or a folder with files named *.yaml or *.yml"));
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| Problem::error(format!("cannot read {}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The text of a file.
pub(super) fn read(file: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| Problem::error(format!("cannot read {}: {error}", file.display()));
    let bytes = std::fs::metadata(file).map_err(unreadable)?.len();
    if bytes > MOST_BYTES {
        let message = format!("{} has {bytes} bytes, more than {MOST_BYTES}", file.display());
        return Err(Problem::error(message).help("divide it into several files of a folder"));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::error(format!("{} is not UTF-8: byte {at} fits no character", file.display()))
    })
}
