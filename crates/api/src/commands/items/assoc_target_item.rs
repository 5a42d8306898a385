//! `assoc-target-item` and `delete-assoc-target-item`: which targets remote access may reach with
//! an item.
//!
//! V2 has two more uses of the same commands, keys in clouds and certificates that are brought to
//! hosts. There are no such items yet, so what asks for them is refused.

use keysherd_base::{AssocId, Fault};
use keysherd_domain::target::stored_path;
use keysherd_plane::target_assocs::{TargetAssocChoice, TargetAssocCreate, TargetAssocDelete};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Flag, Group, List, Show, Spec, Text,
    bad_setting,
};
use serde::Serialize;
use serde_json::Value;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const TARGET_NAME: Field<Text> =
    Field::text("target-name", "Path of the target; needs `list` on it.").required();
const SRA: Field<Flag> = Field::flag(
    "sra-association",
    "Whether the target is one that remote access may reach with the item; nothing else is served \
     yet.",
)
.default("false");
const ASSOC_ID: Field<Text> =
    Field::text("assoc-id", "The association, as describe-item shows it.");
const OF_TARGET: Field<Text> =
    Field::text("target-name", "Or the target that it is with; needs `list` on it.");

/// What keys in clouds, or certificates on hosts, would be made with.
const fn text(name: &'static str) -> FieldSpec {
    Field::<Text>::text(name, "For keys in clouds and certificates, which are not served yet.")
        .spec()
}

/// The same for what official clients send by themselves.
const fn sent_anyway(name: &'static str) -> FieldSpec {
    Field::<Text>::text(name, "For keys in clouds and certificates, which are not served yet.")
        .inert()
        .spec()
}

const fn list(name: &'static str) -> FieldSpec {
    Field::<List>::list(name, "For keys in clouds and certificates, which are not served yet.")
        .spec()
}

static OTHER_USES: Group = Group {
    title: "Keys in clouds, certificates",
    fields: &[
        list("bind-ssl-profiles"),
        text("certificate-arn"),
        sent_anyway("certificate-format"),
        text("certificate-name"),
        text("certificate-path"),
        text("chain-path"),
        sent_anyway("disable-previous-key-version"),
        text("external-key-name"),
        sent_anyway("f5-save-config"),
        text("f5-sync-device-group"),
        list("key-operations"),
        text("key-vault"),
        text("keyring-name"),
        text("kms-algorithm"),
        text("location-id"),
        text("location-scope"),
        sent_anyway("multi-region"),
        Field::<Text>::text("pfx-password", "For certificates, which are not served yet.")
            .secret()
            .spec(),
        text("post-provision-command"),
        text("private-key-path"),
        text("project-id"),
        sent_anyway("protection-level"),
        text("purpose"),
        list("regions"),
        text("tenant-secret-type"),
        text("vault-name"),
    ],
};

#[derive(Serialize)]
struct Reply<'a> {
    assoc_id: &'a str,
}

/// Makes one.
pub(super) static CREATE: ApiCommand = Command {
    spec: Spec {
        name: "assoc-target-item",
        aliases: &[],
        success: 200,
        summary: "Say which target remote access may reach with an item.",
        groups: &[&SESSION, &OTHER_USES],
        fields: &[NAME.spec(), TARGET_NAME.spec(), SRA.spec()],
        reply: "CreateTargetItemAssocOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence(
            "{name} was associated with target {target-name}\n- Association ID: {assoc_id}",
        ),
    },
    run: &|ctx, args| Box::pin(create(ctx, args)),
};

/// Ends one.
pub(super) static DELETE: ApiCommand = Command {
    spec: Spec {
        name: "delete-assoc-target-item",
        aliases: &[],
        success: 200,
        summary: "End the association of an item with a target.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), ASSOC_ID.spec(), OF_TARGET.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The association of {name} was successfully deleted"),
    },
    run: &|ctx, args| Box::pin(delete(ctx, args)),
};

async fn create(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let (item, target) = (args.path(&NAME)?, stored_path(&args.path(&TARGET_NAME)?)?);
    check_use(&args)?;
    let created = ctx.ask(TargetAssocCreate { item, target }).await?;
    Answer::json(&Reply { assoc_id: &created.id.0 })
}

fn check_use(args: &Args) -> Result<(), Fault> {
    let is_given = |field: &&FieldSpec| match args.raw(field.name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let mut of_others = OTHER_USES.fields.iter().filter(|field| !field.inert);
    if let Some(field) = of_others.find(is_given) {
        let why = "it is for keys in clouds and for certificates that are brought to hosts, which \
                   are not served yet";
        return Err(bad_setting(field.name, why));
    }
    if args.get_or(&SRA, false)? {
        return Ok(());
    }
    let why = "only associations for remote access are served, which it has to say (true); keys in \
               clouds and certificates that are brought to hosts are not served yet";
    Err(bad_setting(SRA.name(), why))
}

async fn delete(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = args.path(&NAME)?;
    let which = match (args.get(&ASSOC_ID)?, args.path_opt(&OF_TARGET)?) {
        (Some(id), None) => TargetAssocChoice::Id(AssocId(id.into_boxed_str())),
        (None, Some(target)) => TargetAssocChoice::Target(stored_path(&target)?),
        (None, None) => {
            let why = "missing required field 'assoc-id' or 'target-name'";
            return Err(Fault::bad_request(why));
        }
        (Some(_), Some(_)) => {
            let why = "it is given with target-name; one of the two says which association";
            return Err(bad_setting(ASSOC_ID.name(), why));
        }
    };
    ctx.ask(TargetAssocDelete { item, which }).await?;
    Ok(Answer::empty())
}
