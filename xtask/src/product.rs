//! The product's own binary: built for debugging, and asked what it serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::console::say;
use crate::{process, root};

/// The built binary.
pub(crate) struct Product {
    binary: PathBuf,
}

/// A command as `describe-commands` prints it; only what the tasks need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Its current name.
    pub(crate) name: String,
    /// Its older names.
    pub(crate) aliases: Vec<String>,
}

impl Product {
    /// Builds the binary, unless `KEYSHERD_BINARY` names one that is to be used.
    ///
    /// # Errors
    /// When the build fails.
    pub(crate) fn build() -> Result<Self, String> {
        if let Some(binary) = std::env::var_os("KEYSHERD_BINARY") {
            return Ok(Self { binary: PathBuf::from(binary) });
        }
        say("building the keysherd binary");
        let mut command = Command::new(cargo());
        command
            .current_dir(root::project())
            .args(["build", "--quiet", "--package", "keysherd-app", "--bin", "keysherd"])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit());
        let messages = process::read(&mut command)?;
        let binary = executable(&messages).ok_or("cargo did not say where the binary is")?;
        Ok(Self { binary: PathBuf::from(binary) })
    }

    /// Where the binary is.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The list of commands, as JSON text.
    ///
    /// # Errors
    /// When the binary does not print it.
    pub(crate) fn commands_text(&self) -> Result<String, String> {
        self.describe(&["describe-commands", "--json"])
    }

    /// The list of commands.
    ///
    /// # Errors
    /// When the binary does not print it or it is not as expected.
    pub(crate) fn commands(&self) -> Result<Vec<Served>, String> {
        served(&self.commands_text()?).map_err(|error| format!("describe-commands: {error}"))
    }

    /// The OpenAPI document, indented, with a line end.
    ///
    /// # Errors
    /// When the binary does not print it or it is no JSON.
    pub(crate) fn openapi(&self) -> Result<String, String> {
        let text = self.describe(&["describe-openapi"])?;
        let failed = |error| format!("describe-openapi: {error}");
        let document: Value = serde_json::from_str(&text).map_err(failed)?;
        let mut pretty = serde_json::to_string_pretty(&document).map_err(failed)?;
        pretty.push('\n');
        Ok(pretty)
    }

    /// The reference pages: file name below `commands/` to Markdown.
    ///
    /// # Errors
    /// When the binary does not print them.
    pub(crate) fn reference(&self) -> Result<BTreeMap<String, String>, String> {
        let text = self.describe(&["describe-reference"])?;
        serde_json::from_str(&text).map_err(|error| format!("describe-reference: {error}"))
    }

    fn describe(&self, words: &[&str]) -> Result<String, String> {
        process::read(Command::new(&self.binary).args(words))
    }
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The path of the binary in cargo's messages.
pub(crate) fn executable(messages: &str) -> Option<String> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "keysherd")
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
}

fn served(text: &str) -> Result<Vec<Served>, String> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    list.iter()
        .map(|spec| {
            let name = |value: &Value| value["name"].as_str().map(str::to_owned);
            let aliases = spec["aliases"].as_array().ok_or("a command has no 'aliases'")?;
            Ok(Served {
                name: name(spec).ok_or("a command has no 'name'")?,
                aliases: aliases.iter().filter_map(name).collect(),
            })
        })
        .collect()
}

#[cfg(test)]
pub(crate) fn sample() -> Vec<Served> {
    let text = r#"[
        {"name":"auth","aliases":[],"success":200,"reply":"AuthOutput"},
        {"name":"create-dfc-key","success":200,"reply":"CreateDFCKeyOutput",
         "aliases":[{"name":"create-key","success":200,"reply":"CreateKeyOutput"}]},
        {"name":"audit-list","aliases":[],"success":200,"reply":"object"}]"#;
    served(text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_in_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/x/other"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"keysherd"},"executable":"/x/k"}"#,
        );
        assert_eq!(executable(messages).as_deref(), Some("/x/k"));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn a_list_without_names_is_refused() {
        assert!(served(r#"[{"aliases":[]}]"#).is_err());
        assert_eq!(sample()[1].aliases, ["create-key"]);
    }
}
