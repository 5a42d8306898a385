//! `set-item-state`: enables or disables an item or a version.

use keysherd_base::Fault;
use keysherd_domain::item::ItemState;
use keysherd_plane::items::ItemStateSet;
use keysherd_wire::{Access, Answer, Args, Body, Command, Field, Int, Show, Spec, Text};

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

const DESIRED_STATE: Field<Text> = Field::text("desired-state", "Whether it may be used.")
    .required()
    .short('s')
    .choices(&["Enabled", "Disabled"]);
const VERSION: Field<Int> = Field::int("version", "A version; 0 stands for the item.").default("0");

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "set-item-state",
        aliases: &[],
        success: 200,
        summary: "Enable or disable an item or a version; enabling cancels a pending deletion.",
        groups: &[&SESSION],
        fields: &[NAME.spec(), DESIRED_STATE.spec(), VERSION.spec()],
        reply: "object",
        access: Access::Right("item-rule", "update"),
        body: Body::Object,
        show: Show::Sentence("Item {name} is now {desired-state}"),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let state = if args.need(&DESIRED_STATE)?.eq_ignore_ascii_case("enabled") {
        ItemState::Enabled
    } else {
        ItemState::Disabled
    };
    let version = match args.get_or(&VERSION, 0)? {
        0 => None,
        version => Some(u32::try_from(version).map_err(|_| {
            Fault::bad_request("invalid value of 'version': it must be 0 or a version")
        })?),
    };
    ctx.ask(ItemStateSet { path: args.path(&NAME)?, version, state }).await?;
    Ok(Answer::empty())
}
