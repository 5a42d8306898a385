//! The update commands of an engine, in every spelling, made from the family. What is not given
//! stays as it is, and what is changed is tried out before.

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::target::stored_path;
use keysherd_engines::{Engine, Spelling};
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{
    ItemDescribe, ItemUpdate, ItemUpdateParts, Made, TargetChoice, ValuePut,
};
use keysherd_wire::{Answer, Args, Settings};

use super::create::{command, met, opened_target, sentence, shown, spec};
use super::shared::Shared;
use crate::commands::ApiCommand;
use crate::crypt::OpenedForUse;
use crate::ctx::Ctx;
use crate::engines::{Asker, OpenedSecret, OpenedTarget, Sealed, trial_of_change};
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
    let mut secret = OpenedSecret::to_change(&opened.items)?;
    let OpenedForUse { items, account, access_id, sub_claims } = opened;
    drop(items);
    of_this_kind(engine, &secret)?;
    let on = secret.target.as_ref().map(|target| target.id);
    let mut named = None;
    if let Some(target) = &shared.target {
        let path = stored_path(target)?;
        secret.target = opened_target(ctx, Some(path.clone())).await?;
        secret.target_uid = secret.target.as_ref().map(|target| target.uid);
        named = Some(path);
    }
    let Merged { moved, changed } = merge(engine, args, &mut secret.settings)?;
    let in_use = secret.target.as_ref().map(OpenedTarget::in_use);
    let mut warnings = engine.check(&secret.settings, in_use.as_ref())?;
    if (changed || named.is_some()) && !shared.skip_trial {
        warnings.extend(met(ctx, engine, &mut secret.settings, in_use).await?);
        let asker = Asker { account, access_id, sub_claims };
        warnings.extend(trial_of_change(ctx, &secret, on, &asker).await?);
    }
    let OpenedSecret { settings, target_uid, version, .. } = secret;
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

fn of_this_kind(engine: &dyn Engine, secret: &OpenedSecret) -> Result<(), Fault> {
    let (own, wanted) = (secret.engine.kind(), engine.kind());
    if own.name == wanted.name {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "{} is a dynamic secret for {}, not for {}; use the update command of its kind",
        secret.path(),
        own.what,
        wanted.what
    )))
}

/// What became of settings.
struct Merged {
    /// Whether they lead elsewhere: what was made would not be found there.
    moved: bool,
    /// Whether they are others at all.
    changed: bool,
}

/// Changes the settings as the arguments say.
fn merge(engine: &dyn Engine, args: &Args, settings: &mut Settings) -> Result<Merged, Fault> {
    let kind = engine.kind();
    let every: Vec<&str> = kind.fields.fields.iter().map(|field| field.name).collect();
    let old = std::mem::take(settings);
    let place = [kind.whereabouts, engine.found_by(&old)].concat();
    let before = (old.fingerprint(&place), old.fingerprint(&every));
    *settings = engine.merged(args, old)?;
    Ok(Merged {
        moved: settings.fingerprint(&place) != before.0,
        changed: settings.fingerprint(&every) != before.1,
    })
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

#[cfg(test)]
mod tests {
    use keysherd_engines::by_name;

    use super::*;

    #[test]
    fn what_was_made_would_not_be_found_elsewhere() {
        for (engine, setting, moves) in [
            ("ldap", "ldap-url", true),
            ("ldap", "user-dn", true),
            ("ldap", "token-expiration", false),
            ("venafi", "venafi-zone", true),
            ("venafi", "user-ttl", false),
        ] {
            let engine = by_name(engine).unwrap();
            let mut settings = Settings::default();
            for (value, changes) in [("one", true), ("another", true), ("another", false)] {
                let mut args = Args::new();
                args.put(setting, value.into());
                let merged = merge(engine, &args, &mut settings).unwrap();
                let want = (changes, changes && moves);
                assert_eq!((merged.changed, merged.moved), want, "{setting}: {value}");
            }
        }
    }
}
