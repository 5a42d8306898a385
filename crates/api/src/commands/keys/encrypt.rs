//! `encrypt`: encrypts one message with a key.

use keysherd_base::{Fault, SecretBytes};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::message::{self, KEY};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const PLAINTEXT: Field<Text> =
    Field::text("plaintext", "What is encrypted.").required().short('p').secret().empty_is_value();
const INPUT_FORMAT: Field<Text> =
    Field::text("input-format", "How the plaintext is written; text unless base64.")
        .choices(&["text", "base64"]);

#[derive(Serialize)]
struct Reply {
    result: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "encrypt",
        aliases: &[],
        success: 200,
        summary: "Encrypt a message with a key.",
        groups: &[&SESSION, &KEY],
        fields: &[PLAINTEXT.spec(), INPUT_FORMAT.spec()],
        reply: "EncryptOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Value,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let text = args.need(&PLAINTEXT)?;
    let plaintext = if message::wants_base64(args.get(&INPUT_FORMAT)?.as_deref()) {
        message::decoded("plaintext", &text)?
    } else {
        SecretBytes::new(text.into_bytes())
    };
    let message = message::message(&args, plaintext)?;
    let mut results = ctx.crypt().encrypt(&ctx, vec![message]).await;
    let sealed = results.pop().ok_or_else(|| Fault::internal("no result for a message"))??;
    Answer::json(&Reply { result: message::encoded(&sealed) })
}
