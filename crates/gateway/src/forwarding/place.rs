//! Where a target's place in the log is kept, and whether this gateway may send at all.
//!
//! Alone, a gateway keeps it in a file. In a cluster, control keeps it for whichever gateway has
//! the lease: it is written under the lease's number, so one that lost the lease without noticing
//! cannot set it back.

use std::sync::Arc;

use keysherd_base::{Fault, FaultKind};
use keysherd_domain::lease::LOG_FORWARDING;
use keysherd_plane::clusters::{PlaceList, PlacePut};

use self::attested::PlaceKey;
use super::cursor::{Cursor, CursorFile};
use crate::membership::Membership;

pub(super) mod attested;

/// The lease for sending the audit log.
pub(super) const LEASE: &str = LOG_FORWARDING;

/// Keeps the place of one target.
pub(super) enum Keeper {
    /// In a file of this gateway.
    File(CursorFile),
    /// At control, for the cluster.
    Cluster(Box<ClusterPlace>),
}

/// The place of a cluster's target, under the lease that this gateway got.
pub(super) struct ClusterPlace {
    pub(super) member: Arc<Membership>,
    /// The cluster's number.
    pub(super) cluster: i64,
    /// The lease's number.
    pub(super) fence: u64,
    /// What gateways of the cluster know each other's places by.
    pub(super) key: PlaceKey,
    /// Where this gateway notes the newest place that it knows of.
    pub(super) note: CursorFile,
}

/// Why a place is not kept.
pub(super) enum NotKept {
    /// Another gateway sends now.
    Lost,
    /// It can be tried again.
    Failed(Fault),
}

impl Keeper {
    /// Whether this gateway is the one that sends.
    pub(super) fn may_send(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Cluster(place) => place.member.leases().held(LEASE) == Some(place.fence),
        }
    }

    /// Keeps the place durably.
    ///
    /// # Errors
    /// [`NotKept`]; the one before is kept then.
    pub(super) async fn keep(&self, cursor: &Cursor) -> Result<(), NotKept> {
        match self {
            Self::File(file) => file.keep(cursor).await.map_err(NotKept::Failed),
            Self::Cluster(place) => {
                let body = place.key.attest(cursor).map_err(NotKept::Failed)?;
                let ClusterPlace { member, cluster, fence, key, note } = &**place;
                put(member, *cluster, *fence, key.at_control(), Some(body)).await?;
                // Only after control has it: a note is never ahead of what was acknowledged.
                note.keep(cursor).await.map_err(NotKept::Failed)
            }
        }
    }
}

async fn put(
    member: &Membership,
    cluster: i64,
    fence: u64,
    name: &str,
    body: Option<String>,
) -> Result<(), NotKept> {
    let (lease, process) = (LEASE.to_owned(), member.process());
    let put = PlacePut { cluster, process, lease, fence, name: name.to_owned(), body };
    let asked = async { member.ctx("log-forwarding").await?.ask(put).await };
    match asked.await {
        Ok(_) => Ok(()),
        Err(fault) if matches!(fault.kind(), FaultKind::Conflict | FaultKind::NotFound) => {
            Err(NotKept::Lost)
        }
        Err(fault) => Err(NotKept::Failed(fault)),
    }
}

/// Nobody needs the place of a target any more. Where that is not heard, nobody looks at it either.
pub(super) async fn forget(member: &Membership, cluster: i64, fence: u64, name: &str) {
    if let Err(NotKept::Failed(fault)) = put(member, cluster, fence, name, None).await {
        tracing::info!(?fault, "the place of a log target that is gone stays at control");
    }
}

/// The places of a cluster's targets, by name.
///
/// # Errors
/// Those of control.
pub(super) async fn of_cluster(
    member: &Membership,
    cluster: i64,
) -> Result<Vec<(String, String)>, Fault> {
    let list = PlaceList { cluster, lease: LEASE.to_owned() };
    Ok(member.ctx("log-forwarding").await?.ask(list).await?.places)
}
