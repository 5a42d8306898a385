//! What the commands about rules share: how a rule's kind, path and capabilities are named.

use keysherd_base::Fault;
use keysherd_domain::role::{Capabilities, Capability, RuleKind};
use keysherd_wire::{Args, Field, Text};

/// The role.
pub(super) const ROLE_NAME: Field<Text> =
    Field::text("role-name", "Path of the role.").required().short('r');
/// The rule's path.
pub(super) const PATH: Field<Text> = Field::text(
    "path",
    "Path the rule governs; a final * stands for everything below, + for one segment.",
)
.required()
.short('p');
/// The rule's kind.
pub(super) const RULE_TYPE: Field<Text> =
    Field::text("rule-type", "What the rule governs.").default("item-rule").choices(&[
        "item-rule",
        "target-rule",
        "role-rule",
        "auth-method-rule",
        "search-rule",
        "reports-rule",
        "gw-reports-rule",
        "sra-reports-rule",
        "sra-rule",
        "ara-rule",
        "ara-reports-rule",
        "usage-reports-rule",
        "event-rule",
        "event-forwarder-rule",
        "reverse-rbac-rule",
        "isi-rule",
    ]);

/// The rule's kind.
pub(super) fn kind(args: &Args) -> Result<RuleKind, Fault> {
    let name = args.get(&RULE_TYPE)?.unwrap_or_else(|| "item-rule".to_owned());
    RuleKind::from_name(&name.to_ascii_lowercase())
        .ok_or_else(|| Fault::bad_request("invalid value of 'rule-type'"))
}

/// The rule's path with its leading slash.
pub(super) fn path(args: &Args) -> Result<String, Fault> {
    let path = args.need(&PATH)?;
    Ok(if path.starts_with('/') { path } else { format!("/{path}") })
}

/// Capabilities by their names; an element may hold several with commas.
pub(super) fn capabilities(names: &[String]) -> Result<Capabilities, Fault> {
    names
        .iter()
        .flat_map(|element| element.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .map(|name| {
            Capability::from_name(&name).ok_or_else(|| {
                let known: Vec<_> = Capability::NAMES.iter().map(|(_, name)| *name).collect();
                Fault::bad_request(format!(
                    "invalid value of 'capability': '{}'; it must be one of {}",
                    name.escape_default(),
                    known.join(", ")
                ))
            })
        })
        .collect()
}
