//! What `describe-permissions` and `reverse-rbac` share: naming a kind of object.

use keysherd_base::Fault;
use keysherd_domain::role::RuleKind;
use keysherd_wire::{Args, Field, Text};

/// The kind.
pub(super) const TYPE: Field<Text> = Field::text("type", "What kind of object the path names.")
    .required()
    .choices(&["item", "am", "role", "target", "sra", "ara"]);
/// The path.
pub(super) const PATH: Field<Text> =
    Field::text("path", "The path in question.").required().short('p');

/// The kind of rules that govern the object.
pub(super) fn kind(args: &Args) -> Result<RuleKind, Fault> {
    Ok(match args.need(&TYPE)?.to_ascii_lowercase().as_str() {
        "am" => RuleKind::AuthMethod,
        "role" => RuleKind::Role,
        "target" => RuleKind::Target,
        "sra" => RuleKind::Sra,
        "ara" => RuleKind::Ara,
        _ => RuleKind::Item,
    })
}

/// The path with its leading slash.
pub(super) fn path(args: &Args) -> Result<String, Fault> {
    let path = args.need(&PATH)?;
    Ok(if path.starts_with('/') { path } else { format!("/{path}") })
}
