//! `rotate-key` and, ours, `rotate-original-key`: make a further version of a key.

use keysherd_base::{Fault, Uid};
use keysherd_plane::rotation::{KeyRotateReply, RotatedKey};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};
use serde::Serialize;

use super::create_dfc_key::fragment_id;
use crate::commands::ApiCommand;
use crate::crypt::RotateWish;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const NEW_KEY_DATA: Field<Text> =
    Field::text("new-key-data", "Refused: a key of the fragment managers is never imported.")
        .secret();
const NEW_CERT_PEM_DATA: Field<Text> =
    Field::text("new-cert-pem-data", "Refused: only classic keys have a certificate.");
const NEW_CUSTOMER_FRG_ID: Field<Text> = Field::text(
    "new-customer-frg-id",
    "Bind the new version to this customer fragment, cf- and its id. Ours, not of the V2 API.",
);
const NEW_SPLIT_LEVEL: Field<Int> = Field::int(
    "new-split-level",
    "How many fragment managers hold the new version, not fewer than before. Ours, not of the V2 \
     API.",
);

#[derive(Serialize)]
struct Reply {
    new_item_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_type: Option<&'static str>,
}

/// Rotates a key.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "rotate-key",
        aliases: &[],
        success: 200,
        summary: "Make a new version of a key; values under older versions are wrapped anew in \
                  the background.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            NEW_KEY_DATA.spec(),
            NEW_CERT_PEM_DATA.spec(),
            NEW_CUSTOMER_FRG_ID.spec(),
            NEW_SPLIT_LEVEL.spec(),
        ],
        reply: "RotateKeyOutput",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Key {name} was rotated; its newest version is {new_item_version}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

/// Rotates the account's original key, which has no name.
pub(super) static ORIGINAL: ApiCommand = Command {
    spec: Spec {
        name: "rotate-original-key",
        aliases: &[],
        success: 200,
        summary: "Make a new version of the account's original key. Ours, not of the V2 API.",
        groups: &[&SESSION],
        fields: &[NEW_CUSTOMER_FRG_ID.spec(), NEW_SPLIT_LEVEL.spec()],
        reply: "object",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Sentence(
            "The account's original key was rotated; its newest version is {new_item_version}",
        ),
    },
    run: &|ctx, args| Box::pin(run_original(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    for field in [&NEW_KEY_DATA, &NEW_CERT_PEM_DATA] {
        if args.get(field)?.is_some() {
            return Err(Fault::bad_request(format!(
                "invalid field '{}': the fragment managers make every version themselves; leave \
                 it out",
                field.spec().name
            )));
        }
    }
    answer(rotate(&ctx, &args, RotatedKey::Named(args.path(&NAME)?)).await?)
}

async fn run_original(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    answer(rotate(&ctx, &args, RotatedKey::Original).await?)
}

async fn rotate(ctx: &Ctx, args: &Args, key: RotatedKey) -> Result<KeyRotateReply, Fault> {
    let customer_fragment: Option<Uid> =
        args.get(&NEW_CUSTOMER_FRG_ID)?.map(|id| fragment_id(&id)).transpose()?;
    let managers = args.get(&NEW_SPLIT_LEVEL)?.map(|level| {
        u8::try_from(level).ok().filter(|n| (2..=7).contains(n)).ok_or_else(|| {
            Fault::bad_request("invalid value of 'new-split-level': it must be 2 to 7")
        })
    });
    let wish = RotateWish { key, managers: managers.transpose()?, customer_fragment };
    ctx.crypt().rotate_key(ctx, wish).await
}

fn answer(done: KeyRotateReply) -> Result<Answer, Fault> {
    let item_type = done.item.map(|item| item.kind.type_name());
    Answer::json(&Reply { new_item_version: done.version, item_type })
}
