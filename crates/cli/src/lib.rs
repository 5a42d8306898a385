//! Generic terminal edge over a command list; profiles, output formats, completions.
//!
//! It knows no server command. Flags, help and output of a command come from its `Spec`; the few
//! verbs that work on this machine (`configure`, `auth`, profiles, completions) are in `local` and
//! are specified in the same terms. Everything outside is handed in: arguments, environment,
//! clock and the terminal's streams, so that a whole run is one function call in a test.
//!
//! One run: words -> verb, arguments -> body, secrets from files or prompts, profile -> session,
//! one call, answer -> text.

mod body;
mod browser;
mod cloud;
mod command_line;
mod context;
mod credentials;
mod exit;
mod failure;
mod flags;
mod globals;
mod help;
mod local;
mod private_file;
mod profile;
mod program;
mod run;
mod secret_input;
mod session;
mod show;
mod store;
mod terminal;
mod token_cache;
mod verb;
mod waiting;

#[cfg(test)]
mod tests;

pub use exit::Exit;
pub use program::{Program, WAITS};
pub use run::{main, run};
pub use terminal::Terminal;
