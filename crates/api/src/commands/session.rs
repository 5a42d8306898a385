//! Signing in, and the token afterwards.

mod auth;
mod change_password;
mod configure;
mod describe_sub_claims;
mod login;
mod revoke_creds;
mod static_creds_auth;
mod validate_token;

use crate::commands::ApiCommand;

/// The commands, by name.
pub(super) static COMMANDS: &[&ApiCommand] = &[
    &auth::COMMAND,
    &change_password::COMMAND,
    &configure::COMMAND,
    &describe_sub_claims::COMMAND,
    &revoke_creds::COMMAND,
    &static_creds_auth::COMMAND,
    &validate_token::COMMAND,
];
