//! Writing a target: what the create and update commands of all kinds do.

use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::item::{SecretKind, ValueFormat};
use keysherd_domain::target::stored_path;
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{ItemUpdate, ItemUpdateParts, Made, SecretCreate, ValuePut};
use keysherd_targets::{Settings, Target};
use keysherd_wire::Args;

use super::family::{DESCRIBED, Shared};
use crate::commands::items::nothing_yet;
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::engines::{OpenedTarget, Sealed};
use crate::fields::{NAME, NEW_NAME};

/// Makes a target; gives its number.
pub(super) async fn create(
    member: &'static dyn Target,
    ctx: &Ctx,
    args: &Args,
) -> Result<i64, Fault> {
    let path = stored_path(&args.path(&NAME)?)?;
    let shared = Shared::read(args)?;
    let settings = member.merged(args, Settings::default())?;
    member.check(&settings)?;
    let made = made(member, &settings)?;
    let plaintext = Sealed::bytes(member.kind().name, None, &settings)?;
    let cluster_key = match shared.key {
        Some(_) => None,
        None => Defaults::of_cluster(&*ctx.services().configs).await?.key,
    };
    let mut create = SecretCreate {
        path: path.clone(),
        made,
        uid: Uid::random(&*ctx.services().rng)?,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Json,
        description: shared.description.unwrap_or_default(),
        tags: Vec::new(),
        protection_key: shared.key.clone(),
        cluster_key,
        max_versions: shared.max_versions,
        delete_protection: shared.delete_protection,
        websites: Vec::new(),
        custom_fields: Default::default(),
        change_event: false,
        value: nothing_yet(),
    };
    let target =
        WriteTarget::NewSecret { path, uid: create.uid, protection_key: shared.key, cluster_key };
    let sealed = ctx.crypt().seal(ctx, target, plaintext).await?;
    create.value = sealed.value.clone();
    let created = ctx.ask(create).await?;
    ctx.crypt().recorded(&sealed);
    Ok(created.item.id.0)
}

/// Changes a target: what is not given stays. Gives its number.
pub(super) async fn update(
    member: &'static dyn Target,
    ctx: &Ctx,
    args: &Args,
) -> Result<i64, Fault> {
    let path = stored_path(&args.path(&NAME)?)?;
    let new_path = args.path_opt(&NEW_NAME)?.map(|path| stored_path(&path)).transpose()?;
    let shared = Shared::read(args)?;
    let opened = ctx.crypt().open(ctx, ItemRef::Path(path.clone()), Purpose::Change).await?;
    let version = opened.items.first().and_then(|item| item.values.first());
    let version = version.map(|value| value.version);
    let old = OpenedTarget::of_one(&opened.items)?;
    drop(opened);
    let known = old.member().kind().name;
    if known != member.kind().name {
        return Err(Fault::bad_request(format!(
            "the target is {}, not {}; use the update command of its kind",
            old.member().kind().what,
            member.kind().what
        )));
    }
    let place = member.kind().whereabouts;
    let before = old.settings.fingerprint(place);
    let settings = member.merged(args, old.settings)?;
    let moved = settings.fingerprint(place) != before;
    member.check(&settings)?;
    let made = made(member, &settings)?;
    let plaintext = Sealed::bytes(member.kind().name, None, &settings)?;
    let target = WriteTarget::NewValue {
        path: path.clone(),
        protection_key: shared.key.clone(),
        keep_previous: shared.keep_previous,
        // What somebody else changed in between would be lost.
        expected_version: version,
    };
    let sealed = ctx.crypt().seal(ctx, target, plaintext).await?;
    let put = ValuePut {
        path: path.clone(),
        made: Some(made),
        moved,
        version: sealed.version,
        uid: sealed.uid,
        overwrite: sealed.overwrite,
        format: None,
        websites: None,
        value: sealed.value.clone(),
    };
    let stored = ctx.ask(put).await?;
    ctx.crypt().recorded(&sealed);
    describe(ctx, args, path, new_path, shared).await?;
    Ok(stored.item.id.0)
}

/// Changes what is said about the target besides its settings.
async fn describe(
    ctx: &Ctx,
    args: &Args,
    path: ItemPath,
    new_path: Option<ItemPath>,
    shared: Shared,
) -> Result<(), Fault> {
    let described = DESCRIBED.iter().any(|name| args.raw(name).is_some_and(|v| !v.is_null()));
    if !described && new_path.is_none() {
        return Ok(());
    }
    let name_tag = match &new_path {
        Some(new) => ctx.crypt().attest_name(ctx, path.clone(), new).await,
        None => None,
    };
    let parts = ItemUpdateParts {
        new_path,
        description: shared.description,
        max_versions: shared.max_versions,
        delete_protection: shared.delete_protection,
        name_tag,
        ..ItemUpdateParts::default()
    };
    ctx.ask(ItemUpdate { path, parts }).await?;
    Ok(())
}

fn made(member: &'static dyn Target, settings: &Settings) -> Result<Made, Fault> {
    let type_name = member.type_name(settings)?.to_owned();
    Ok(Made::Target { kind: member.kind().name.to_owned(), type_name })
}
