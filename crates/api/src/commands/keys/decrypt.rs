//! `decrypt`: decrypts one message with a key.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};
use serde::Serialize;

use super::message::{self, KEY};
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const CIPHERTEXT: Field<Text> =
    Field::text("ciphertext", "What encrypt returned, in base64.").required().short('c');
const OUTPUT_FORMAT: Field<Text> =
    Field::text("output-format", "How the plaintext is written; text unless base64.")
        .choices(&["text", "base64"]);

#[derive(Serialize)]
struct Reply {
    result: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "decrypt",
        aliases: &[],
        success: 200,
        summary: "Decrypt a message with a key.",
        groups: &[&SESSION, &KEY],
        fields: &[CIPHERTEXT.spec(), OUTPUT_FORMAT.spec()],
        reply: "DecryptOutput",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Value,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let ciphertext = message::decoded("ciphertext", &args.need(&CIPHERTEXT)?)?;
    let message = message::message(&args, ciphertext)?;
    let mut results = ctx.crypt().decrypt(&ctx, vec![message]).await;
    let opened = results.pop().ok_or_else(|| Fault::internal("no result for a message"))??;
    let base64 = message::wants_base64(args.get(&OUTPUT_FORMAT)?.as_deref());
    Answer::json(&Reply { result: message::shown(&opened, base64)? })
}
