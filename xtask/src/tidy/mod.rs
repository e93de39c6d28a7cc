//! The laws of the house as far as the compiler does not hold them (ARCHITECTURE.md lists them).
//!
//! Every check is one function that appends sentences to a list; no list, no trouble.

mod dependencies;
mod floors;
mod laws;
mod shape;
mod tables;

use std::path::{Path, PathBuf};

use crate::run::{Outcome, note, root};

/// One file of the tree, read once for all checks.
pub(crate) struct File {
    /// Path from the root, with forward slashes.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

type Check = fn(&[File], &mut Vec<String>);

const CHECKS: &[(&str, Check)] = &[
    ("crates stand on lower floors only", floors::floors),
    ("the eight laws", laws::laws),
    ("file sizes and names", shape::shape),
    ("tables and their tests", tables::tables),
    (
        "every dependency has its reason",
        dependencies::dependencies,
    ),
];

pub(crate) fn tidy() -> Outcome {
    let files = read_tree(&root())?;
    let mut faults = Vec::new();
    for (name, check) in CHECKS {
        let before = faults.len();
        check(&files, &mut faults);
        note(&format!(
            "tidy: {name}: {}",
            match faults.len() - before {
                0 => "ok".to_owned(),
                n => format!("{n} faults"),
            }
        ));
    }
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        note(&format!("  {fault}"));
    }
    Err(format!("tidy found {} faults", faults.len()))
}

/// All text files that git knows or would know, without build products.
fn read_tree(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !["target", ".git", "cache", "corpus", "artifacts"]
                    .iter()
                    .any(|skip| name == *skip)
                {
                    folders.push(path);
                }
            } else if let Some(file) = read(root, &path) {
                files.push(file);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read(root: &Path, path: &PathBuf) -> Option<File> {
    let text = std::fs::read_to_string(path).ok()?;
    let path = path.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
    Some(File { path, text })
}

impl File {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == "rs")
    }
}

/// Lines of Rust that are neither comments nor inside the trailing `mod tests`.
pub(crate) fn code_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let end = file
        .text
        .find("\n#[cfg(test)]\nmod tests")
        .unwrap_or(file.text.len());
    file.text[..end]
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
}
