//! `uid-rotate-token`: gives a token a new value, in two phases.

use keysherd_base::Fault;
use keysherd_plane::uid::{UidAcknowledge, UidChild, UidRotate};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Flag, Show, Spec, Text};

use super::fields::TokenReply;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{JSON, UID_TOKEN};

const UID: Field<Text> = UID_TOKEN.required();
const FORK: Field<Flag> =
    Field::flag("fork", "Leave the token as it is and make a child of it instead.");
const MANUAL_ACK: Field<Flag> = Field::flag(
    "with-manual-ack",
    "Keep the old value in force until the new one is acknowledged by name.",
);
const ACK_TOKEN: Field<Text> = Field::text(
    "send-manual-ack-token",
    "Acknowledge this new value; uid-token is then the old one.",
)
.secret();

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "uid-rotate-token",
        aliases: &[],
        success: 200,
        summary: "Give a universal-identity token a new value; its first use ends the old one.",
        groups: &[],
        fields: &[UID.spec(), FORK.spec(), MANUAL_ACK.spec(), ACK_TOKEN.spec(), JSON.spec()],
        reply: "UidRotateTokenOutput",
        // The token that is rotated is all the credential there is.
        access: Access::Open,
        body: Body::Object,
        show: Show::Sentence("ROTATED TOKEN: [{token}]"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let fork = args.get(&FORK)?.unwrap_or_default();
    let manual = args.get(&MANUAL_ACK)?.unwrap_or_default();
    let token = match args.get(&ACK_TOKEN)? {
        Some(_) if fork || manual => {
            return Err(Fault::bad_request(
                "send-manual-ack-token ends a rotation; send it without fork and with-manual-ack",
            ));
        }
        Some(new) => {
            ctx.ask(UidAcknowledge { new: new.clone() }).await?;
            new
        }
        None if fork => {
            let child = UidChild {
                parent: None,
                ttl_minutes: None,
                deny_rotate: false,
                deny_inheritance: false,
                comment: String::new(),
            };
            ctx.ask(child).await?.token
        }
        None => ctx.ask(UidRotate { manual }).await?.token,
    };
    Answer::json(&TokenReply { token })
}
