//! `get-secret-value`: reads the values of static secrets, many names in one call.

use keysherd_base::limits::{NAMES_PER_READ_MAX, VERSIONS_PER_READ_MAX};
use keysherd_base::{Fault, ItemPath, SecretBuffer};
use keysherd_domain::item::ItemKind;
use keysherd_plane::grants::{ItemRef, VersionWish};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, List, Show, Spec};

use crate::commands::ApiCommand;
use crate::crypt::{Freshness, OpenedItem, OpenedValue};
use crate::ctx::Ctx;
use crate::fields::{ACCESSIBILITY, JSON, SESSION};

const NAMES: Field<List> =
    Field::list("names", "Paths of the secrets, at most 1000.").required().short('n');
const VERSION: Field<Int> = Field::int(
    "version",
    "A version; 0 is the newest, a negative number -N stands for the last N, at most 20.",
);
const IGNORE_CACHE: Field<Flag> =
    Field::flag("ignore-cache", "Ask the control plane, also where the gateway may answer itself.")
        .default("false");
const PRETTY_PRINT: Field<Flag> =
    Field::flag("pretty-print", "The command line indents JSON by itself.").inert();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "get-secret-value",
        aliases: &[],
        success: 200,
        summary: "Read the values of static secrets.",
        groups: &[&SESSION],
        fields: &[
            NAMES.spec(),
            VERSION.spec(),
            ACCESSIBILITY.spec(),
            IGNORE_CACHE.spec(),
            PRETTY_PRINT.spec(),
        ],
        reply: "dict(str, object)",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Value,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let names = distinct(args.need(&NAMES)?)?;
    let version = version_wish(args.get_or(&VERSION, 0)?)?;
    let as_json = args.get_or(&JSON, false)?;
    let items = names
        .iter()
        .map(|name| Ok(ItemRef::Path(ItemPath::parse(name)?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let asked = args.get_or(&IGNORE_CACHE, false)?;
    let freshness = if asked { Freshness::Asked } else { Freshness::Coherent };
    let opened = ctx.crypt().read(&ctx, items, version, freshness).await?;
    let size: usize =
        opened.iter().flat_map(|item| &item.values).map(|v| v.value.expose().len()).sum();
    let hold = ctx.services().answers.take(size)?;
    let mut body = SecretBuffer::with_capacity(size + size / 8 + names.len() * 80 + 2);
    body.extend(b"{");
    for (name, item) in names.iter().zip(&opened) {
        if body.len() > 1 {
            body.extend(b",");
        }
        write_text(&mut body, name)?;
        body.extend(b":");
        write_item(&mut body, item, version, as_json)?;
    }
    body.extend(b"}");
    let attested = opened.iter().flat_map(|item| &item.values).map(|value| value.name_attested);
    let attested = attested.reduce(|all, one| Some(all? && one?)).flatten();
    Ok(Answer::secret(body).holding(hold).with_name_attested(attested))
}

/// The names, each once, in their order.
fn distinct(names: Vec<String>) -> Result<Vec<String>, Fault> {
    if names.is_empty() {
        return Err(Fault::bad_request("missing required field 'names'"));
    }
    if names.len() > NAMES_PER_READ_MAX {
        return Err(Fault::bad_request(format!(
            "too many names: {}; at most {NAMES_PER_READ_MAX} in one call",
            names.len()
        )));
    }
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    let first = names.iter().map(|name| seen.insert(name.as_str())).collect::<Vec<_>>();
    drop(seen);
    Ok(names.into_iter().zip(first).filter_map(|(name, first)| first.then_some(name)).collect())
}

fn version_wish(version: i64) -> Result<VersionWish, Fault> {
    let invalid = || Fault::bad_request("invalid value of 'version': it is out of range");
    match version {
        0 => Ok(VersionWish::Latest),
        1.. => u32::try_from(version).map(VersionWish::Exactly).map_err(|_| invalid()),
        _ => {
            let last = u32::try_from(version.unsigned_abs()).map_err(|_| invalid())?;
            Ok(VersionWish::Last(last.min(VERSIONS_PER_READ_MAX)))
        }
    }
}

fn write_item(
    body: &mut SecretBuffer,
    item: &OpenedItem,
    version: VersionWish,
    as_json: bool,
) -> Result<(), Fault> {
    if item.item.kind != ItemKind::StaticSecret {
        return Err(Fault::bad_request(format!(
            "item {} is a {}, not a static secret",
            item.item.path,
            item.item.kind.type_name()
        )));
    }
    if !matches!(version, VersionWish::Last(_)) {
        let value = item
            .values
            .first()
            .ok_or_else(|| Fault::not_found(format!("item {} has no value", item.item.path)))?;
        return write_value(body, value, as_json);
    }
    body.extend(b"{");
    for (index, value) in item.values.iter().enumerate() {
        if index > 0 {
            body.extend(b",");
        }
        body.extend(format!("\"{}\":", value.version).as_bytes());
        write_value(body, value, as_json)?;
    }
    body.extend(b"}");
    Ok(())
}

fn write_value(body: &mut SecretBuffer, value: &OpenedValue, as_json: bool) -> Result<(), Fault> {
    let bytes = value.value.expose();
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if as_json && matches!(bytes.first(), Some(b'{' | b'[')) && is_json() {
        body.extend(bytes);
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map_err(Fault::internal)?;
    write_text(body, text)
}

fn write_text(body: &mut SecretBuffer, text: &str) -> Result<(), Fault> {
    serde_json::to_writer(body, text).map_err(Fault::internal)
}
