//! The update commands of an engine, in every spelling, made from the family. What is not given
//! stays as it is.

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::target::stored_path;
use keysherd_engines::{Engine, Spelling};
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{
    ItemDescribe, ItemUpdate, ItemUpdateParts, Made, TargetChoice, ValuePut,
};
use keysherd_wire::{Answer, Args};

use super::create::{command, opened_target, sentence, shown, spec};
use super::shared::Shared;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::{OpenedSecret, OpenedTarget, Sealed};
use crate::fields::{NAME, NEW_NAME};

/// The commands of `engine`.
pub(super) fn of(engine: &'static dyn Engine) -> Vec<&'static ApiCommand> {
    let kind = engine.kind();
    let each = kind.update.iter().map(|spelling| {
        let verb = "Change a dynamic secret; what is not given stays. It is for";
        let summary = sentence(verb, kind.what, spelling, &kind.update[0]);
        let show = "The dynamic secret {name} was successfully updated";
        let fields = vec![NAME.spec(), NEW_NAME.spec()];
        let spec = spec(engine, spelling, summary, fields, ("update", show));
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move { update(engine, spelling, &ctx, &args).await })
        })
    });
    each.collect()
}

async fn update(
    engine: &'static dyn Engine,
    spelling: &Spelling,
    ctx: &Ctx,
    args: &Args,
) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let shared = Shared::read(engine, args)?;
    let opened = ctx.crypt().open(ctx, ItemRef::Path(path.clone()), Purpose::Change).await?;
    let old = OpenedSecret::to_change(&opened.items)?;
    drop(opened);
    if old.engine.kind().name != engine.kind().name {
        return Err(Fault::bad_request(format!(
            "{path} is a dynamic secret for {}, not for {}; use the update command of its kind",
            old.engine.kind().what,
            engine.kind().what
        )));
    }
    let OpenedSecret { settings, target, target_uid, version, .. } = old;
    let (named, target, target_uid) = match &shared.target {
        Some(named) => {
            let named = stored_path(named)?;
            let target = opened_target(ctx, Some(named.clone())).await?;
            let uid = target.as_ref().map(|target| target.uid);
            (Some(named), target, uid)
        }
        None => (None, target, target_uid),
    };
    let place = engine.kind().whereabouts;
    let before = settings.fingerprint(place);
    let settings = engine.merged(args, settings)?;
    let moved = settings.fingerprint(place) != before;
    let in_use = target.as_ref().map(OpenedTarget::in_use);
    let warnings = engine.check(&settings, in_use.as_ref())?;
    let user_ttl_seconds = engine.kind().ttl_seconds(&settings)?;
    let plaintext = Sealed::bytes(engine.kind().name, target_uid, &settings)?;
    let write = WriteTarget::NewValue {
        path: path.clone(),
        protection_key: shared.key.clone(),
        keep_previous: None,
        // What somebody else changed in between would be lost.
        expected_version: Some(version),
    };
    let sealed = ctx.crypt().seal(ctx, write, plaintext).await?;
    let put = ValuePut {
        path: path.clone(),
        made: Some(Made::Dynamic {
            engine: engine.kind().name.to_owned(),
            user_ttl_seconds,
            target: named.map_or(TargetChoice::Same, TargetChoice::Named),
        }),
        moved,
        version: sealed.version,
        uid: sealed.uid,
        overwrite: sealed.overwrite,
        format: None,
        websites: None,
        value: sealed.value.clone(),
    };
    ctx.ask(put).await?;
    ctx.crypt().recorded(&sealed);
    let path = describe(ctx, args, path, shared).await?;
    Ok(shown(ctx, spelling, path).await?.with_warnings(warnings))
}

/// Changes what is said about the secret besides its settings; gives the path it has then.
async fn describe(
    ctx: &Ctx,
    args: &Args,
    path: ItemPath,
    shared: Shared,
) -> Result<ItemPath, Fault> {
    let Shared { description, tags, delete_protection, custom_fields, .. } = shared;
    let new_path = args.path_opt(&NEW_NAME)?;
    let (mut add_tags, mut remove_tags) = (Vec::new(), Vec::new());
    if let Some(wanted) = tags {
        // The list is given whole.
        let item = ItemRef::Path(path.clone());
        let now = ctx.ask(ItemDescribe { item, with_versions: false }).await?.item.tags;
        remove_tags = now.iter().filter(|tag| !wanted.contains(tag)).cloned().collect();
        add_tags = wanted.into_iter().filter(|tag| !now.contains(tag)).collect();
    }
    let nothing = description.is_none()
        && delete_protection.is_none()
        && custom_fields.is_empty()
        && new_path.is_none()
        && add_tags.is_empty()
        && remove_tags.is_empty();
    if nothing {
        return Ok(path);
    }
    let name_tag = match &new_path {
        Some(new) => ctx.crypt().attest_name(ctx, path.clone(), new).await,
        None => None,
    };
    let now = new_path.clone().unwrap_or_else(|| path.clone());
    let parts = ItemUpdateParts {
        new_path,
        description,
        add_tags,
        remove_tags,
        delete_protection,
        custom_fields,
        name_tag,
        ..ItemUpdateParts::default()
    };
    ctx.ask(ItemUpdate { path, parts }).await?;
    Ok(now)
}
