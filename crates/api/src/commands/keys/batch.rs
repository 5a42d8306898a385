//! `encrypt-batch` and `decrypt-batch`: many messages in one call, each with its own key.
//!
//! The body is an array; the answer's `result` is a JSON text with an array of the same length, in
//! the same order. One message that fails fails the call, with its index.

use keysherd_base::limits::BATCH_LEN_MAX;
use keysherd_base::{Fault, ItemId, SecretBytes};
use keysherd_plane::grants::ItemRef;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Map, Show, Spec, Text};
use serde::Serialize;

use super::message;
use crate::commands::ApiCommand;
use crate::crypt::{TransitMessage, TransitResult};
use crate::ctx::Ctx;
use crate::fields::SESSION;

const ITEM_ID: Field<Int> =
    Field::int("item-id", "The key's integer id.").documented_as("item_id").required();
const ITEM_VERSION: Field<Int> =
    Field::int("item-version", "A key version; the newest unless given.")
        .documented_as("item_version");
const CONTEXT: Field<Map> = Field::map("context", "Bound to the ciphertext.");
const DATA: Field<Text> =
    Field::text("data", "Text to encrypt, or base64 of what encrypt returned.")
        .required()
        .secret()
        .empty_is_value();

#[derive(Serialize)]
struct Reply {
    result: String,
}

/// Encrypts a batch.
pub(super) static ENCRYPT: ApiCommand = Command {
    spec: Spec {
        name: "encrypt-batch",
        aliases: &[],
        success: 200,
        summary: "Encrypt many messages, each with its own key.",
        groups: &[&SESSION],
        fields: &[ITEM_ID.spec(), ITEM_VERSION.spec(), CONTEXT.spec(), DATA.spec()],
        reply: "EncryptOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Array,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(encrypt(ctx, args)),
};

/// Decrypts a batch.
pub(super) static DECRYPT: ApiCommand = Command {
    spec: Spec {
        name: "decrypt-batch",
        aliases: &[],
        success: 200,
        summary: "Decrypt many messages, each with its own key.",
        groups: &[&SESSION],
        fields: &[ITEM_ID.spec(), ITEM_VERSION.spec(), CONTEXT.spec(), DATA.spec()],
        reply: "DecryptOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Array,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(decrypt(ctx, args)),
};

async fn encrypt(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let messages = messages(&args, |text| Ok(SecretBytes::new(text.into_bytes())))?;
    let results = ctx.crypt().encrypt(&ctx, messages).await;
    answer(results, |sealed| Ok(message::encoded(&sealed)))
}

async fn decrypt(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let messages = messages(&args, |text| message::decoded("data", &text))?;
    let results = ctx.crypt().decrypt(&ctx, messages).await;
    answer(results, |opened| message::shown(&opened, false))
}

fn messages(
    args: &Args,
    data: impl Fn(String) -> Result<SecretBytes, Fault>,
) -> Result<Vec<TransitMessage>, Fault> {
    let rows = args.rows();
    if rows.is_empty() || rows.len() > BATCH_LEN_MAX {
        return Err(Fault::bad_request(format!(
            "a batch has 1 to {BATCH_LEN_MAX} messages; this one has {}",
            rows.len()
        )));
    }
    rows.iter()
        .enumerate()
        .map(|(index, row)| one(row, &data).map_err(|fault| at(index, &fault)))
        .collect()
}

fn one(
    row: &Args,
    data: impl Fn(String) -> Result<SecretBytes, Fault>,
) -> Result<TransitMessage, Fault> {
    let key = ItemRef::Id(ItemId(row.need(&ITEM_ID)?));
    let context = row.get(&CONTEXT)?.unwrap_or_default();
    message::build(key, row.get(&ITEM_VERSION)?, context, data(row.need(&DATA)?)?)
}

fn answer(
    results: Vec<TransitResult>,
    shown: impl Fn(SecretBytes) -> Result<String, Fault>,
) -> Result<Answer, Fault> {
    let texts = results
        .into_iter()
        .enumerate()
        .map(|(index, result)| result.and_then(&shown).map_err(|fault| at(index, &fault)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let result = serde_json::to_string(&texts).map_err(Fault::internal)?;
    Answer::json(&Reply { result })
}

fn at(index: usize, fault: &Fault) -> Fault {
    Fault::new(fault.kind(), format!("message {index}: {fault}"))
}
