//! What a manager checks before it takes part in a generation.

use keysherd_base::{Timestamp, Uid};

use super::{Caller, KeyRing, VerifiedPermit, check_op};
use crate::bundle::Bundle;
use crate::bundle::pinned::PinnedBundle;
use crate::encoding::Encoding;
use crate::keygen::{GenerateParams, GenerateRequest};
use crate::labels;
use crate::manager_set::ManagerIndex;
use crate::messages::GenerateCall;
use crate::permit::Op;
use crate::refusal::Refusal;

/// A generation that passed every check that needs no state. There is no other way to begin one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedGeneration {
    /// What is to be generated.
    pub params: GenerateParams,
    /// The gateway that coordinates.
    pub gateway_spki_sha256: [u8; 32],
    /// The gateway's cluster.
    pub cluster: Uid,
    /// The permit, for counting its uses.
    pub permit_id: Uid,
    /// When the permit ends.
    pub permit_expires_at: Timestamp,
    /// How often the permit may be used here.
    pub max_uses: u8,
    /// The control plane's audit record of the permit.
    pub audit_seq: u64,
}

/// Checks the first message of a generation, in the order of [`super::check_derive`]. The permit's
/// op is `Generate` and its entries name the key version that is to be made.
///
/// # Errors
/// As [`super::check_derive`]; [`Refusal::NotAllParticipants`] unless the managers are the first n
/// of the bundle and this one is among them; [`Refusal::KeyExists`].
pub fn check_generation(
    bundle: &PinnedBundle,
    tls_spki_sha256: &[u8; 32],
    me: ManagerIndex,
    call: &GenerateCall,
    ring: &dyn KeyRing,
    now: Timestamp,
) -> Result<CheckedGeneration, Refusal> {
    let cluster = bundle.cluster_of(tls_spki_sha256, call.endorsement.as_ref(), now)?;
    let verified = VerifiedPermit::verify(bundle, &call.permit, now)?;
    let caller = Caller { bundle, cluster, tls_spki_sha256, me, now };
    caller.check_gateway(&verified, &call.request, labels::SIGN_GENERATE_REQUEST)?;
    let request = GenerateRequest::from_bytes(&call.request.signed.body)?;
    if request.permit_sha256 != *verified.sha256() {
        return Err(Refusal::WrongPermit);
    }
    let permit = verified.permit();
    let params = request.params;
    let named = permit
        .entries
        .iter()
        .all(|entry| entry.key_id == params.key.id && entry.key_version == params.key.version);
    if !named || permit.account != params.key.account {
        return Err(Refusal::WrongPermit);
    }
    caller.check_group(&params.group, &params.fragment)?;
    if !are_first_managers(bundle.bundle(), &params) || me.get() > params.threshold.n() {
        return Err(Refusal::NotAllParticipants);
    }
    if ring.status(&params.key).is_some() {
        return Err(Refusal::KeyExists);
    }
    if permit.op != Op::Generate {
        return Err(Refusal::OpNotAllowed);
    }
    check_op(cluster, permit.op, &permit.entries)?;
    Ok(CheckedGeneration {
        params,
        gateway_spki_sha256: *tls_spki_sha256,
        cluster: cluster.id,
        permit_id: permit.permit_id,
        permit_expires_at: permit.expires_at,
        max_uses: permit.max_uses,
        audit_seq: permit.audit_seq,
    })
}

fn are_first_managers(bundle: &Bundle, params: &GenerateParams) -> bool {
    let n = usize::from(params.threshold.n());
    let first = bundle.managers.get(..n);
    first.is_some_and(|first| first.iter().map(|entry| &entry.key).eq(&params.managers))
}
