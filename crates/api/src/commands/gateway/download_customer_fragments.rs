//! `gateway-download-customer-fragments`: refused on purpose, unless there is nothing to download.

use keysherd_base::Fault;
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::list_customer_fragments::demand_admin;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply {
    cf_json: Fragments,
}

#[derive(Serialize)]
struct Fragments {
    customer_fragments: [(); 0],
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "gateway-download-customer-fragments",
        aliases: &[],
        success: 200,
        summary: "Refused while the gateway holds any: fragments do not leave it over the network.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GatewayDownloadCustomerFragmentsOutput",
        access: Access::Admin,
        body: Body::Object,
        show: Show::Json,
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    demand_admin(&ctx).await?;
    if ctx.crypt().customer_fragments().is_empty() {
        return Answer::json(&Reply { cf_json: Fragments { customer_fragments: [] } });
    }
    let text = "customer fragments do not leave a gateway over the network, where a stolen token \
                would be enough to have them; copy the file on the gateway's machine, or restore \
                it from its recovery shares";
    Err(Fault::forbidden(text).with_code("CustomerFragmentsStay"))
}
