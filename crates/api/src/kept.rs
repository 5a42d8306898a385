//! What gateways keep for auth methods of a member that does so: kept when control has agreed,
//! taken back when that fails, and forgotten once the method is gone.

use keysherd_authn::Method;
use keysherd_base::{AccessId, AccountId, Fault, ItemPath, SecretString};
use keysherd_plane::configs::{KEPT_FOR_MAX, KeepBegin, KeptFor};
use keysherd_plane::{Caller, PlaneHandle};

use crate::configs::{Config, Configs};
use crate::ctx::Ctx;
use crate::offline::OFFLINE_CONFIG;

/// That a caller may have something kept.
pub(crate) struct Keeping {
    kind: &'static str,
    account: AccountId,
    /// The method there is already.
    pub(crate) access_id: Option<AccessId>,
}

impl Keeping {
    /// For a command of `member`, about the method at `path` or a new one; `None` when the member
    /// keeps nothing.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] for all but administrators.
    pub(crate) async fn begin(
        ctx: &Ctx,
        member: &dyn Method,
        path: Option<&ItemPath>,
    ) -> Result<Option<Self>, Fault> {
        let Some(kind) = member.keeps() else { return Ok(None) };
        let reply = ctx.ask(KeepBegin { path: path.cloned() }).await?;
        Ok(Some(Self { kind, account: reply.account, access_id: reply.access_id }))
    }

    /// Keeps `body` for the method, in place of what was kept for it.
    ///
    /// # Errors
    /// As [`Configs::put`].
    pub(crate) async fn put(
        self,
        ctx: &Ctx,
        access_id: &AccessId,
        body: SecretString,
    ) -> Result<(), Fault> {
        let configs = &ctx.services().configs;
        let name = access_id.as_str();
        let replaces = configs.get(self.account, self.kind, name)?.map(|_| name);
        let config = Config {
            account: self.account,
            kind: self.kind,
            name: name.to_owned(),
            access_id: access_id.clone(),
            body,
        };
        configs.put(config, replaces).await
    }
}

/// Forgets what is kept for methods that are gone: of this gateway's own accord at times, and
/// after a command that deleted some. Answers with those methods.
///
/// # Errors
/// When control does not answer, or a file cannot be removed.
pub async fn forget_gone(
    plane: &PlaneHandle,
    caller: &Caller,
    configs: &dyn Configs,
) -> Result<Vec<AccessId>, Fault> {
    let mut forgotten = Vec::new();
    let of_members = keysherd_authn::all().iter().filter_map(|member| member.keeps());
    for kind in of_members.chain([OFFLINE_CONFIG]) {
        let kept = configs.of_kind(kind);
        for some in kept.chunks(KEPT_FOR_MAX) {
            let methods = some.iter().map(|kept| kept.access_id.clone()).collect();
            let gone = plane.ask(caller.clone(), KeptFor { methods }).await?.gone;
            for kept in some.iter().filter(|kept| gone.contains(&kept.access_id)) {
                if configs.remove(kept.account, kind, &kept.name).await? {
                    forgotten.push(kept.access_id.clone());
                }
            }
        }
    }
    Ok(forgotten)
}
