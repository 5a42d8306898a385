//! The create commands of an engine, in every spelling, made from the family.

use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::item::{SecretKind, ValueFormat};
use keysherd_domain::target::stored_path;
use keysherd_engines::{Engine, Scene, Spelling, TargetUse};
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{ItemDescribe, Made, SecretCreate, TargetChoice};
use keysherd_wire::{Access, Answer, Args, Body, Command, FieldSpec, Group, Settings, Show, Spec};
use serde_json::{Map, Value};

use super::details::details;
use super::shared::{ON_TARGET, SHARED, Shared};
use crate::commands::ApiCommand;
use crate::commands::items::nothing_yet;
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::engines::{OpenedSecret, OpenedTarget, Sealed, trial};
use crate::fields::{NAME, SESSION};

/// The commands of `engine`.
pub(super) fn of(engine: &'static dyn Engine) -> Vec<&'static ApiCommand> {
    let kind = engine.kind();
    let each = kind.create.iter().map(|spelling| {
        let summary = sentence("Make a dynamic secret for", kind.what, spelling, &kind.create[0]);
        let show = "The dynamic secret {name} was successfully created";
        let spec = spec(engine, spelling, summary, vec![NAME.spec()], ("create", show));
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move { create(engine, spelling, &ctx, &args).await })
        })
    });
    each.collect()
}

/// A command that lives as long as the program.
pub(super) fn command<F>(spec: Spec, run: F) -> &'static ApiCommand
where
    F: Fn(Ctx, Args) -> keysherd_wire::Run + Send + Sync + 'static,
{
    Box::leak(Box::new(Command { spec, run: Box::leak(Box::new(run)) }))
}

/// What a command of a family does, in a sentence.
pub(super) fn sentence(verb: &str, what: &str, spelling: &Spelling, current: &Spelling) -> String {
    // Some kinds have nothing but an older one.
    if spelling.name == current.name {
        return format!("{verb} {what}.");
    }
    let which = if spelling.older { "the older" } else { "another" };
    format!("{verb} {what}; {which} spelling of {}.", current.name)
}

/// The specification of a command of a family.
pub(super) fn spec(
    engine: &'static dyn Engine,
    spelling: &Spelling,
    summary: String,
    mut fields: Vec<FieldSpec>,
    (capability, show): (&'static str, &'static str),
) -> Spec {
    fields.extend(engine.kind().key_field().map(|key| key.spec()));
    let mut groups: Vec<&'static Group> = vec![&SESSION, &SHARED, engine.kind().fields];
    let kind = engine.kind();
    if !kind.targets.is_empty() {
        groups.push(&ON_TARGET);
    }
    if !kind.remote.fields.is_empty() {
        groups.push(kind.remote);
    }
    Spec {
        name: spelling.name,
        aliases: &[],
        success: spelling.success,
        summary: summary.leak(),
        groups: groups.leak(),
        fields: fields.leak(),
        reply: spelling.reply,
        access: Access::Right("item-rule", capability),
        body: Body::Object,
        show: Show::Sentence(show),
    }
}

async fn create(
    engine: &'static dyn Engine,
    spelling: &Spelling,
    ctx: &Ctx,
    args: &Args,
) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let shared = Shared::read(engine, args)?;
    let target_path = shared.target.as_ref().map(stored_path).transpose()?;
    let target = opened_target(ctx, target_path.clone()).await?;
    let mut settings = engine.merged(args, Settings::default())?;
    let in_use = target.as_ref().map(OpenedTarget::in_use);
    let mut warnings = engine.check(&settings, in_use.as_ref())?;
    if !shared.skip_trial {
        warnings.extend(met(ctx, engine, &mut settings, in_use).await?);
    }
    let user_ttl_seconds = engine.kind().ttl_seconds(&settings)?;
    let plaintext =
        Sealed::bytes(engine.kind().name, target.as_ref().map(|target| target.uid), &settings)?;
    let cluster_key = match shared.key {
        Some(_) => None,
        None => Defaults::of_cluster(&*ctx.services().configs).await?.key,
    };
    let mut create = SecretCreate {
        path: path.clone(),
        made: Made::Dynamic {
            engine: engine.kind().name.to_owned(),
            user_ttl_seconds,
            target: target_path.map_or(TargetChoice::Without, TargetChoice::Named),
        },
        uid: Uid::random(&*ctx.services().rng)?,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Json,
        description: shared.description.unwrap_or_default(),
        tags: shared.tags.unwrap_or_default(),
        protection_key: shared.key.clone(),
        cluster_key,
        max_versions: None,
        delete_protection: shared.delete_protection,
        websites: Vec::new(),
        custom_fields: shared.custom_fields,
        change_event: false,
        value: nothing_yet(),
    };
    let write = WriteTarget::NewSecret {
        path: path.clone(),
        uid: create.uid,
        protection_key: shared.key,
        cluster_key,
    };
    let sealed = ctx.crypt().seal(ctx, write, plaintext).await?;
    create.value = sealed.value.clone();
    let created = ctx.ask(create).await?;
    ctx.crypt().recorded(&sealed);
    warnings.extend(created.warnings);
    if !shared.skip_trial {
        warnings.extend(trial(ctx, &path).await?);
    }
    Ok(shown(ctx, spelling, path).await?.with_warnings(warnings))
}

/// Remembers what is known of the target from now on; gives what to say about it.
pub(super) async fn met(
    ctx: &Ctx,
    engine: &'static dyn Engine,
    settings: &mut Settings,
    target: Option<TargetUse<'_>>,
) -> Result<Vec<String>, Fault> {
    let scene = Scene { settings, target, way: &ctx.services().engines };
    let (met, said) = engine.met(&scene).await?;
    // Who is believed to be there is known now, and was not another one: nothing is forgotten.
    let old = std::mem::take(settings);
    *settings = Settings::merged(engine.kind().fields, &met, old, &[])?;
    Ok(said)
}

/// The target that is named, for the gateway to use.
pub(super) async fn opened_target(
    ctx: &Ctx,
    path: Option<ItemPath>,
) -> Result<Option<OpenedTarget>, Fault> {
    let Some(path) = path else { return Ok(None) };
    let opened = ctx.crypt().open(ctx, ItemRef::Path(path), Purpose::UseTarget).await?;
    OpenedTarget::named(&opened.items).map(Some)
}

/// The secret as it is now, in the shape that the spelling answers with. Whoever may write it but
/// not read it is shown nothing.
pub(super) async fn shown(ctx: &Ctx, spelling: &Spelling, path: ItemPath) -> Result<Answer, Fault> {
    let field = if spelling.older { "producer_details" } else { "dynamic_secret_details" };
    let item = ItemRef::Path(path);
    let mut reply = Map::new();
    if let Ok(opened) = ctx.crypt().open(ctx, item.clone(), Purpose::Settings).await
        && let Ok(view) = ctx.ask(ItemDescribe { item, with_versions: false }).await
    {
        let secret = OpenedSecret::of_one(&opened.items)?;
        reply.insert(field.to_owned(), Value::Object(details(&view, &secret)?));
    }
    Answer::json(&reply)
}
