//! The files that the rules look at: everything that is or would be tracked.

use std::path::Path;
use std::process::Command;

use super::lexer::{Lexed, lex};
use crate::process;

/// Files beyond this size are data and not read.
const FILE_SIZE_BYTES_MAX: u64 = 4 << 20;

/// The text files of the project.
pub(super) struct Tree {
    files: Vec<File>,
}

/// A text file.
pub(super) struct File {
    /// Relative to the project, with `/`.
    pub(super) path: String,
    /// Its whole text.
    pub(super) text: String,
    /// Its code and literals, for Rust.
    pub(super) rust: Option<Lexed>,
}

impl Tree {
    /// Reads the tracked files below `project`, and those that are new but not ignored.
    ///
    /// # Errors
    /// When they cannot be listed or read.
    pub(super) fn read(project: &Path) -> Result<Self, String> {
        let mut names = list(project)?;
        names.sort_unstable();
        names.dedup();
        let mut files = Vec::new();
        for name in names {
            let path = project.join(&name);
            // Listed but deleted, or a link to a directory.
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            if !meta.is_file() || meta.len() > FILE_SIZE_BYTES_MAX {
                continue;
            }
            let bytes =
                std::fs::read(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File::new(name, text));
            }
        }
        Ok(Self { files })
    }

    /// A tree of the given paths and texts.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File::new((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(file).collect() }
    }

    /// All files, by path.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files with their code.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&File, &Lexed)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }

    /// One file.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        let rust = has_extension(&path, "rs").then(|| lex(&text));
        Self { path, text, rust }
    }

    /// The name of the crate the file is in: its directory below `crates`, or the top directory.
    pub(super) fn crate_name(&self) -> &str {
        let inside = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or_default()
    }

    /// Whether the whole file is for tests only.
    pub(super) fn is_test(&self) -> bool {
        let parts = || self.path.trim_end_matches(".rs").split('/');
        parts().any(|part| part == "tests") || ["it", "testkit"].contains(&self.crate_name())
    }
}

/// Whether the name of a file ends with `.extension`.
pub(super) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// The names of the files, from git; without git, all but what builds leave behind.
fn list(project: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.current_dir(project).args(["ls-files", "-z", "-co", "--exclude-standard"]);
    if let Ok(names) = process::read(&mut git)
        && !names.is_empty()
    {
        return Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect());
    }
    let mut names = Vec::new();
    walk(project, "", &mut names).map_err(|error| format!("cannot list the files: {error}"))?;
    Ok(names)
}

fn walk(directory: &Path, prefix: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            let left_behind = ["target", ".git", "node_modules", "__pycache__"];
            if !left_behind.iter().any(|skipped| entry.file_name() == *skipped) {
                walk(&entry.path(), &format!("{name}/"), names)?;
            }
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_know_their_crate_and_whether_they_are_tests() {
        let file = |path: &str| File::new(path.to_owned(), String::new());
        assert_eq!(file("crates/store/src/items.rs").crate_name(), "store");
        assert_eq!(file("xtask/src/main.rs").crate_name(), "xtask");
        assert!(file("crates/crypto/src/aead/tests.rs").is_test());
        assert!(file("crates/it/src/items.rs").is_test());
        assert!(!file("crates/crypto/src/aead.rs").is_test());
    }

    #[test]
    fn a_tree_without_git_is_walked() {
        let project = std::env::temp_dir().join(format!("keysherd-tree-{}", std::process::id()));
        for name in ["crates/a/src/lib.rs", "target/debug/x.rs", ".gitignore"] {
            crate::root::write(&project.join(name), "//! A.\n").unwrap();
        }
        let mut names = Vec::new();
        walk(&project, "", &mut names).unwrap();
        std::fs::remove_dir_all(&project).unwrap();
        names.sort();
        assert_eq!(names, [".gitignore", "crates/a/src/lib.rs"]);
    }
}
