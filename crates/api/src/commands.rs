//! The registry: every public command, by noun. Adding one is one file and two lines.

mod account;
mod auth_methods;
mod folders;
mod gateway;
mod items;
mod keys;
mod roles;
mod session;

use keysherd_wire::{Command, Spec};

use crate::ctx::Ctx;

/// A command of this crate.
pub type ApiCommand = Command<Ctx>;

/// The nouns, each with its commands.
static NOUNS: &[(&str, &[&ApiCommand])] = &[
    ("Session", session::COMMANDS),
    ("Items", items::COMMANDS),
    ("Folders", folders::COMMANDS),
    ("Keys", keys::COMMANDS),
    ("Auth methods", auth_methods::COMMANDS),
    ("Roles", roles::COMMANDS),
    ("Account", account::COMMANDS),
    ("Gateway", gateway::COMMANDS),
];

/// The nouns, each with its commands, in the order pages and help texts show them.
pub fn nouns() -> &'static [(&'static str, &'static [&'static ApiCommand])] {
    NOUNS
}

/// Every public command.
pub fn all() -> impl Iterator<Item = &'static ApiCommand> {
    NOUNS.iter().flat_map(|(_, commands)| commands.iter().copied())
}

/// Every command as data.
pub fn specs() -> Vec<&'static Spec> {
    all().map(|command| &command.spec).collect()
}
