//! The update commands of a rotator, made from the family. What is not given stays as it is.

use keysherd_base::{Fault, ItemPath};
use keysherd_domain::rotated_secret::RotationFacts;
use keysherd_engines::rotator::{Actor, Credential, Hosts, Rotator};
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{
    ItemDescribe, ItemUpdate, ItemUpdateParts, Made, TargetChoice, ValuePut,
};
use keysherd_wire::{Answer, Args, Field, Flag, Text, bad_setting};

use super::create::{Named, command, need_others, spec, tried};
use super::shared::{Shared, Terms};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::{OpenedRotated, OpenedTarget};
use crate::fields::{ADD_TAG, NAME, NEW_NAME, RM_TAG};

pub(super) const KEEP_PREVIOUS: Field<Flag> = Field::flag(
    "keep-prev-version",
    "Keep the version before; without a word as the account says.",
);

/// V2 demands it of some kinds.
const SAME_TYPE: Field<Text> =
    Field::text("rotator-type", "What changes; if it is given, it must be what it was.");

/// The commands of `rotator`.
pub(super) fn of(rotator: &'static dyn Rotator) -> Vec<&'static ApiCommand> {
    let kind = rotator.kind();
    let each = kind.update.iter().map(|spelling| {
        let summary =
            format!("Change a rotated secret; what is not given stays. It is for {}.", kind.what);
        let fields =
            [NAME.spec(), NEW_NAME.spec(), ADD_TAG.spec(), RM_TAG.spec(), KEEP_PREVIOUS.spec()];
        let same = (kind.types.len() > 1).then_some(SAME_TYPE.spec());
        let fields = fields.into_iter().chain(same).collect();
        let shown = ("update", "The rotated secret {name} was successfully updated");
        let (name, reply) = ((spelling.name, spelling.success), spelling.reply);
        let spec = spec(rotator, name, (summary, reply), fields, shown);
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move { update(Some(rotator), &ctx, &args).await })
        })
    });
    each.collect()
}

/// Changes one, which is of this kind if one is named.
///
/// # Errors
/// [`Fault::bad_request`] for one of another kind, for what cannot be, or does not sign in; what
/// keeps anybody from knowing; control's refusal.
pub(super) async fn update(
    kind: Option<&'static dyn Rotator>,
    ctx: &Ctx,
    args: &Args,
) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let shared = Shared::read(args)?;
    let item = ItemRef::Path(path.clone());
    let opened = ctx.crypt().open(ctx, item.clone(), Purpose::Change).await?;
    let (first, target) = match opened.items.as_slice() {
        [first, target @ ..] if !target.is_empty() => (first, Some(OpenedTarget::to_use(target)?)),
        [first] => (first, None),
        _ => return Err(Fault::internal("control granted something else than was asked")),
    };
    let mut old = OpenedRotated::of(first)?;
    drop(opened);
    let rotator = kind.unwrap_or(old.rotator);
    check_kind(&path, &old, rotator)?;
    let view = ctx.ask(ItemDescribe { item, with_versions: false }).await?;
    let known = view.item.rotation.ok_or_else(|| {
        Fault::internal("control knows nothing of the rotations of a rotated secret")
    })?;
    if args.get(&SAME_TYPE)?.is_some_and(|given| given != known.rotator_type) {
        let why = format!("it is {} and cannot be changed", known.rotator_type);
        return Err(bad_setting(SAME_TYPE.name(), &why));
    }
    let mut terms = Terms::read(args, Some(&known))?;
    terms.check(rotator)?;
    old.settings = rotator.merged(args, std::mem::take(&mut old.settings))?;
    old.actor = shared.actor.unwrap_or(old.actor);
    let of = (&mut old, target.as_ref());
    let (credentials, warnings) = credentials(ctx, of, args, (&known, &shared)).await?;
    let plaintext = old.plaintext(credentials.as_ref())?;
    drop(credentials);
    let write = WriteTarget::NewValue {
        path: path.clone(),
        protection_key: shared.key.clone(),
        keep_previous: args.get(&KEEP_PREVIOUS)?,
        // What somebody else changed in between would be lost.
        expected_version: Some(old.version),
    };
    let sealed = ctx.crypt().seal(ctx, write, plaintext).await?;
    let put = ValuePut {
        path: path.clone(),
        made: Some(made(terms, known, old.actor)),
        moved: false,
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
    Ok(Answer::json(&Named { name: path.as_str() })?.with_warnings(warnings))
}

fn check_kind(path: &ItemPath, old: &OpenedRotated, wanted: &dyn Rotator) -> Result<(), Fault> {
    let (is, wanted) = (old.rotator.kind(), wanted.kind());
    if is.name == wanted.name {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "{path} is a rotated secret for {}, not for {}; use the update command of its kind",
        is.what, wanted.what
    )))
}

/// Whether somebody says what the credentials are.
fn has_new(rotator: &dyn Rotator, args: &Args) -> bool {
    let given = |name: &str| args.raw(name).is_some_and(|value| !value.is_null() && value != "");
    rotator.kind().given.fields.iter().any(|field| given(field.name))
}

/// The credentials as they are from now on: somebody may have changed them by hand.
fn corrected(
    rotator: &dyn Rotator,
    args: &Args,
    known: &RotationFacts,
    old: Option<Credential>,
) -> Result<Credential, Fault> {
    if known.of_target {
        return Err(Fault::bad_request(
            "the credentials are the target's own; change them with its update command",
        ));
    }
    let missing = || Fault::internal("a rotated secret has no credentials");
    rotator.corrected(args, &old.ok_or_else(missing)?)
}

/// The credentials after somebody may have said what they are now, and what their author should
/// know.
async fn credentials(
    ctx: &Ctx,
    (secret, target): (&mut OpenedRotated, Option<&OpenedTarget>),
    args: &Args,
    (known, shared): (&RotationFacts, &Shared),
) -> Result<(Option<Credential>, Vec<String>), Fault> {
    let (rotator, before) = (secret.rotator, secret.credentials.take());
    let mut warnings = Vec::new();
    if let Some(target) = target {
        secret.check_target(target)?;
        if target.is_linked() {
            let hosts = on_hosts(ctx, (secret, target), args, (before, shared)).await?;
            return Ok((Some(hosts.0), hosts.1));
        }
        warnings = rotator.check(&secret.settings, &target.in_use())?;
    }
    if !has_new(rotator, args) {
        return Ok((before, warnings));
    }
    let credentials = corrected(rotator, args, known, before)?;
    if let Some(target) = target {
        need_others(rotator, rotator.is_keepers(&target.in_use(), &credentials))?;
    }
    if let (Some(target), false) = (target, shared.skip_trial) {
        let stage = (&secret.settings, target, secret.actor);
        tried(ctx, rotator, stage, Some(&credentials)).await?;
    }
    Ok((Some(credentials), warnings))
}

/// The credentials of hosts after somebody may have said what they are now.
async fn on_hosts(
    ctx: &Ctx,
    (secret, target): (&OpenedRotated, &OpenedTarget),
    args: &Args,
    (old, shared): (Option<Credential>, &Shared),
) -> Result<(Credential, Vec<String>), Fault> {
    let missing = || Fault::internal("a rotated secret of hosts has no credentials");
    let old = old.ok_or_else(missing)?;
    let mut hosts = Hosts::read(&old)?.ok_or_else(missing)?;
    let (rotator, way) = (secret.rotator, &ctx.services().engines);
    let site = target.site(rotator, (&secret.settings, secret.actor), way).ok_or_else(missing)?;
    let mut warnings = site.check()?;
    let given = match has_new(rotator, args) {
        true => Some(rotator.corrected(args, &hosts.any().ok_or_else(missing)?)?),
        false => None,
    };
    if let Some(given) = &given {
        need_others(rotator, site.is_keepers(given))?;
    }
    let tried = !shared.skip_trial;
    warnings.extend(site.corrected(&mut hosts, given.as_ref(), tried).await?);
    Ok((hosts.stored(), warnings))
}

fn made(terms: Terms, known: RotationFacts, actor: Actor) -> Made {
    let RotationFacts { rotator, rotator_type, of_target, .. } = known;
    let of_target = (of_target, actor == Actor::Target);
    let made = terms.made((rotator, rotator_type), TargetChoice::Same, of_target);
    Made::Rotated(Box::new(made))
}

/// Changes what is said about the secret besides its settings; gives the path it has then.
async fn describe(
    ctx: &Ctx,
    args: &Args,
    path: ItemPath,
    shared: Shared,
) -> Result<ItemPath, Fault> {
    let Shared { description, delete_protection, custom_fields, max_versions, .. } = shared;
    let new_path = args.path_opt(&NEW_NAME)?;
    let name_tag = match &new_path {
        Some(new) => ctx.crypt().attest_name(ctx, path.clone(), new).await,
        None => None,
    };
    let now = new_path.clone().unwrap_or_else(|| path.clone());
    let parts = ItemUpdateParts {
        new_path,
        description,
        add_tags: args.get(&ADD_TAG)?.unwrap_or_default(),
        remove_tags: args.get(&RM_TAG)?.unwrap_or_default(),
        delete_protection,
        custom_fields,
        max_versions,
        name_tag,
        ..ItemUpdateParts::default()
    };
    let nothing = parts.new_path.is_none()
        && parts.description.is_none()
        && parts.add_tags.is_empty()
        && parts.remove_tags.is_empty()
        && parts.delete_protection.is_none()
        && parts.custom_fields.is_empty()
        && parts.max_versions.is_none();
    if !nothing {
        ctx.ask(ItemUpdate { path, parts }).await?;
    }
    Ok(now)
}
