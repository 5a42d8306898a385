//! `reencrypt`, ours: seals values again with fresh data keys, which re-wrapping does not do.

use std::collections::BTreeMap;

use keysherd_base::{Fault, ItemId, ItemPath};
use keysherd_crypto::hash::sha256;
use keysherd_plane::grants::{ItemRef, VersionWish, WriteTarget};
use keysherd_plane::items::ItemDescribe;
use keysherd_plane::rotation::{KeyValues, RESEAL_MAX, ValueReseal};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, List, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::Freshness;
use crate::ctx::Ctx;
use crate::fields::{PAGINATION_TOKEN, SESSION};

/// Values of one call unless it says otherwise.
const LIMIT_DEFAULT: i64 = 100;

const NAMES: Field<List> =
    Field::list("names", "Paths of the secrets, all of whose versions are sealed again.");
const KEY: Field<Text> =
    Field::text("key", "Path of a key: everything it wraps is sealed again, page by page.");
const LIMIT: Field<Int> =
    Field::int("limit", "Values of one page, 1 to 1000, with key.").default("100");

#[derive(Default, Serialize)]
struct Reply {
    reencrypted: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<String>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "reencrypt",
        aliases: &[],
        success: 200,
        summary: "Seal secrets again with fresh data keys, by name or all of a key. Ours, not of \
                  the V2 API.",
        groups: &[&SESSION],
        fields: &[NAMES.spec(), KEY.spec(), LIMIT.spec(), PAGINATION_TOKEN.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let names = args.get(&NAMES)?.unwrap_or_default();
    match (names.is_empty(), args.path_opt(&KEY)?) {
        (false, None) => by_name(ctx, names).await,
        (true, Some(key)) => by_key(ctx, key, &args).await,
        _ => Err(Fault::bad_request("give either 'names' of secrets or a 'key'")),
    }
}

/// All versions of these secrets, or a fault; what was done by then stays done, and can be
/// repeated.
async fn by_name(ctx: Ctx, names: Vec<String>) -> Result<Answer, Fault> {
    let mut reply = Reply::default();
    for name in names {
        let path = ItemPath::parse(&name)?;
        let item = ItemRef::Path(path.clone());
        let view = ctx.ask(ItemDescribe { item, with_versions: true }).await?;
        for version in view.versions.iter().map(|version| version.version) {
            reseal(&ctx, &path, version).await?;
            reply.reencrypted += 1;
        }
    }
    Answer::json(&reply)
}

/// A page of what a key wraps. One value that fails does not keep the others from it.
async fn by_key(ctx: Ctx, key: ItemPath, args: &Args) -> Result<Answer, Fault> {
    let limit = usize::try_from(args.get_or(&LIMIT, LIMIT_DEFAULT)?).ok();
    let limit = limit.filter(|limit| (1..=RESEAL_MAX).contains(limit)).ok_or_else(|| {
        Fault::bad_request(format!("invalid value of 'limit': it must be 1 to {RESEAL_MAX}"))
    })?;
    let after = args.get(&PAGINATION_TOKEN)?.map(|text| place(&text)).transpose()?;
    let page = ctx.ask(KeyValues { key, after, limit }).await?;
    let mut reply = Reply { next_page: page.next.map(shown), ..Reply::default() };
    for (path, version) in page.values {
        match reseal(&ctx, &path, version).await {
            Ok(()) => reply.reencrypted += 1,
            Err(fault) => {
                reply.failed.insert(format!("{path} version {version}"), fault.to_string());
            }
        }
    }
    if page.hidden > 0 {
        let what = format!("{} values are of secrets that you cannot change", page.hidden);
        reply.failed.insert(String::new(), what);
    }
    Answer::json(&reply)
}

/// Reads one value and stores it again, if it is still the one that was read.
async fn reseal(ctx: &Ctx, path: &ItemPath, version: u32) -> Result<(), Fault> {
    let item = vec![ItemRef::Path(path.clone())];
    let wish = VersionWish::Exactly(version);
    let opened = ctx.crypt().read(ctx, item, wish, Freshness::Asked).await?;
    let opened = opened.into_iter().next().and_then(|item| {
        let stored = item.item.versions.first()?;
        let read_sha256 = sha256(&[&stored.ciphertext]);
        Some((read_sha256, item.values.into_iter().next()?))
    });
    let no_value = || Fault::not_found(format!("{path} has no version {version}"));
    let (read_sha256, opened) = opened.ok_or_else(no_value)?;
    let target = WriteTarget::SameValue { path: path.clone(), version };
    let mut sealed = ctx.crypt().seal(ctx, target, opened.value).await?;
    // A name that nobody attested before is not attested by this.
    if opened.name_attested != Some(true) {
        sealed.value.name_tag = None;
    }
    let reseal = ValueReseal {
        path: path.clone(),
        uid: sealed.uid,
        version,
        read_sha256,
        value: sealed.value,
    };
    ctx.ask(reseal).await.map(drop)
}

fn place(text: &str) -> Result<(ItemId, u32), Fault> {
    let wrong = || Fault::bad_request("invalid pagination-token: use the next_page of a page");
    let (item, version) = text.split_once('.').ok_or_else(wrong)?;
    let item = item.parse().map_err(|_| wrong())?;
    Ok((ItemId(item), version.parse().map_err(|_| wrong())?))
}

fn shown((item, version): (ItemId, u32)) -> String {
    format!("{}.{version}", item.0)
}
