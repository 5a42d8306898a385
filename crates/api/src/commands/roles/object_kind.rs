//! What `describe-permissions` and `reverse-rbac` share: naming a kind of object.

use keysherd_base::Fault;
use keysherd_domain::role::RuleKind;
use keysherd_wire::{Args, Field, Text};

/// The names of the kinds.
pub(super) const TYPES: &[&str] = &["item", "am", "role", "target", "sra", "ara"];
/// The kind.
pub(super) const TYPE: Field<Text> =
    Field::text("type", "What kind of object the path names.").required().choices(TYPES);
/// The path.
pub(super) const PATH: Field<Text> =
    Field::text("path", "The path in question.").required().short('p');

/// The kind of rules that govern the object.
pub(super) fn kind(args: &Args) -> Result<RuleKind, Fault> {
    Ok(named(&args.need(&TYPE)?.to_ascii_lowercase()).unwrap_or(RuleKind::Item))
}

/// The kind of rules that govern objects of this name, in lower case.
pub(super) fn named(name: &str) -> Option<RuleKind> {
    Some(match name {
        "item" => RuleKind::Item,
        "am" => RuleKind::AuthMethod,
        "role" => RuleKind::Role,
        "target" => RuleKind::Target,
        "sra" => RuleKind::Sra,
        "ara" => RuleKind::Ara,
        _ => return None,
    })
}

/// The path with its leading slash.
pub(super) fn path(args: &Args) -> Result<String, Fault> {
    let path = args.need(&PATH)?;
    Ok(if path.starts_with('/') { path } else { format!("/{path}") })
}
