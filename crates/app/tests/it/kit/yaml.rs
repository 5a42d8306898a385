//! YAML, read by somebody else's parser.

use std::process::Command;

use serde_json::Value;

use super::python::python;
use super::run::finish;

/// Prints the documents on standard input as one JSON array.
const READER: &str =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";

/// The documents of a text.
#[track_caller]
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    let python = python("yaml", &["PyYAML==6.0.3"]);
    let read = finish(Command::new(python).args(["-c", READER]), text.as_bytes()).expect(0);
    let documents: Vec<Value> = serde_json::from_str(&read.out).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}
