//! `rotated-secret-get-value`: the credentials of a rotated secret.

use keysherd_base::{Fault, ItemPath};
use keysherd_engines::rotator::Hosts;
use keysherd_plane::credential_rotations::RotatedCheckOut;
use keysherd_plane::grants::{ItemRef, Purpose};
use keysherd_wire::{
    Access, Answer, Args, Body, Command, Field, FieldSpec, Flag, Group, Int, Show, Spec, Text,
    bad_setting, wipe,
};
use serde_json::{Map, Value};

use crate::commands::ApiCommand;
use crate::crypt::OpenedForUse;
use crate::ctx::Ctx;
use crate::engines::{OpenedRotated, OpenedTarget};
use crate::fields::{NAME, SESSION};

const NAMES: Field<Text> = Field::text("names", "Path of the rotated secret.").required();
const VERSION: Field<Int> = Field::int("version", "A version; none: the newest.");
const HOST: Field<Text> =
    Field::text("host", "A host of a linked target: only its credentials are given.");
const IGNORE_CACHE: Field<Flag> =
    Field::flag("ignore-cache", "Credentials are never kept by gateways.").inert();

static FIELDS: [FieldSpec; 4] = [NAME.spec(), VERSION.spec(), HOST.spec(), IGNORE_CACHE.spec()];
static OLD_FIELDS: [FieldSpec; 4] =
    [NAMES.spec(), VERSION.spec(), HOST.spec(), IGNORE_CACHE.spec()];
static GROUPS: [&Group; 1] = [&SESSION];

const fn spec(name: &'static str, fields: &'static [FieldSpec], summary: &'static str) -> Spec {
    Spec {
        name,
        aliases: &[],
        success: 200,
        summary,
        groups: &GROUPS,
        fields,
        reply: "dict(str, object)",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    }
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: spec("rotated-secret-get-value", &FIELDS, "Get the credentials of a rotated secret."),
    run: &|ctx, args| {
        Box::pin(async move {
            let path = args.path(&NAME)?;
            value(&ctx, &args, path).await
        })
    },
};

/// The older spelling, which names the secret in another field.
pub(super) static OLD: ApiCommand = Command {
    spec: spec(
        "get-rotated-secret-value",
        &OLD_FIELDS,
        "Get the credentials of a rotated secret; the older spelling of rotated-secret-get-value.",
    ),
    run: &|ctx, args| {
        Box::pin(async move {
            let path = args.path(&NAMES)?;
            value(&ctx, &args, path).await
        })
    },
};

async fn value(ctx: &Ctx, args: &Args, path: ItemPath) -> Result<Answer, Fault> {
    let version =
        match args.get(&VERSION)? {
            None | Some(0) => None,
            Some(number) => Some(u32::try_from(number).map_err(|_| {
                Fault::bad_request("invalid value of 'version': it must be 1 or more")
            })?),
        };
    let purpose = Purpose::Credentials { version };
    let item = ItemRef::Path(path.clone());
    let opened = match ctx.crypt().open(ctx, item.clone(), purpose).await {
        Err(fault) if fault.code() == "CheckOutFirst" => {
            ctx.ask(RotatedCheckOut { item: path }).await?;
            ctx.crypt().open(ctx, item, purpose).await?
        }
        other => other?,
    };
    let host = args.get(&HOST)?.filter(|host| !host.is_empty());
    let mut reply = Map::new();
    reply.insert("value".to_owned(), Value::Object(shown(&opened, host.as_deref())?));
    let reply = Value::Object(reply);
    let answer = Answer::json(&reply);
    wipe(reply);
    answer
}

/// What V2 has under `value`.
fn shown(opened: &OpenedForUse, host: Option<&str>) -> Result<Map<String, Value>, Fault> {
    match opened.items.as_slice() {
        [secret] => {
            let secret = OpenedRotated::of(secret)?;
            let missing = || Fault::internal("a rotated secret has no credentials");
            let credentials = secret.credentials.as_ref().ok_or_else(missing)?;
            match (Hosts::read(credentials)?, host) {
                (Some(hosts), None) => return Ok(hosts.all()),
                (Some(hosts), Some(host)) => return hosts.of_host(host),
                (None, Some(_)) => return Err(no_hosts()),
                (None, None) => {}
            }
            Ok(secret.rotator.shown(&secret.settings, credentials))
        }
        [_, _] | [_, _, _] if host.is_some() => Err(no_hosts()),
        [secret, target] | [secret, target, _] => {
            let secret = OpenedRotated::of(secret)?;
            let target = OpenedTarget::of_one(std::slice::from_ref(target))?;
            secret.check_target(&target)?;
            let mut value = Map::new();
            value.insert("target_value".to_owned(), Value::Object(target.details().1));
            Ok(value)
        }
        _ => Err(Fault::internal("control granted something else than was asked")),
    }
}

fn no_hosts() -> Fault {
    bad_setting(
        HOST.name(),
        "the target of this secret is no linked one, so there is nothing to choose",
    )
}
