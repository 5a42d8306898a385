//! `validate-producer-credentials`: a webhook asks who has called it.
//!
//! It has no token. What it gets to know is what the text says that it shows, and that one of its
//! account's gateways has said so; nothing when that is not so.

use keysherd_base::{AccessId, Fault, FaultKind, ItemPath, SecretString, Timestamp};
use keysherd_engines::vouching::{self, LIFE_SECONDS, SKEW_SECONDS, Signed, not_valid};
use keysherd_plane::clusters::VouchCheck;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;

const CREDS: Field<Text> =
    Field::text("creds", "The text that came with the call, in the header AkeylessCreds.")
        .required()
        .secret();
const EXPECTED_ACCESS_ID: Field<Text> = Field::text(
    "expected-access-id",
    "The access id that the webhook's gateways work with (--gateway-access-id).",
)
.required();
const EXPECTED_ITEM: Field<Text> = Field::text(
    "expected-item-name",
    "The secret that the webhook is for; others are refused. Without it, any.",
);

#[derive(Serialize)]
struct Reply {
    access_id: String,
    item_name: String,
    /// Where the call was sent to. A webhook that was not meant has been shown another one's text.
    audience: String,
    /// When it was signed.
    issued: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "validate-producer-credentials",
        aliases: &[],
        success: 200,
        summary: "Say whether a webhook was called by one of its account's gateways, once for each \
                  call.",
        groups: &[],
        fields: &[CREDS.spec(), EXPECTED_ACCESS_ID.spec(), EXPECTED_ITEM.spec()],
        reply: "object",
        access: Access::Open,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let text = SecretString::new(args.need(&CREDS)?);
    let expected = args.need(&EXPECTED_ACCESS_ID)?;
    let expected = AccessId::parse(&expected).map_err(|_| not_valid("no access id is expected"))?;
    let item = args.path_opt(&EXPECTED_ITEM)?;
    let now = ctx.services().clock.now();
    let Signed { vouched, key, made, mark } = vouching::read(text.expose(), now)?;
    if vouched.access_id != expected.as_str() {
        return Err(not_valid("it is of a gateway with another access id"));
    }
    let named = || ItemPath::parse(&vouched.item).ok();
    if item.is_some() && item != named() {
        return Err(not_valid("it is about another item"));
    }
    let check = VouchCheck {
        access_id: expected,
        account: vouched.account,
        item: vouched.item.clone(),
        spki_sha256: key.spki_sha256(),
        mark,
        made,
        until: last_moment(made),
    };
    ctx.ask(check).await.map_err(|fault| match fault.kind() {
        FaultKind::Unauthorized => not_valid(fault),
        _ => fault,
    })?;
    Answer::json(&Reply {
        access_id: vouched.access_id,
        item_name: vouched.item,
        audience: vouched.audience,
        issued: made.rfc3339(),
    })
}

/// When nobody believes a text any more, whatever their clock says.
fn last_moment(made: Timestamp) -> Timestamp {
    made.plus_seconds(LIFE_SECONDS + 2 * SKEW_SECONDS)
}
