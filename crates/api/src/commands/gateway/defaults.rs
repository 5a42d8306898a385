//! What the cluster of this gateway takes where a request does not say: who sees and changes it.

use keysherd_base::{AccessId, AccountId, Fault, SecretString};
use keysherd_domain::cluster::Cluster;
use keysherd_plane::clusters::{ClusterShow, ClusterShown};

use crate::configs::in_no_cluster;
use crate::ctx::Ctx;
use crate::defaults::{DEFAULTS_CONFIG, Defaults};

/// The caller's account, and its cluster that the gateway is in, if the caller may configure this.
pub(super) async fn admitted(ctx: &Ctx) -> Result<(AccountId, Cluster), Fault> {
    let ClusterShown { account, cluster, .. } = ctx.ask(ClusterShow).await?;
    Ok((account, cluster.ok_or_else(in_no_cluster)?))
}

/// The defaults of the account's cluster; `None`: nobody has set any.
pub(super) fn known(ctx: &Ctx, account: AccountId) -> Result<Option<Defaults>, Fault> {
    parsed(read(ctx, account)?.as_ref())
}

/// The same as they are kept.
pub(super) fn read(
    ctx: &Ctx,
    account: AccountId,
) -> Result<Option<(AccessId, SecretString)>, Fault> {
    ctx.services().configs.get(account, DEFAULTS_CONFIG, "")
}

/// What is kept, in the form that commands work with.
pub(super) fn parsed(kept: Option<&(AccessId, SecretString)>) -> Result<Option<Defaults>, Fault> {
    kept.map(|(_, body)| Defaults::from_json(body)).transpose()
}
