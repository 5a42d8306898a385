//! The create commands of a rotator, made from the family.

use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::item::{SecretKind, ValueFormat};
use keysherd_domain::target::stored_path;
use keysherd_engines::rotator::{Actor, Credential, Rotator, RotatorType, Site, Stage};
use keysherd_plane::grants::{ItemRef, Purpose, WriteTarget};
use keysherd_plane::items::{Made, SecretCreate, TargetChoice};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Group, Settings, Show, Spec, Text,
    bad_setting,
};
use serde::Serialize;

use super::shared::{ACTOR, GRACEFUL, SESSIONS, SHARED, Shared, Terms};
use crate::commands::ApiCommand;
use crate::commands::items::nothing_yet;
use crate::ctx::Ctx;
use crate::defaults::Defaults;
use crate::engines::{OpenedTarget, Sealed};
use crate::fields::{NAME, SESSION, TAGS};

pub(super) const TARGET_NAME: Field<Text> = Field::text(
    "target-name",
    "Path of the target; needs `list` on it, and `read` and `update` where its own password \
     rotates.",
)
.required();
pub(super) const ROTATOR_TYPE: Field<Text> =
    Field::text("rotator-type", "What changes: password, a user's, or target, the target's own.")
        .required();

/// What making and changing one answers with.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
}

/// The commands of `rotator`.
pub(super) fn of(rotator: &'static dyn Rotator) -> Vec<&'static ApiCommand> {
    let kind = rotator.kind();
    let each = kind.create.iter().map(|spelling| {
        let summary = format!("Make a rotated secret for {}.", kind.what);
        // What has one type only is not asked for it.
        let of = (kind.types.len() > 1).then_some(ROTATOR_TYPE.spec());
        let fields = [NAME.spec(), TARGET_NAME.spec(), TAGS.spec()].into_iter().chain(of).collect();
        let shown = ("create", "The rotated secret {name} was successfully created");
        let (name, reply) = ((spelling.name, spelling.success), spelling.reply);
        let spec = spec(rotator, name, (summary, reply), fields, shown);
        command(spec, move |ctx: Ctx, args: Args| {
            Box::pin(async move {
                let wanted = Wanted::read(&args)?;
                let target = wanted.opened_target(&ctx).await?;
                wanted.create(&ctx, &args, (rotator, target)).await
            })
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

/// The specification of a command of the family.
pub(super) fn spec(
    rotator: &'static dyn Rotator,
    (name, success): (&'static str, u16),
    (summary, reply): (String, &'static str),
    fields: Vec<FieldSpec>,
    (capability, show): (&'static str, &'static str),
) -> Spec {
    let kind = rotator.kind();
    let mut groups: Vec<&'static Group> = vec![&SESSION, &SHARED, kind.given, kind.fields];
    if has_sessions(rotator) {
        groups.push(&SESSIONS);
    }
    if rotator.is_graceful() {
        groups.push(&GRACEFUL);
    }
    if !kind.remote.fields.is_empty() {
        groups.push(kind.remote);
    }
    Spec {
        name,
        aliases: &[],
        success,
        summary: summary.leak(),
        groups: groups.leak(),
        fields: fields.leak(),
        reply,
        access: Access::Right("item-rule", capability),
        body: Body::Object,
        show: Show::Sentence(show),
    }
}

/// Whether V2 knows sessions that use the credentials: where remote access is.
pub(super) fn has_sessions(rotator: &dyn Rotator) -> bool {
    !rotator.kind().remote.fields.is_empty()
}

/// What somebody wants to have made, as far as that does not depend on the kind.
pub(super) struct Wanted {
    path: ItemPath,
    shared: Shared,
    terms: Terms,
    target: ItemPath,
}

impl Wanted {
    /// Reads it.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub(super) fn read(args: &Args) -> Result<Self, Fault> {
        let path = args.path(&NAME)?;
        let (shared, terms) = (Shared::read(args)?, Terms::read(args, None)?);
        let target = stored_path(&args.path(&TARGET_NAME)?)?;
        Ok(Self { path, shared, terms, target })
    }

    /// The target that is named, for the gateway to use.
    ///
    /// # Errors
    /// Control's refusal.
    pub(super) async fn opened_target(&self, ctx: &Ctx) -> Result<OpenedTarget, Fault> {
        let item = ItemRef::Path(self.target.clone());
        let opened = ctx.crypt().open(ctx, item, Purpose::UseTarget).await?;
        OpenedTarget::to_use(&opened.items)
    }

    /// Makes it on its target.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for what cannot be, or does not sign in; what keeps anybody from
    /// knowing; control's refusal.
    pub(super) async fn create(
        self,
        ctx: &Ctx,
        args: &Args,
        (rotator, target): (&'static dyn Rotator, OpenedTarget),
    ) -> Result<Answer, Fault> {
        let Self { path, shared, mut terms, target: target_path } = self;
        let of = rotator_type(rotator, args)?;
        terms.check(rotator)?;
        let mut settings = rotator.merged(args, Settings::default())?;
        let actor = shared.actor.unwrap_or(Actor::Owner);
        let mut warnings;
        let credentials;
        let way = &ctx.services().engines;
        if let Some(site) = target.site(rotator, (&settings, actor), way) {
            let given = first_on(&site, of, args)?;
            warnings = site.check()?;
            let (hosts, said) = site.first(&given, !shared.skip_trial).await?;
            warnings.extend(said);
            credentials = Some(hosts.stored());
        } else {
            warnings = rotator.check(&settings, &target.in_use())?;
            credentials = first(rotator, of, &target, args)?;
            if !shared.skip_trial {
                let stage = Stage { settings: &settings, target: target.in_use(), actor, way };
                let (met, said) = rotator.met(&stage).await?;
                settings = rotator.merged(&met, settings)?;
                warnings.extend(said);
                let in_use = credentials.as_ref();
                tried(ctx, rotator, (&settings, &target, actor), in_use).await?;
            }
        }
        let name = rotator.kind().name;
        let value = (actor == Actor::Target, credentials.as_ref());
        let plaintext = Sealed::rotated(name, Some(target.uid), &settings, value)?;
        drop(credentials);
        let names = (name.to_owned(), of.name.to_owned());
        let of_target = (of.of_target, actor == Actor::Target);
        let made = terms.made(names, TargetChoice::Named(target_path), of_target);
        let made = Made::Rotated(Box::new(made));
        let warned = stored(ctx, (path.clone(), made), shared, args, plaintext).await?;
        let warnings: Vec<_> = warnings.into_iter().chain(warned).collect();
        Ok(Answer::json(&Named { name: path.as_str() })?.with_warnings(warnings))
    }
}

/// Seals and records a new secret; gives what control warns of.
async fn stored(
    ctx: &Ctx,
    (path, made): (ItemPath, Made),
    shared: Shared,
    args: &Args,
    plaintext: keysherd_base::SecretBytes,
) -> Result<Vec<String>, Fault> {
    let cluster_key = match shared.key {
        Some(_) => None,
        None => Defaults::of_cluster(&*ctx.services().configs).await?.key,
    };
    let uid = Uid::random(&*ctx.services().rng)?;
    let mut create = SecretCreate {
        path: path.clone(),
        made,
        uid,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Json,
        description: shared.description.unwrap_or_default(),
        tags: args.get(&TAGS)?.unwrap_or_default(),
        protection_key: shared.key.clone(),
        cluster_key,
        max_versions: shared.max_versions,
        delete_protection: shared.delete_protection,
        websites: Vec::new(),
        custom_fields: shared.custom_fields,
        change_event: false,
        value: nothing_yet(),
    };
    let write = WriteTarget::NewSecret { path, uid, protection_key: shared.key, cluster_key };
    let sealed = ctx.crypt().seal(ctx, write, plaintext).await?;
    create.value = sealed.value.clone();
    let created = ctx.ask(create).await?;
    ctx.crypt().recorded(&sealed);
    Ok(created.warnings)
}

fn rotator_type(rotator: &dyn Rotator, args: &Args) -> Result<&'static RotatorType, Fault> {
    let kind = rotator.kind();
    if let [only] = kind.types {
        return Ok(only);
    }
    let names = || kind.types.iter().map(|known| known.name).collect::<Vec<_>>().join(" or ");
    kind.type_of(&args.need(&ROTATOR_TYPE)?)
        .ok_or_else(|| bad_setting(ROTATOR_TYPE.name(), &format!("it must be {}", names())))
}

/// The credentials to begin with; none where they are the target's own.
fn first(
    rotator: &dyn Rotator,
    of: &RotatorType,
    target: &OpenedTarget,
    args: &Args,
) -> Result<Option<Credential>, Fault> {
    if of.of_target {
        return Ok(None);
    }
    let given = rotator.first(args)?;
    need_others(rotator, rotator.is_keepers(&target.in_use(), &given))?;
    Ok(Some(given))
}

/// Refuses credentials that are the target's own.
pub(super) fn need_others(rotator: &dyn Rotator, is_keepers: bool) -> Result<(), Fault> {
    if !is_keepers {
        return Ok(());
    }
    // What says whose they are: a user, else an application, else what is asked for first.
    let fields = rotator.kind().given.fields;
    let named = |name: &str| fields.iter().find(|field| field.name == name);
    let field = named("rotated-username").or_else(|| named("application-id")).or(fields.first());
    Err(bad_setting(
        field.map_or("rotated-username", |field| field.name),
        "this is whom the target signs in, which could not any more afterwards; only a rotated \
         secret of the target's own, of rotator-type target, can change it",
    ))
}

/// The credentials to begin with on the hosts of a linked target.
fn first_on(site: &Site<'_>, of: &RotatorType, args: &Args) -> Result<Credential, Fault> {
    if of.of_target {
        let why = "the credentials of a linked target are its parent's; make the rotated secret \
                   for the parent, or set rotator-type to what rotates a user's";
        return Err(bad_setting(ROTATOR_TYPE.name(), why));
    }
    if site.actor == Actor::Target && site.parent.is_none() {
        let why = "the linked target has no parent, so only users can change what is theirs: \
                   use-user-creds";
        return Err(bad_setting(ACTOR.name(), why));
    }
    let given = site.rotator.first(args)?;
    need_others(site.rotator, site.is_keepers(&given))?;
    Ok(given)
}

/// Tries credentials out; without any, those of the target.
///
/// # Errors
/// [`Fault::bad_request`] where they do not sign in; what keeps anybody from knowing.
pub(super) async fn tried(
    ctx: &Ctx,
    rotator: &dyn Rotator,
    (settings, target, actor): (&Settings, &OpenedTarget, Actor),
    credentials: Option<&Credential>,
) -> Result<(), Fault> {
    let way = &ctx.services().engines;
    let stage = Stage { settings, target: target.in_use(), actor, way };
    let own;
    let credentials = match credentials {
        Some(given) => given,
        None => {
            own = rotator.of_target(&target.in_use())?;
            &own
        }
    };
    if rotator.signs_in(&stage, credentials).await? {
        return Ok(());
    }
    Err(Fault::bad_request(
        "the target does not let anybody in with these credentials, so they could not be rotated; \
         check them, or set skip-dry-run",
    ))
}

#[cfg(test)]
mod tests {
    use keysherd_base::FaultKind;

    use super::need_others;

    #[test]
    fn the_targets_own_are_refused_by_a_field_of_their_kind() {
        for rotator in keysherd_engines::rotators::all() {
            need_others(*rotator, false).unwrap();
            let kind = rotator.kind();
            let fault = need_others(*rotator, true).unwrap_err();
            assert_eq!(fault.kind(), FaultKind::BadRequest);
            let said = fault.public();
            assert!(kind.given.fields.iter().any(|field| said.contains(field.name)), "{said}");
            assert!(said.contains("rotator-type"), "{said}");
        }
    }
}
