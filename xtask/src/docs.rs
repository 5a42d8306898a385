//! The generated part of `docs/reference`: written, or compared with what is committed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::console::say;
use crate::product::Product;
use crate::{census, root, v2};

/// Where the generated files are, relative to the project.
const DIRECTORY: &str = "docs/reference";
/// The pages of this directory are all generated; others are removed.
const COMMANDS: &str = "docs/reference/commands";

/// `cargo xtask docs [--check]`.
///
/// # Errors
/// With `--check` when a file is stale; otherwise when one cannot be written.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => write(&generate(&Product::build()?)?),
        [flag] if flag == "--check" => check(&Product::build()?),
        _ => Err("usage: cargo xtask docs [--check]".to_owned()),
    }
}

/// Fails when a committed file differs from what `product` describes.
///
/// # Errors
/// Names the stale files.
pub(crate) fn check(product: &Product) -> Result<(), String> {
    let files = generate(product)?;
    let project = root::project();
    let stale = stale(&project, &files)?;
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale: {}; run: cargo xtask docs", stale.join(", ")))
}

/// Path relative to the project, and text, of every generated file.
fn generate(product: &Product) -> Result<BTreeMap<String, String>, String> {
    let mut files = BTreeMap::new();
    for (name, text) in product.reference()? {
        if name.contains(['/', '\\']) || !name.ends_with(".md") {
            return Err(format!("describe-reference has a page called '{name}'"));
        }
        files.insert(format!("{COMMANDS}/{name}"), text);
    }
    files.insert(format!("{DIRECTORY}/openapi.json"), product.openapi()?);
    let unserved = census::page(&product.commands()?, &v2::endpoints()?);
    files.insert(census::PAGE.to_owned(), unserved);
    Ok(files)
}

fn write(files: &BTreeMap<String, String>) -> Result<(), String> {
    let project = root::project();
    let stale = stale(&project, files)?;
    for name in &stale {
        if let Some(text) = files.get(name) {
            root::write(&project.join(name), text)?;
            say(&format!("wrote {name}"));
        } else {
            std::fs::remove_file(project.join(name))
                .map_err(|error| format!("cannot remove {name}: {error}"))?;
            say(&format!("removed {name}"));
        }
    }
    say(&format!("{} generated files, {} changed", files.len(), stale.len()));
    Ok(())
}

/// The names of files below `project` that are missing, different, or not generated any more.
fn stale(project: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = files
        .iter()
        .filter(|(name, text)| {
            std::fs::read_to_string(project.join(name)).ok().as_ref() != Some(*text)
        })
        .map(|(name, _)| name.clone())
        .collect();
    let directory = project.join(COMMANDS);
    if directory.is_dir() {
        let entries = std::fs::read_dir(&directory)
            .map_err(|error| format!("cannot list {COMMANDS}: {error}"))?;
        let present =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left_over = present
            .map(|name| format!("{COMMANDS}/{name}"))
            .filter(|name| !files.contains_key(name));
        names.extend(left_over);
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_changed_and_left_over_files_are_stale() {
        let project = std::env::temp_dir().join(format!("keysherd-docs-{}", std::process::id()));
        root::write(&project.join("docs/reference/commands/items.md"), "old").unwrap();
        root::write(&project.join("docs/reference/commands/gone.md"), "old").unwrap();
        root::write(&project.join("docs/reference/same.json"), "{}").unwrap();
        let files = BTreeMap::from([
            ("docs/reference/commands/items.md".to_owned(), "new".to_owned()),
            ("docs/reference/commands/keys.md".to_owned(), "new".to_owned()),
            ("docs/reference/same.json".to_owned(), "{}".to_owned()),
        ]);
        let stale = stale(&project, &files).unwrap();
        std::fs::remove_dir_all(&project).unwrap();
        assert_eq!(
            stale,
            [
                "docs/reference/commands/gone.md",
                "docs/reference/commands/items.md",
                "docs/reference/commands/keys.md",
            ]
        );
    }
}
