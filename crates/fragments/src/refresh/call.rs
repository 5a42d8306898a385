//! A gateway's request to refresh keys now, and what a manager checks before it coordinates one.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::SigningKey;

use crate::bundle::pinned::PinnedBundle;
use crate::encoding::{Encoding, Reader, Signed, SignedBy, Writer};
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::manager_side::{Caller, KeyRing, VerifiedPermit, check_key, check_op};
use crate::manifest::KeyVersion;
use crate::permit::Op;
use crate::refusal::Refusal;

/// A refresh on demand; the parts are those of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshCall {
    /// The permit, with op `Refresh`: its entries name the key versions.
    pub permit: Signed,
    /// The signed [`RefreshRequest`].
    pub request: SignedBy,
    /// The endorsement, where the bundle does not list the gateway itself.
    pub endorsement: Option<Signed>,
}

/// What a gateway signs to have keys refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRequest {
    /// SHA-256 of the bytes of the permit.
    pub permit_sha256: [u8; 32],
    /// The manager that is asked to coordinate.
    pub manager: ManagerIndex,
    /// Random.
    pub request_id: Uid,
}

impl RefreshRequest {
    /// Signs the request with the gateway instance's key.
    pub fn seal(&self, instance: &SigningKey) -> SignedBy {
        SignedBy::seal(instance, labels::SIGN_REFRESH_REQUEST, self.to_bytes())
    }
}

impl Encoding for RefreshRequest {
    const BYTES_MAX: usize = 128;

    fn write(&self, to: &mut Writer) {
        to.array(3).bytes(&self.permit_sha256).uint(self.manager.get()).uid(&self.request_id);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Refusal> {
        from.array(3)?;
        Ok(Self { permit_sha256: from.fixed()?, manager: from.manager()?, request_id: from.uid()? })
    }
}

/// A refresh that passed every check that needs no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRefresh {
    /// The key versions, ascending, each once.
    pub keys: Vec<KeyVersion>,
    /// The gateway that asks.
    pub gateway_spki_sha256: [u8; 32],
    /// SHA-256 of the permit's bytes.
    pub permit_sha256: [u8; 32],
    /// The permit, for counting its uses.
    pub permit_id: Uid,
    /// When the permit ends.
    pub permit_expires_at: Timestamp,
    /// How often the permit may be used here.
    pub max_uses: u8,
    /// The control plane's audit record of the permit.
    pub audit_seq: u64,
}

/// Checks a request to refresh keys, in the order of [`crate::manager_side::check_derive`].
///
/// # Errors
/// As [`crate::manager_side::check_derive`].
pub fn check_refresh(
    bundle: &PinnedBundle,
    tls_spki_sha256: &[u8; 32],
    me: ManagerIndex,
    call: &RefreshCall,
    ring: &dyn KeyRing,
    now: Timestamp,
) -> Result<CheckedRefresh, Refusal> {
    let cluster = bundle.cluster_of(tls_spki_sha256, call.endorsement.as_ref(), now)?;
    let verified = VerifiedPermit::verify(bundle, &call.permit, now)?;
    let caller = Caller { bundle, cluster, tls_spki_sha256, me, now };
    caller.check_gateway(&verified, &call.request, labels::SIGN_REFRESH_REQUEST)?;
    let request = RefreshRequest::from_bytes(&call.request.signed.body)?;
    if request.permit_sha256 != *verified.sha256() {
        return Err(Refusal::WrongPermit);
    }
    if request.manager != me {
        return Err(Refusal::WrongManager);
    }
    let permit = verified.permit();
    let mut keys: Vec<KeyVersion> = Vec::with_capacity(permit.entries.len());
    for entry in &permit.entries {
        let (account, version) = (permit.account, entry.key_version);
        keys.push(KeyVersion { account, id: entry.key_id, version });
    }
    keys.sort_unstable();
    keys.dedup();
    for key in &keys {
        let status = ring.status(key).ok_or(Refusal::UnknownKey)?;
        check_key(&caller, permit.op, &status)?;
    }
    if permit.op != Op::Refresh {
        return Err(Refusal::OpNotAllowed);
    }
    check_op(cluster, permit.op, &permit.entries)?;
    Ok(CheckedRefresh {
        keys,
        gateway_spki_sha256: *tls_spki_sha256,
        permit_sha256: *verified.sha256(),
        permit_id: permit.permit_id,
        permit_expires_at: permit.expires_at,
        max_uses: permit.max_uses,
        audit_seq: permit.audit_seq,
    })
}
