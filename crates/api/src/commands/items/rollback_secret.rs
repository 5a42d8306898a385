//! `rollback-secret`: makes an old value the newest one again.

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::item::ItemKind;
use keysherd_plane::credential_rotations::Reason;
use keysherd_plane::grants::{ItemRef, NOT_STATIC, VersionWish, WriteTarget};
use keysherd_plane::items::{ItemDescribe, ValuePut};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::Freshness;
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, NAME, SESSION};

const OLD_VERSION: Field<Int> =
    Field::int("old-version", "The version whose value becomes the newest one.").required();

#[derive(Serialize)]
struct Reply<'a> {
    name: &'a str,
    version: u32,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rollback-secret",
        aliases: &[],
        success: 200,
        summary: "Make an old value of a secret its newest version.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), OLD_VERSION.spec(), ACCESSIBILITY.spec()],
        reply: "RollbackSecretOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Secret {name} was rolled back; its newest version is {version}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let old =
        u32::try_from(args.need(&OLD_VERSION)?).ok().filter(|version| *version > 0).ok_or_else(
            || Fault::bad_request("invalid value of 'old-version': it must be 1 or more"),
        )?;
    let wish = VersionWish::Exactly(old);
    let item = vec![ItemRef::Path(path.clone())];
    let opened = match ctx.crypt().read(&ctx, item, wish, Freshness::Asked).await {
        Err(fault) if fault.code() == NOT_STATIC => {
            return of_rotated(&ctx, &path, old).await?.ok_or(fault);
        }
        opened => opened?,
    };
    let value = opened.into_iter().next().and_then(|item| item.values.into_iter().next());
    let value = value.ok_or_else(|| Fault::not_found(format!("{path} has no version {old}")))?;
    let target = WriteTarget::NewValue {
        path: path.clone(),
        protection_key: None,
        keep_previous: Some(true),
        expected_version: None,
    };
    let sealed = ctx.crypt().seal(&ctx, target, value.value).await?;
    let put = ValuePut {
        made: None,
        moved: false,
        path,
        version: sealed.version,
        uid: sealed.uid,
        overwrite: sealed.overwrite,
        format: None,
        websites: None,
        value: sealed.value.clone(),
    };
    let done = ctx.ask(put).await?;
    ctx.crypt().recorded(&sealed);
    Answer::json(&Reply { name: done.item.path.as_str(), version: done.item.last_version })
}

/// The same for a rotated secret; `None` for everything else.
async fn of_rotated(ctx: &Ctx, path: &ItemPath, old: u32) -> Result<Option<Answer>, Fault> {
    let describe = ItemDescribe { item: ItemRef::Path(path.clone()), with_versions: false };
    if ctx.ask(describe.clone()).await?.item.kind != ItemKind::RotatedSecret {
        return Ok(None);
    }
    // The target has to take them before anybody reads them.
    let warnings = ctx.crypt().rotate_credentials(ctx, path, Reason::Rollback(old)).await?;
    let version = ctx.ask(describe).await?.item.last_version;
    let reply = Reply { name: path.as_str(), version };
    Ok(Some(Answer::json(&reply)?.with_warnings(warnings)))
}
