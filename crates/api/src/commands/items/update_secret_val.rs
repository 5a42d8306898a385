//! `update-secret-val`: stores a new value of a static secret.

use keysherd_base::Fault;
use keysherd_domain::item::SecretKind;
use keysherd_plane::grants::WriteTarget;
use keysherd_plane::items::ValuePut;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec, Text};
use serde::Serialize;

use super::value::{self, Fitting, SECRET_VALUE};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, NAME, SESSION};

const KEY: Field<Text> = Field::text(
    "key",
    "Path of the key that protects the new value; the one of the secret unless given.",
)
.short('k');
const KEEP_PREV_VERSION: Field<Flag> = Field::flag(
    "keep-prev-version",
    "Whether the previous value is kept as a version; as the account says unless given.",
);
const NEW_VERSION: Field<Flag> = Field::flag("new-version", "The same as keep-prev-version.");
const LAST_VERSION: Field<Int> =
    Field::int("last-version", "Refuse the update unless this is the newest version.");
const MULTILINE: Field<Flag> = Field::flag("multiline", "Texts keep their lines always.").inert();

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "update-secret-val",
        aliases: &[],
        success: 200,
        summary: "Store a new value of a static secret.",
        groups: &[&SESSION, &SECRET_VALUE],
        fields: &[
            NAME.spec(),
            KEY.spec(),
            KEEP_PREV_VERSION.spec(),
            NEW_VERSION.spec(),
            LAST_VERSION.spec(),
            MULTILINE.spec(),
            ACCESSIBILITY.spec(),
        ],
        reply: "UpdateSecretValOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The value of secret {name} was successfully updated"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let format = value::format(&args)?;
    let kind =
        if value::has_password_parts(&args)? { SecretKind::Password } else { SecretKind::Generic };
    let plaintext = value::plaintext(&args, kind, format.unwrap_or_default())?;
    let expected_version = match args.get(&LAST_VERSION)? {
        None | Some(0) => None,
        Some(version) => Some(u32::try_from(version).map_err(|_| {
            Fault::bad_request("invalid value of 'last-version': it must be 1 or more")
        })?),
    };
    let target = WriteTarget::NewValue {
        path: path.clone(),
        protection_key: args.path_opt(&KEY)?,
        keep_previous: args.get(&KEEP_PREV_VERSION)?.or(args.get(&NEW_VERSION)?),
        expected_version,
    };
    let fitting = Fitting::of(&plaintext);
    let sealed = ctx.crypt().seal(&ctx, target, plaintext).await?;
    // Whether the item's own format is kept shows only now; nothing is stored yet.
    fitting.check(format.unwrap_or(sealed.format))?;
    let put = ValuePut {
        made: None,
        moved: false,
        path,
        version: sealed.version,
        uid: sealed.uid,
        overwrite: sealed.overwrite,
        format,
        websites: value::websites(&args)?,
        value: sealed.value.clone(),
    };
    let done = ctx.ask(put).await?;
    ctx.crypt().recorded(&sealed);
    Answer::json(&Reply { name: done.item.path.as_str() })
}
