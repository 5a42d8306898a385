//! The create and update commands of a kind of target, in every spelling, made from the family.

use keysherd_base::{Fault, ItemPath};
use keysherd_targets::{Spelling, Target};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Group, Show, Spec, Text,
};
use serde::Serialize;

use super::stored;
use crate::commands::ApiCommand;
use crate::commands::items::max_versions;
use crate::ctx::Ctx;
use crate::fields::{DELETE_PROTECTION, DESCRIPTION, MAX_VERSIONS, NAME, NEW_NAME, SESSION};

const KEY: Field<Text> = Field::text(
    "key",
    "Path of the key that protects the target; the cluster's or account's default unless given.",
);
const COMMENT: Field<Text> = Field::text("comment", "The older name of description.");
const KEEP_PREVIOUS: Field<Text> = Field::text(
    "keep-prev-version",
    "Whether the settings so far stay as a version; as the account says unless given.",
)
.choices(&["true", "false"]);
const LOCK_ON_READ: Field<Text> =
    Field::text("lock-on-read", "Lock the target when it is read.").inert();
const LOCK_TTL: Field<Text> =
    Field::text("lock-ttl", "Minutes that a lock of lock-on-read lasts.").inert();
const ROTATE_ON_UNLOCK: Field<Text> =
    Field::text("rotate-on-unlock", "Change the credentials when it is unlocked.").inert();

/// What all kinds of targets share.
static SHARED: Group = Group {
    title: "Target",
    fields: &[
        DESCRIPTION.spec(),
        COMMENT.spec(),
        KEY.spec(),
        MAX_VERSIONS.spec(),
        DELETE_PROTECTION.spec(),
        LOCK_ON_READ.spec(),
        LOCK_TTL.spec(),
        ROTATE_ON_UNLOCK.spec(),
    ],
};
pub(super) const PARENT: Field<Text> = Field::text(
    "parent-target-name",
    "Path of the target whose credentials it uses; takes `read` on that one.",
);
static CREATE_FIELDS: [FieldSpec; 1] = [NAME.spec()];
static UPDATE_FIELDS: [FieldSpec; 3] = [NAME.spec(), NEW_NAME.spec(), KEEP_PREVIOUS.spec()];

/// The fields of a member's command beside its settings.
fn own_fields(
    member: &'static dyn Target,
    own: &[FieldSpec],
    more: &[FieldSpec],
) -> &'static [FieldSpec] {
    let parent = (!member.parents().is_empty()).then_some(PARENT.spec());
    own.iter().copied().chain(parent).chain(more.iter().copied()).collect::<Vec<_>>().leak()
}

/// The fields that say something about a target besides its settings.
pub(super) const DESCRIBED: [&str; 4] =
    [DESCRIPTION.name(), COMMENT.name(), MAX_VERSIONS.name(), DELETE_PROTECTION.name()];

/// What was given of the shared fields.
pub(super) struct Shared {
    pub(super) description: Option<String>,
    pub(super) key: Option<ItemPath>,
    pub(super) max_versions: Option<u32>,
    pub(super) delete_protection: Option<bool>,
    pub(super) keep_previous: Option<bool>,
}

impl Shared {
    /// Reads them.
    pub(super) fn read(args: &Args) -> Result<Self, Fault> {
        let keep_previous = args.get(&KEEP_PREVIOUS)?.map(|text| text.eq_ignore_ascii_case("true"));
        Ok(Self {
            description: args.get(&DESCRIPTION)?.or(args.get(&COMMENT)?),
            key: args.path_opt(&KEY)?,
            max_versions: max_versions(args)?,
            delete_protection: args.get(&DELETE_PROTECTION)?,
            keep_previous,
        })
    }
}

#[derive(Serialize)]
struct Reply {
    target_id: i64,
}

#[derive(Serialize)]
struct OldReply {
    updated: bool,
}

/// The commands of `member`.
pub(super) fn of(member: &'static dyn Target) -> Vec<&'static ApiCommand> {
    let kind = member.kind();
    let create = kind.create.iter().map(|spelling| {
        let summary = sentence(format!("Make a target: {}", kind.what), spelling, &kind.create[0]);
        let fields = own_fields(member, &CREATE_FIELDS, &[]);
        let spec = spec(member, spelling, summary, fields, "create", "created");
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move {
                let target_id = stored::create(member, &ctx, &args).await?;
                Answer::json(&Reply { target_id })
            })
        })
    });
    let update = kind.update.iter().map(|spelling| {
        let what = format!("Change a target: {}; what is not given stays", kind.what);
        let summary = sentence(what, spelling, &kind.update[0]);
        let fields = own_fields(member, &UPDATE_FIELDS, member.update_fields());
        let spec = spec(member, spelling, summary, fields, "update", "updated");
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move {
                let target_id = stored::update(member, &ctx, &args).await?;
                match spelling.reply {
                    "UpdateTargetOutput" => Answer::json(&OldReply { updated: true }),
                    _ => Answer::json(&Reply { target_id }),
                }
            })
        })
    });
    create.chain(update).collect()
}

fn command<F>(spec: Spec, run: F) -> &'static ApiCommand
where
    F: Fn(Ctx, Args) -> keysherd_wire::Run + Send + Sync + 'static,
{
    Box::leak(Box::new(Command { spec, run: Box::leak(Box::new(run)) }))
}

fn sentence(what: String, spelling: &Spelling, current: &Spelling) -> String {
    match spelling.older {
        false => format!("{what}."),
        true => format!("{what}; the older spelling of {}.", current.name),
    }
}

fn spec(
    member: &'static dyn Target,
    spelling: &Spelling,
    summary: String,
    fields: &'static [FieldSpec],
    capability: &'static str,
    done: &'static str,
) -> Spec {
    let groups: Vec<&'static Group> = vec![&SESSION, &SHARED, member.kind().fields];
    let show = format!("The target {{name}} was successfully {done}");
    Spec {
        name: spelling.name,
        aliases: &[],
        success: spelling.success,
        summary: summary.leak(),
        groups: groups.leak(),
        fields,
        reply: spelling.reply,
        access: Access::Right("target-rule", capability),
        body: Body::Object,
        show: Show::Sentence(show.leak()),
    }
}
