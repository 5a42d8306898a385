//! `uid-revoke-token`: ends a token, alone or with everything below it.

use keysherd_base::Fault;
use keysherd_plane::uid::{UidNamed, UidRevoke};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use super::fields::{AUTH_METHOD_NAME, token_id};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const REVOKE_TOKEN: Field<Text> =
    Field::text("revoke-token", "The token to revoke, or its id.").required().secret();
const REVOKE_TYPE: Field<Text> = Field::text(
    "revoke-type",
    "Revoke this token alone (revokeSelf), or everything below it as well (revokeAll).",
)
.required()
.choices(&["revokeSelf", "revokeAll"]);

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "uid-revoke-token",
        aliases: &[],
        success: 200,
        summary: "Revoke a universal-identity token, alone or with all tokens below it.",
        groups: &[&SESSION],
        fields: &[REVOKE_TOKEN.spec(), REVOKE_TYPE.spec(), AUTH_METHOD_NAME.spec()],
        reply: "object",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("The token was revoked"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let text = args.need(&REVOKE_TOKEN)?;
    let token = if text.starts_with("u-") {
        UidNamed::Value(text)
    } else {
        UidNamed::Id(token_id(&REVOKE_TOKEN, &text)?)
    };
    let branch = args.need(&REVOKE_TYPE)?.eq_ignore_ascii_case("revokeAll");
    let method = args.path_opt(&AUTH_METHOD_NAME)?;
    ctx.ask(UidRevoke { method, token, branch }).await?;
    Ok(Answer::empty())
}
