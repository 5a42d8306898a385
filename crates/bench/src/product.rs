//! The server's binary: the given one, or one that is built now.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::console::note;
use crate::settings::Settings;

/// Where the binary is. It is built unless one was given: for release, or, when only the bench
/// itself is tried, for debugging.
///
/// # Errors
/// When there is no such file, or the build fails.
pub(crate) fn binary(settings: &Settings) -> Result<PathBuf, String> {
    if let Some(path) = &settings.server {
        return path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
    }
    let kind = if settings.smoke { "debug" } else { "release" };
    note(&format!("building the {kind} binary of the server"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.current_dir(project()).args(["build", "--quiet", "--package", "keysherd-app"]);
    command.args(["--bin", "keysherd", "--message-format=json-render-diagnostics"]);
    if !settings.smoke {
        command.arg("--release");
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err("the server cannot be built".to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).ok_or_else(|| "cargo did not say where the binary is".to_owned())
}

fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "keysherd")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_in_what_cargo_says() {
        let messages = concat!(
            r#"{"target":{"name":"keysherd-base"},"executable":null}"#,
            "\nno message\n",
            r#"{"target":{"name":"keysherd"},"executable":"/x/keysherd"}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/x/keysherd")));
        assert_eq!(executable(""), None);
    }
}
