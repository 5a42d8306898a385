//! Verbs that work on this machine. They are specified like the server's commands, so flags,
//! help and completions come from the same place.

mod audit_export;
mod auth;
mod cloud_identity;
mod completions;
mod configure;
mod profiles;
mod status;
mod uid_rotator;
mod version;

use keysherd_wire::Spec;

use crate::body::Fields;
use crate::context::Context;
use crate::failure::Failure;

pub(crate) use version::version_line;

/// Runs a local verb.
pub(crate) type LocalRun = fn(&mut Context<'_, '_>, Fields) -> Result<(), Failure>;

/// A verb of this program.
pub(crate) struct LocalVerb {
    pub(crate) spec: &'static Spec,
    /// The field that may be given without its flag.
    pub(crate) positional: Option<&'static str>,
    pub(crate) run: LocalRun,
    /// Whether it has the flags of the server's command of this name.
    server_flags: bool,
}

/// All of them, in the order of the help text.
pub(crate) const ALL: &[LocalVerb] = &[
    configure::VERB,
    auth::VERB,
    audit_export::VERB,
    profiles::LIST,
    profiles::GET_DEFAULT,
    profiles::SET_DEFAULT,
    profiles::UNCONFIGURE,
    cloud_identity::VERB,
    completions::VERB,
    status::VERB,
    uid_rotator::VERB,
    uid_rotator::OTHER_NAME,
    version::VERB,
];

impl LocalVerb {
    /// Its specification, given those of the server.
    pub(crate) fn spec_in(&self, server: &[&'static Spec]) -> &'static Spec {
        let same = server.iter().find(|spec| self.server_flags && spec.name == self.spec.name);
        same.copied().unwrap_or(self.spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_verbs_follow_the_rules_of_all_commands() {
        let specs: Vec<_> = ALL.iter().map(|local| local.spec).collect();
        assert_eq!(keysherd_wire::lint_all(&specs), Vec::<String>::new());
    }
}
