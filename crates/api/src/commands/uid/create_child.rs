//! `uid-create-child-token`: makes a token below another one.

use keysherd_base::Fault;
use keysherd_plane::uid::UidChild;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Int, Show, Spec, Text};

use super::fields::{AUTH_METHOD_NAME, TokenReply, token_id};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const TOKEN_ID: Field<Text> =
    Field::text("uid-token-id", "Id of the parent, with auth-method-name.");
const CHILD_TTL: Field<Int> = Field::int(
    "child-ttl",
    "Life of the child between two rotations, in minutes; without it, that of the auth method.",
);
const DENY_ROTATE: Field<Flag> = Field::flag("child-deny-rotate", "The child cannot be rotated.");
const DENY_INHERITANCE: Field<Flag> =
    Field::flag("child-deny-inheritance", "The child cannot have children.");
const DESCRIPTION: Field<Text> =
    Field::text("description", "Free text about the child; audit records may show it.");
const COMMENT: Field<Text> = Field::text("comment", "The older name of description.");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "uid-create-child-token",
        aliases: &[],
        success: 200,
        summary: "Make a token below one's own, or below the one with this id.",
        groups: &[&SESSION],
        fields: &[
            AUTH_METHOD_NAME.spec(),
            TOKEN_ID.spec(),
            CHILD_TTL.spec(),
            DENY_ROTATE.spec(),
            DENY_INHERITANCE.spec(),
            DESCRIPTION.spec(),
            COMMENT.spec(),
        ],
        reply: "UidCreateChildTokenOutput",
        access: Access::Right("auth-method-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Child Token: {token}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let parent = match (args.path_opt(&AUTH_METHOD_NAME)?, args.get(&TOKEN_ID)?) {
        (None, None) => None,
        (Some(method), Some(id)) => Some((method, token_id(&TOKEN_ID, &id)?)),
        _ => {
            return Err(Fault::bad_request(
                "auth-method-name and uid-token-id go together; give both, or a uid-token alone",
            ));
        }
    };
    // Clients that have nothing to say send 0.
    let ttl = args.get(&CHILD_TTL)?.filter(|minutes| *minutes != 0);
    let ttl_minutes = ttl.map(u32::try_from).transpose().map_err(|_| {
        Fault::bad_request("invalid value of 'child-ttl': it must be a number of minutes")
    })?;
    let comment = args.get(&DESCRIPTION)?.or(args.get(&COMMENT)?).unwrap_or_default();
    let child = UidChild {
        parent,
        ttl_minutes,
        deny_rotate: args.get(&DENY_ROTATE)?.unwrap_or_default(),
        deny_inheritance: args.get(&DENY_INHERITANCE)?.unwrap_or_default(),
        comment,
    };
    let token = ctx.ask(child).await?.token;
    Answer::json(&TokenReply { token })
}
