//! The registry: every public command, by noun. Adding one is one file and two lines.

mod account;
mod apart;
mod audit;
mod auth_methods;
mod dynamic_secrets;
mod folders;
mod gateway;
mod groups;
mod items;
mod keys;
mod roles;
mod rotated_secrets;
mod session;
mod targets;
mod uid;

pub use session::{MachineIdentity, OwnCredential, sign_in};

use std::sync::LazyLock;

use keysherd_wire::{Command, Spec};

use crate::ctx::Ctx;

/// A command of this crate.
pub type ApiCommand = Command<Ctx>;

/// The nouns, each with its commands. Those of a family are made from its members, once.
static NOUNS: LazyLock<Vec<(&str, Vec<&ApiCommand>)>> = LazyLock::new(|| {
    vec![
        ("Session", session::commands()),
        ("Items", apart::from_targets(items::COMMANDS)),
        ("Folders", apart::from_targets(folders::COMMANDS)),
        ("Keys", apart::from_targets(keys::COMMANDS)),
        ("Targets", targets::commands()),
        ("Dynamic secrets", dynamic_secrets::commands()),
        ("Rotated secrets", rotated_secrets::commands()),
        ("Auth methods", auth_methods::commands()),
        ("Universal identity", uid::COMMANDS.to_vec()),
        ("Roles", roles::COMMANDS.to_vec()),
        ("Groups", groups::COMMANDS.to_vec()),
        ("Account", account::COMMANDS.to_vec()),
        ("Audit", audit::COMMANDS.to_vec()),
        ("Gateway", gateway::commands()),
    ]
});

/// The nouns, each with its commands, in the order pages and help texts show them.
pub fn nouns() -> &'static [(&'static str, Vec<&'static ApiCommand>)] {
    &NOUNS
}

/// Every public command.
pub fn all() -> impl Iterator<Item = &'static ApiCommand> {
    NOUNS.iter().flat_map(|(_, commands)| commands.iter().copied())
}

/// The commands of a gateway that forwards the audit log and does nothing else.
pub fn of_log_forwarders() -> impl Iterator<Item = &'static ApiCommand> {
    const SIGNING_IN: [&str; 3] = ["auth", "validate-token", "revoke-creds"];
    all().filter(|command| {
        let name = command.spec.name;
        SIGNING_IN.contains(&name) || gateway::forwards_logs(name)
    })
}

/// Every command as data.
pub fn specs() -> Vec<&'static Spec> {
    all().map(|command| &command.spec).collect()
}
