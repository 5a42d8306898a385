//! `dynamic-secret-get-value`: temporary credentials.

use std::time::Duration;

use keysherd_base::Fault;
use keysherd_plane::grants::ItemRef;
use keysherd_wire::{
    Access, Alias, Answer, Args, Body, Command, Field, Int, List, Show, Spec, Text,
};
use serde_json::Value;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::engines::{Asked, Produced, produce};
use crate::fields::{NAME, SESSION};

const ARGS: Field<List> =
    Field::list("args", "What the secret wants to know: texts key=value, or JSON objects.");
const HOST: Field<Text> =
    Field::text("host", "A host of a linked target; refused, as no credentials are made there.");
const TARGET: Field<Text> = Field::text("target", "A linked target.").inert();
const DBNAME: Field<Text> =
    Field::text("dbname", "The database; any other than that of the secret is refused.");
const TIMEOUT: Field<Int> =
    Field::int("timeout", "Seconds that the target may take, 1 to 60.").default("15");
/// Longest time a target may take, in seconds: well within what control leaves to an intent.
const TIMEOUT_MAX: i64 = 60;

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-get-value",
        aliases: &[Alias {
            name: "get-dynamic-secret-value",
            success: 200,
            reply: "dict(str, object)",
        }],
        success: 200,
        summary: "Get temporary credentials.",
        groups: &[&SESSION],
        fields: &[
            NAME.spec(),
            ARGS.spec(),
            HOST.spec(),
            TARGET.spec(),
            DBNAME.spec(),
            TIMEOUT.spec(),
        ],
        reply: "dict(str, str)",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = ItemRef::Path(args.path(&NAME)?);
    let seconds = args.get_or(&TIMEOUT, 15)?;
    let invalid =
        || Fault::bad_request(format!("invalid value of 'timeout': it must be 1 to {TIMEOUT_MAX}"));
    let patience = u64::try_from(seconds).ok().filter(|_| (1..=TIMEOUT_MAX).contains(&seconds));
    let asked = Asked {
        args: args.get(&ARGS)?.unwrap_or_default(),
        host: args.get(&HOST)?,
        dbname: args.get(&DBNAME)?,
        patience: Duration::from_secs(patience.ok_or_else(invalid)?),
    };
    let Produced { value, warnings, .. } = produce(&ctx, item, &asked).await?;
    let answer = Answer::json(&value);
    keysherd_wire::wipe(Value::Object(value));
    Ok(answer?.with_warnings(warnings))
}
