//! `list-gateways`: the clusters of gateways of the account, and whether they run.

use keysherd_base::Fault;
use keysherd_domain::cluster::FragmentNote;
use keysherd_plane::clusters::{ClusterList, ClusterView};
use keysherd_wire::{Access, Answer, Args, Body, Command, Show, Spec};
use serde::Serialize;

use crate::commands::ApiCommand;
use crate::ctx::Ctx;
use crate::defaults::{DEFAULTS_CONFIG, Defaults};
use crate::fields::SESSION;

#[derive(Serialize)]
struct Reply<'a> {
    clusters: Vec<Shown<'a>>,
}

/// The model `GwClusterIdentity`.
#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    cluster_name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster_url: &'a str,
    display_name: &'a str,
    status: &'static str,
    status_description: String,
    current_gw: bool,
    allowed: bool,
    action_allowed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    customer_fragment_ids: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    customer_fragments: Vec<Fragment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_protection_key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_secret_location: Option<String>,
}

/// The model `CfInfo`.
#[derive(Serialize)]
struct Fragment<'a> {
    id: &'a str,
    cf_name: &'a str,
    description: &'a str,
    hash: &'a str,
}

/// The command.
pub(super) static COMMAND: ApiCommand = Command {
    spec: Spec {
        name: "list-gateways",
        aliases: &[],
        success: 200,
        summary: "List the gateway clusters of the account, and whether they run.",
        groups: &[&SESSION],
        fields: &[],
        reply: "GatewaysListResponse",
        access: Access::Token,
        body: Body::Object,
        show: Show::Table(
            "clusters",
            &[("CLUSTER", "cluster_name"), ("STATUS", "status"), ("URL", "cluster_url")],
        ),
    },
    run: &|ctx, args| Box::pin(run(ctx, args)),
};

async fn run(ctx: Ctx, _args: Args) -> Result<Answer, Fault> {
    let listed = ctx.ask(ClusterList).await?;
    // Of other clusters, a gateway knows no configuration.
    let own = listed.clusters.iter().find(|view| view.current);
    let configs = &ctx.services().configs;
    let own = own.map(|view| configs.get(view.cluster.account, DEFAULTS_CONFIG, ""));
    let own = match own {
        Some(Ok(Some((_, body)))) => Defaults::from_json(&body)?,
        // None, or not known yet.
        _ => Defaults::default(),
    };
    let clusters = listed.clusters.iter().map(|view| shown(view, &own)).collect();
    Answer::json(&Reply { clusters })
}

fn shown<'a>(view: &'a ClusterView, own: &Defaults) -> Shown<'a> {
    let ClusterView { cluster, running, instances, .. } = view;
    let seen = view.last_seen.map(|at| format!("; last seen {}", at.rfc3339()));
    Shown {
        id: cluster.id,
        cluster_name: cluster.full_name(),
        cluster_url: &cluster.url,
        display_name: &cluster.display_name,
        status: if *running > 0 { "running" } else { "down" },
        status_description: format!(
            "{running} of {instances} instances run{}",
            seen.unwrap_or_default()
        ),
        current_gw: view.current,
        allowed: true,
        action_allowed: view.may_configure,
        customer_fragment_ids: view.fragments.iter().map(|note| note.id.as_str()).collect(),
        customer_fragments: view.fragments.iter().map(fragment).collect(),
        default_protection_key_id: own.key.filter(|_| view.current).map(|key| key.0),
        default_secret_location: own.location.clone().filter(|_| view.current),
    }
}

fn fragment(note: &FragmentNote) -> Fragment<'_> {
    Fragment {
        id: &note.id,
        cf_name: &note.name,
        description: &note.description,
        hash: &note.fingerprint,
    }
}
