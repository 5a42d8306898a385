//! What a public command is: typed fields, groups of fields, and one specification per command.
//!
//! A command is data. One list of commands feeds the HTTP routes, the command line with help and
//! completions, the OpenAPI document, the reference pages, the authorization walk and the
//! conformance matrix, so they cannot drift apart. This crate knows no command and does no IO.

mod answer;
mod args;
mod command;
mod field;
mod lint;
mod openapi;
mod page;
mod reference;
#[cfg(test)]
mod samples;
mod schema;
mod settings;
mod topic;

pub mod headers;

pub use answer::{Answer, Hold};
pub use args::{Args, Name, wipe};
pub use command::{Access, Alias, Body, Command, Run, Show, Spec};
pub use field::{Field, FieldSpec, Flag, Group, Int, Kind, List, Map, Shape, Text};
pub use lint::{lint, lint_all};
pub use openapi::{About, openapi};
pub use page::{PAGE_FIELDS_MAX, Page, PageAnswer, PageMethod, PageRequest, PageRun, Pages};
pub use reference::{command_page, group_page, index_page};
pub use schema::request_schema;
pub use settings::{SETTING_BYTES_MAX, Settings, bad_setting};
pub use topic::{by_topic, topic};
