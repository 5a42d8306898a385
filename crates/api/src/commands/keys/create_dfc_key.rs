//! `create-dfc-key`: makes a protection key whose fragments the managers hold.

use keysherd_base::{Fault, ItemId, Uid};
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::keys::KeyCreate;
use keysherd_wire::{
    Access, Alias, Answer, Args, Body, Command, Field, Int, List, Show, Spec, Text,
};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::crypt::KeyWish;
use crate::ctx::Ctx;
use crate::fields::{DELETE_PROTECTION, DESCRIPTION, METADATA, NAME, SESSION};

const ALG: Field<Text> = Field::text("alg", "The algorithm.").required().short('a').choices(&[
    "AES128GCM",
    "AES256GCM",
    "AES128SIV",
    "AES256SIV",
    "AES128CBC",
    "AES256CBC",
]);
const TAG: Field<List> = Field::list("tag", "Tags of the key.").short('t');
const SPLIT_LEVEL: Field<Int> =
    Field::int("split-level", "How many fragment managers hold the key, 2 to 7.").default("3");
const CUSTOMER_FRG_ID: Field<Text> =
    Field::text("customer-frg-id", "The customer fragment the key is bound to, cf- and its id.");
const ALIASES: &[Alias] = &[Alias { name: "create-key", success: 200, reply: "CreateKeyOutput" }];

#[derive(Serialize)]
struct Reply<'a> {
    fragment_results: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<ItemId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_id: Option<&'a str>,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "create-dfc-key",
        aliases: ALIASES,
        success: 200,
        summary: "Make a protection key; its fragments never leave their managers.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            ALG.spec(),
            SPLIT_LEVEL.spec(),
            CUSTOMER_FRG_ID.spec(),
            DESCRIPTION.spec(),
            METADATA.spec(),
            TAG.spec(),
            DELETE_PROTECTION.spec(),
        ],
        reply: "CreateDFCKeyOutput",
        access: Access::Right("item-rule", "create"),
        body: Body::Object,
        show: Show::Sentence("A new {alg} key named {name} was successfully created"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let path = args.path(&NAME)?;
    let algorithm = KeyAlgorithm::from_name(&args.need(&ALG)?)
        .ok_or_else(|| Fault::bad_request("invalid value of 'alg'"))?;
    let managers = u8::try_from(args.get_or(&SPLIT_LEVEL, 3)?)
        .ok()
        .filter(|n| (2..=7).contains(n))
        .ok_or_else(|| Fault::bad_request("invalid value of 'split-level': it must be 2 to 7"))?;
    let customer_fragment = args.get(&CUSTOMER_FRG_ID)?.map(|id| fragment_id(&id)).transpose()?;
    let description = args.get(&DESCRIPTION)?.or(args.get(&METADATA)?).unwrap_or_default();
    let tags = args.get(&TAG)?.unwrap_or_default();
    let delete_protection = args.get(&DELETE_PROTECTION)?;
    let wish = KeyWish {
        path: path.clone(),
        algorithm,
        managers,
        customer_fragment,
        description: description.clone(),
        tags: tags.clone(),
    };
    let made = ctx.crypt().generate_key(&ctx, wish).await?;
    let create = KeyCreate {
        path,
        algorithm,
        key_id: made.key_id,
        manifest: made.manifest,
        managers,
        threshold: made.threshold,
        customer_fragment,
        description,
        tags,
        delete_protection,
        sealed: made.sealed,
    };
    let created = ctx.ask(create).await?;
    let item = created.item;
    let older = &*ctx.caller().command == "create-key";
    let reply = Answer::json(&Reply {
        fragment_results: made.manager_millis,
        item_id: older.then_some(item.id),
        display_id: older.then_some(&*item.display_id.0),
    })?;
    Ok(reply.with_warnings(created.warnings))
}

/// Reads the id of a customer fragment.
pub(super) fn fragment_id(text: &str) -> Result<Uid, Fault> {
    text.strip_prefix("cf-").and_then(Uid::from_hex).ok_or_else(|| {
        Fault::bad_request("invalid value of 'customer-frg-id': it must be cf- and 32 hex digits")
    })
}
