//! The create and update commands of a family member, in the current and the older spellings.
//!
//! Written once for all members; what is a member's own comes from its [`Kind`] and its fields.
//! The specifications are made when the program starts and live as long as it does.

use keysherd_authn::{Kind, Method, Prepared, Spelling, Wanted};
use keysherd_base::{AccessId, Fault, ItemPath};
use keysherd_domain::auth_method::MethodDetail;
use keysherd_plane::auth_methods::{MethodCreate, MethodDelete, MethodUpdate};
use keysherd_wire::{Access, Answer, Args, Body, Command, FieldSpec, Group, Show, Spec};
use serde_json::{Map, Value};

use super::shared::{self, DELIMITED, SHARED};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, NEW_NAME, SESSION};
use crate::kept::Keeping;

const CREATED: &str = "Auth Method {name} successfully created\n- Access ID: {access_id}\n\
                       - Private Key: {prv_key}";
const UPDATED: &str = "Auth Method {name} successfully updated\n- Private Key: {prv_key}";

static CREATE_FIELDS: [FieldSpec; 1] = [NAME.spec()];
static UPDATE_FIELDS: [FieldSpec; 2] = [NAME.spec(), NEW_NAME.spec()];

/// The commands of `member`.
pub(super) fn of(member: &'static dyn Method) -> Vec<&'static ApiCommand> {
    let kind = member.kind();
    let create = kind.create.iter().enumerate().map(|(age, spelling)| {
        let summary = sentence("Create an auth method for", kind, age, &kind.create[0]);
        let spec = spec(member, spelling, summary, &CREATE_FIELDS, "create", CREATED);
        command(spec, move |ctx, args| Box::pin(create(member, spelling, ctx, args)))
    });
    let update = kind.update.iter().enumerate().map(|(age, spelling)| {
        let summary = sentence("Replace what is known about", kind, age, &kind.update[0]);
        let spec = spec(member, spelling, summary, &UPDATE_FIELDS, "update", UPDATED);
        command(spec, move |ctx, args| Box::pin(update(member, spelling, ctx, args)))
    });
    create.chain(update).collect()
}

fn command<F>(spec: Spec, run: F) -> &'static ApiCommand
where
    F: Fn(Ctx, Args) -> keysherd_wire::Run + Send + Sync + 'static,
{
    Box::leak(Box::new(Command { spec, run: Box::leak(Box::new(run)) }))
}

fn sentence(verb: &str, kind: &Kind, age: usize, current: &Spelling) -> String {
    match age {
        0 => format!("{verb} {}.", kind.bearers),
        _ => format!("{verb} {}; the older spelling of {}.", kind.bearers, current.name),
    }
}

fn spec(
    member: &'static dyn Method,
    spelling: &Spelling,
    summary: String,
    fields: &'static [FieldSpec],
    capability: &'static str,
    show: &'static str,
) -> Spec {
    let mut groups: Vec<&'static Group> = vec![&SESSION, &SHARED, member.fields()];
    if member.kind().delimited {
        groups.push(&DELIMITED);
    }
    let shown = spelling.shows.contains(&"name");
    // Whoever has a gateway keep something configures that gateway.
    let access = match member.keeps() {
        Some(_) => Access::Admin,
        None => Access::Right("auth-method-rule", capability),
    };
    Spec {
        name: spelling.name,
        aliases: &[],
        success: spelling.success,
        summary: summary.leak(),
        groups: groups.leak(),
        fields,
        reply: spelling.reply,
        access,
        body: Body::Object,
        show: if shown { Show::Sentence(show) } else { Show::Json },
    }
}

async fn create(
    member: &'static dyn Method,
    spelling: &'static Spelling,
    ctx: Ctx,
    args: Args,
) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let keeping = Keeping::begin(&ctx, member, None).await?;
    let Prepared { settings, private_key, kept } = member.settings(&args, Wanted::New, &ctx)?;
    let detail = MethodDetail::Member { kind: member.kind().name.to_owned(), settings };
    let create = MethodCreate { path: path.clone(), shared: shared::read(&args)?, detail };
    let created = ctx.ask(create).await?;
    if let (Some(keeping), Some(body)) = (keeping, kept)
        && let Err(fault) = keeping.put(&ctx, &created.access_id, body).await
    {
        return Err(taken_back(&ctx, path, fault).await);
    }
    let key = private_key.as_ref().map(|key| key.expose().as_str());
    Ok(answer(spelling, &path, &created.access_id, key)?.with_warnings(created.warnings))
}

async fn update(
    member: &'static dyn Method,
    spelling: &'static Spelling,
    ctx: Ctx,
    args: Args,
) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let new_path = args.path_opt(&NEW_NAME)?;
    let keeping = Keeping::begin(&ctx, member, Some(&path)).await?;
    let changed = Wanted::Changed(keeping.as_ref().and_then(|keeping| keeping.access_id.clone()));
    let Prepared { settings, private_key, kept } = member.settings(&args, changed, &ctx)?;
    let update = MethodUpdate {
        path: path.clone(),
        new_path: new_path.clone(),
        shared: Some(shared::read(&args)?),
        kind: member.kind().name.to_owned(),
        settings: Some(settings),
        demand_second_factor: None,
    };
    let updated = ctx.ask(update).await?;
    if let (Some(keeping), Some(body)) = (keeping, kept) {
        // Control knows at most a key more now, of which nobody has the private half.
        keeping.put(&ctx, &updated.access_id, body).await?;
    }
    let key = private_key.as_ref().map(|key| key.expose().as_str());
    let reply = answer(spelling, &new_path.unwrap_or(path), &updated.access_id, key)?;
    Ok(reply.with_warnings(updated.warnings))
}

/// Deletes a method again for which this gateway could not keep what its logins need; says what
/// failed, and what is left if that fails too.
async fn taken_back(ctx: &Ctx, path: ItemPath, fault: Fault) -> Fault {
    let left = format!(
        "auth method {path} was made, but this gateway cannot keep what its logins need: {}; \
         delete it, or repeat that with the update command",
        fault.public()
    );
    match ctx.ask(MethodDelete { path }).await {
        Ok(_) => fault,
        Err(stays) => Fault::new(fault.kind(), left).with_private(stays),
    }
}

/// Of what is known, the fields that the spelling's reply has.
fn answer(
    spelling: &Spelling,
    path: &ItemPath,
    access_id: &AccessId,
    private_key: Option<&str>,
) -> Result<Answer, Fault> {
    let known = [
        ("name", Some(path.bare())),
        ("access_id", Some(access_id.as_str())),
        ("prv_key", private_key),
    ];
    let shown = known.into_iter().filter(|(name, _)| spelling.shows.contains(name));
    let reply: Map<String, Value> =
        shown.filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
    Answer::json(&reply)
}
