//! Whether a webhook was called by one of its account's gateways.
//!
//! Anybody may ask, as webhooks have no token. So what does not come from a gateway of the expected
//! access id leaves no record, and what is refused says nothing of why.

use keysherd_audit::action;
use keysherd_base::{AccountId, Fault, Timestamp};
use keysherd_domain::cluster::Cluster;
use keysherd_plane::clusters::VouchCheck;
use keysherd_plane::{Caller, Done};
use keysherd_store::{auth_methods, clusters as stored};

use crate::audit::draft_of;
use crate::authorize::log_unrecorded;
use crate::control::Control;
use crate::gateways::GatewayIdentity;

/// How long a text is remembered at most, in seconds: longer than any is believed.
const KEPT_SECONDS_MAX: i64 = 900;
/// Tells these marks from others in the store.
const KIND: &[u8] = b"webhook\0";

/// Whether a text that a webhook was shown is to be believed.
///
/// # Errors
/// [`Fault::unauthorized`] when it is not; [`Fault::unavailable`] when that cannot be known.
pub(crate) async fn check(
    control: &Control,
    caller: &Caller,
    message: VouchCheck,
) -> Result<Done, Fault> {
    let Some(cluster) = signer(control, &message)? else {
        let fault = not_valid("no gateway of the expected access id has that key");
        log_unrecorded(caller, &fault);
        return Err(fault);
    };
    let method = control
        .store
        .read(|reader| auth_methods::by_access_id(reader, &message.access_id))?
        .filter(|method| method.account == cluster.account);
    let action = action::VALIDATE_PRODUCER_CREDENTIALS;
    let draft = draft_of(caller, cluster.account, method.as_ref(), action)
        .with("cluster", cluster.full_name())
        .with("name", message.item.clone());
    let believed = match method {
        Some(_) => believed(control, &cluster, &message),
        None => Err(not_valid("the auth method of the cluster was deleted")),
    };
    control.recorded(draft, believed.map(|()| Done)).await
}

/// The cluster of the gateway that has this key, if it works with the expected access id.
fn signer(control: &Control, message: &VouchCheck) -> Result<Option<Cluster>, Fault> {
    let spki_sha256 = message.spki_sha256;
    // Whom the owner took out of the trust bundle is no gateway any more.
    if control.group_of(&GatewayIdentity { spki_sha256 }).is_err() {
        return Ok(None);
    }
    let found = control.store.read(|reader| {
        let Some((instance, _)) = stored::instance(reader, &spki_sha256)? else { return Ok(None) };
        stored::by_id(reader, instance.cluster)
    })?;
    Ok(found.filter(|cluster| cluster.access_id == message.access_id))
}

fn believed(control: &Control, cluster: &Cluster, message: &VouchCheck) -> Result<(), Fault> {
    if cluster.account != AccountId(message.account) {
        return Err(not_valid("it is about an item of another account"));
    }
    let now = control.now();
    let most = Timestamp(now.plus_seconds(KEPT_SECONDS_MAX).0.min(message.until.0));
    match control.take_once(KIND, message.mark, (now, message.made), most)? {
        true => Ok(()),
        false => Err(not_valid("it was shown to somebody before")),
    }
}

fn not_valid(why: &str) -> Fault {
    Fault::unauthorized("the credentials of this call are not valid").with_private(why)
}
