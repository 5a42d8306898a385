//! What the commands of all dynamic secrets share: fields, and how they are read.

use std::collections::BTreeMap;

use keysherd_base::{Fault, ItemPath};
use keysherd_engines::Engine;
use keysherd_wire::{Args, Field, Flag, Group, List, Map, Text};

use crate::fields::{DELETE_PROTECTION, DESCRIPTION, TAGS};

const CUSTOM_FIELDS: Field<Map> =
    Field::map("item-custom-fields", "Account-defined fields that describe the secret.");
const TARGET_NAME: Field<Text> =
    Field::text("target-name", "Path of the target; needs `list` on it, and never `read`.");
const SKIP_TRIAL: Field<Flag> = Field::flag(
    "skip-dry-run",
    "Make or change the secret without trying whether it can make credentials and remove them.",
)
.default("false");

const ARA: Field<Flag> = Field::flag("ara-enabled", "Rules for agents.").inert();
const AGENTS: Field<Flag> =
    Field::flag("enable-agentic-runtime-authority", "Rules for agents.").inert();
const QUORUM: Field<Flag> = Field::flag("enable-ai-quorum", "Approval for agents.").inert();
const INPUT_RULE: Field<List> = Field::list("input-rule", "Rules for what agents ask.").inert();
const OUTPUT_RULE: Field<List> =
    Field::list("output-rule", "Rules for what agents are told.").inert();
const NO_TRIAL: Field<Flag> = Field::flag("skip-dry-run", "Nothing is tried out here.").inert();

/// What clients send with commands about credentials, without effect.
pub(super) static INERT: Group = Group {
    title: "Agents",
    fields: &[
        ARA.spec(),
        AGENTS.spec(),
        QUORUM.spec(),
        INPUT_RULE.spec(),
        OUTPUT_RULE.spec(),
        NO_TRIAL.spec(),
    ],
};

/// What all dynamic secrets have.
pub(super) static SHARED: Group = Group {
    title: "Dynamic secret",
    fields: &[
        DESCRIPTION.spec(),
        TAGS.spec(),
        DELETE_PROTECTION.spec(),
        CUSTOM_FIELDS.spec(),
        SKIP_TRIAL.spec(),
        ARA.spec(),
        AGENTS.spec(),
        QUORUM.spec(),
        INPUT_RULE.spec(),
        OUTPUT_RULE.spec(),
    ],
};

/// What those have that work on a target.
pub(super) static ON_TARGET: Group = Group { title: "Target", fields: &[TARGET_NAME.spec()] };

/// What was given of it.
pub(super) struct Shared {
    pub(super) description: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) delete_protection: Option<bool>,
    pub(super) custom_fields: BTreeMap<String, String>,
    pub(super) target: Option<ItemPath>,
    pub(super) skip_trial: bool,
    /// The key that protects it.
    pub(super) key: Option<ItemPath>,
}

impl Shared {
    /// Reads it.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn read(engine: &dyn Engine, args: &Args) -> Result<Self, Fault> {
        let key = args.path_opt(&engine.kind().key)?;
        Ok(Self {
            description: args.get(&DESCRIPTION)?,
            tags: args.get(&TAGS)?,
            delete_protection: args.get(&DELETE_PROTECTION)?,
            custom_fields: args.get(&CUSTOM_FIELDS)?.unwrap_or_default(),
            target: args.path_opt(&TARGET_NAME)?,
            skip_trial: args.get_or(&SKIP_TRIAL, false)?,
            key,
        })
    }
}
