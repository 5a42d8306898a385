//! Writing a target: what the create and update commands of all kinds do.

use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::item::{SecretKind, ValueFormat};
use keysherd_domain::target::stored_path;
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{
    ItemUpdate, ItemUpdateParts, Made, SecretCreate, TargetChoice, ValuePut,
};
use keysherd_targets::{Settings, Target, linked};
use keysherd_wire::{Args, bad_setting};
use serde_json::Value;

use super::family::{DESCRIBED, PARENT, Shared};
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
    let parent = Parent::given(member, ctx, args).await?;
    let settings = parent.settings(member, args, Settings::default())?;
    member.check(&settings)?;
    let made = made(member, &settings, parent.choice)?;
    let plaintext = Sealed::bytes(member.kind().name, parent.uid, &settings)?;
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
    let parent = Parent::given(member, ctx, args).await?;
    let parent_uid = parent.uid.or(old.parent_uid);
    let settings = parent.settings(member, args, old.settings)?;
    let moved = settings.fingerprint(place) != before;
    member.check(&settings)?;
    let made = made(member, &settings, parent.choice)?;
    let plaintext = Sealed::bytes(member.kind().name, parent_uid, &settings)?;
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

fn made(
    member: &'static dyn Target,
    settings: &Settings,
    parent: TargetChoice,
) -> Result<Made, Fault> {
    let type_name = member.type_name(settings)?.to_owned();
    Ok(Made::Target { kind: member.kind().name.to_owned(), type_name, parent })
}

/// The target whose credentials one is to use, where somebody names one.
#[derive(Default)]
struct Parent {
    uid: Option<Uid>,
    type_name: Option<&'static str>,
    choice: TargetChoice,
}

impl Parent {
    async fn given(member: &dyn Target, ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let possible = member.parents();
        let named = args.get(&PARENT)?.filter(|name| !name.is_empty());
        if named.is_none() || possible.is_empty() {
            return Ok(Self::default());
        }
        let Some(path) = args.path_opt(&PARENT)? else { return Ok(Self::default()) };
        let path = stored_path(&path)?;
        let item = ItemRef::Path(path.clone());
        // Who says where its credentials go could read them there.
        let opened = ctx.crypt().open(ctx, item, Purpose::Settings).await?;
        let target = OpenedTarget::of_one(&opened.items)?;
        if !possible.contains(&target.type_name) {
            let want = format!("it must be a target of type {}", possible.join(" or "));
            return Err(bad_setting(PARENT.name(), &want));
        }
        let choice = TargetChoice::Named(path);
        Ok(Self { uid: Some(target.uid), type_name: Some(target.type_name), choice })
    }

    /// What the arguments make of the settings there were: hosts are what their parent is.
    fn settings(&self, member: &dyn Target, args: &Args, old: Settings) -> Result<Settings, Fault> {
        let Some(type_name) = self.type_name else { return member.merged(args, old) };
        let (field, value) = linked::of_type(type_name);
        let given = args.raw(field).and_then(Value::as_str).filter(|given| !given.is_empty());
        if given.is_some_and(|given| !given.eq_ignore_ascii_case(type_name)) {
            let want = format!("with this parent it must be {type_name}");
            return Err(bad_setting(field, &want));
        }
        let mut typed = Args::new();
        typed.put(field, value);
        for name in args.names().filter(|name| *name != field) {
            if let Some(value) = args.raw(name) {
                typed.put(name, value.clone());
            }
        }
        member.merged(&typed, old)
    }
}
