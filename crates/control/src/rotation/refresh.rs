//! Permission to refresh a key. The managers do the rest: no fragment, and no randomness for one,
//! ever comes from control.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_plane::Caller;
use keysherd_plane::refresh::{KeyRefresh, KeyRefreshReply};
use keysherd_store::keys;

use super::{Target, key_param};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// Most versions of one key that are refreshed by one call, the newest first. The managers refresh
/// all of them by themselves every day.
const VERSIONS_MAX: usize = 32;

/// Permits to refresh every version of a key. It is recorded.
///
/// # Errors
/// As for rotating it.
pub(crate) async fn permit(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: KeyRefresh,
) -> Result<KeyRefreshReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let found = control.store.read(|reader| {
        let target = Target::find(reader, &who, &message.key, now)?;
        keys::versions(reader, target.newest.key_id)
    });
    let permitted = found.and_then(|mut versions| {
        versions.sort_by_key(|key| std::cmp::Reverse(key.version));
        let account = who.account;
        let permit = |version: &keys::ProtectionKey| {
            let key = (version.key_id, version.version);
            let subject = who.permit_subject();
            let permit = control.permit_refresh(account, key, message.salt, subject, gateway)?;
            Ok((version.version, permit))
        };
        let newest = versions.first().map(|key| key.key_id).unwrap_or_default();
        let permits: Result<Vec<_>, Fault> =
            versions.iter().take(VERSIONS_MAX).map(permit).collect();
        Ok(KeyRefreshReply { account: account.0, key_id: newest, versions: permits? })
    });
    let params = vec![key_param(&message.key), Param::public("change", "refresh")];
    let draft = audit_draft(caller, &who, action::ROTATE_ITEM, "", params);
    control.recorded(draft, permitted).await
}
