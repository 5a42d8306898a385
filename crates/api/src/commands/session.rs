//! Signing in, and the token afterwards.

mod auth;
mod change_password;
mod complete_auth;
mod configure;
mod describe_sub_claims;
mod get_cert_challenge;
pub(super) mod login;
mod own;
mod revoke_creds;
mod second_factor;
mod static_creds_auth;
mod validate_token;

pub use own::{MachineIdentity, OwnCredential, sign_in};

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) fn commands() -> Vec<&'static ApiCommand> {
    let mut commands: Vec<&'static ApiCommand> =
        vec![&auth::COMMAND, &complete_auth::COMMAND, &configure::COMMAND];
    commands.extend_from_slice(COMMANDS);
    commands
}

static COMMANDS: &[&ApiCommand] = &[
    &change_password::COMMAND,
    &describe_sub_claims::COMMAND,
    &get_cert_challenge::COMMAND,
    &revoke_creds::COMMAND,
    &second_factor::CONFIRM,
    &second_factor::ENROLL,
    &second_factor::REMOVE,
    &static_creds_auth::COMMAND,
    &validate_token::COMMAND,
];
