//! `move-objects`: moves a folder with everything below it.

use keysherd_base::Fault;
use keysherd_plane::items::{MovedObjects, ObjectsMove};
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

const SOURCE: Field<Text> = Field::text("source", "The folder to move.").required().short('s');
const TARGET: Field<Text> = Field::text("target", "The path it will have.").required().short('t');
const OBJECTS_TYPE: Field<Text> = Field::text("objects-type", "What kind of objects is moved.")
    .default("item")
    .choices(&["item", "auth_method", "role"]);

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "move-objects",
        aliases: &[],
        success: 200,
        summary: "Move a folder with everything below it.",
        groups: &[&SESSION],
        fields: &[SOURCE.spec(), TARGET.spec(), OBJECTS_TYPE.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Object(s) moved successfully from {source} to {target}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let objects = match args.get(&OBJECTS_TYPE)?.unwrap_or_default().to_ascii_lowercase().as_str() {
        "auth_method" => MovedObjects::AuthMethods,
        "role" => MovedObjects::Roles,
        _ => MovedObjects::Items,
    };
    let (source, target) = (args.folder(&SOURCE)?, args.folder(&TARGET)?);
    let moved = ctx.ask(ObjectsMove { objects, source, target }).await?;
    Ok(Answer::empty().with_warnings(moved.warnings))
}
