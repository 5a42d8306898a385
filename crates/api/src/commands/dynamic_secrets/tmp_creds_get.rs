//! `dynamic-secret-tmp-creds-get`: the credentials that a dynamic secret gave and that live yet.

use std::collections::BTreeMap;

use keysherd_base::Fault;
use keysherd_plane::credential_leases::{LEASE_PAGE_MAX, LeaseList, LeaseView};
use keysherd_wire::{Access, Alias, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use super::shared::INERT;
use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::fields::{NAME, SESSION};

/// Most credentials of one answer.
const SHOWN_MAX: usize = 100_000;

/// The model `TmpUserData`.
#[derive(Serialize)]
struct Reply {
    id: String,
    host: String,
    access_id: String,
    sub_claims: BTreeMap<String, Vec<String>>,
    creation_date: String,
    custom_ttl: i64,
    dynamic_secret_type: String,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "dynamic-secret-tmp-creds-get",
        aliases: &[Alias {
            name: "gateway-get-producer-tmp-creds",
            success: 200,
            reply: "list[TmpUserData]",
        }],
        success: 201,
        summary: "Show the temporary credentials of a dynamic secret that have not ended.",
        groups: &[&SESSION, &INERT],
        fields: &[NAME.spec()],
        reply: "list[TmpUserData]",
        access: Access::Right("item-rule", "read"),
        body: Body::Object,
        show: Show::Table(
            "",
            &[
                ("ID", "id"),
                ("ACCESS ID", "access_id"),
                ("SINCE", "creation_date"),
                ("MINUTES", "custom_ttl"),
            ],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, args: Args) -> Result<Answer, Fault> {
    let item = args.path(&NAME)?;
    let mut shown = Vec::new();
    let mut after = None;
    loop {
        let list = LeaseList { item: item.clone(), after, limit: LEASE_PAGE_MAX };
        let page = ctx.ask(list).await?;
        after = page.leases.last().map(|lease| lease.id);
        shown.extend(page.leases.into_iter().map(|lease| reply(lease, &page.engine)));
        if !page.more || shown.len() >= SHOWN_MAX {
            return Answer::json(&shown);
        }
    }
}

fn reply(lease: LeaseView, engine: &str) -> Reply {
    Reply {
        id: lease.id.to_string(),
        host: String::new(),
        access_id: lease.access_id.as_str().to_owned(),
        sub_claims: lease.sub_claims,
        creation_date: lease.created.rfc3339(),
        custom_ttl: lease.ttl_seconds.div_euclid(60),
        dynamic_secret_type: engine.to_owned(),
    }
}
