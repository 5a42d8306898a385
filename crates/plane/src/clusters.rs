//! Clusters of gateways: how an instance joins one and stays in it, and who lists and deletes them.

use keysherd_base::{AccessId, AccountId, ItemId, ItemPath, Timestamp, Uid};
use keysherd_domain::cluster::{Cluster, FragmentNote};
use keysherd_domain::gateway_access::GatewayPermission;
use serde::{Deserialize, Serialize};

use crate::gateway_access::GatewayAccessView;
use crate::items::SealedValue;

/// An instance says that it is there, and waits a moment for what is new. The first one makes it a
/// member: its token proves account and access id, its connection proves its key.
///
/// Only joining is recorded in the audit log, and what is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSync {
    /// Name of the cluster.
    pub name: String,
    /// What people call a cluster that is made by this; later ones change nothing.
    pub display_name: Option<String>,
    /// Where clients find the cluster; `None` leaves that as it is.
    pub url: Option<String>,
    /// The key that the configuration of a cluster that is made by this is sealed under, by path;
    /// `None`: the account's default key. Later ones change nothing.
    pub protection_key: Option<ItemPath>,
    /// The machine this instance runs on.
    pub host: String,
    /// The program's version.
    pub program: String,
    /// The customer fragments it holds.
    pub fragments: Vec<FragmentNote>,
    /// The version of the configuration that it has; 0: none.
    pub known: u32,
    /// How long to wait for a newer one, at most; control may wait for less.
    pub wait_millis: u32,
    /// By chance at each start: whoever holds a lease is one process.
    pub process: Uid,
    /// The leases that this process wants to have, or to keep.
    pub leases: Vec<LeaseWish>,
}

/// A lease that an instance wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseWish {
    /// What it is for.
    pub name: String,
    /// The number under which it has it, as far as it knows.
    pub fence: Option<u64>,
}

/// A lease that an instance has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHeld {
    /// What it is for.
    pub name: String,
    /// Its number.
    pub fence: u64,
    /// How long it lasts, in milliseconds from the moment that the question was asked at the
    /// earliest.
    pub millis: u32,
}

/// The instance is in the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterSyncReply {
    /// The cluster's number.
    pub cluster: i64,
    /// The account.
    pub account: AccountId,
    /// The access id of the cluster.
    pub access_id: AccessId,
    /// The version of the configuration; 0: there is none.
    pub version: u32,
    /// Those of the wanted leases that the instance has.
    pub leases: Vec<LeaseHeld>,
}

/// Gives a lease back before it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseRelease {
    /// The cluster's number.
    pub cluster: i64,
    /// The process that has it.
    pub process: Uid,
    /// The lease.
    pub lease: String,
    /// Its number.
    pub fence: u64,
}

/// Keeps how far the work under a lease came: for who has the lease, and is refused with a conflict
/// once somebody else had it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlacePut {
    /// The cluster's number.
    pub cluster: i64,
    /// The process that has the lease.
    pub process: Uid,
    /// The lease.
    pub lease: String,
    /// Its number.
    pub fence: u64,
    /// Which of the places under this lease.
    pub name: String,
    /// What control shall keep, and does not look into; `None`: nothing any more.
    pub body: Option<String>,
}

/// Reads the places under a lease, for every instance of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceList {
    /// The cluster's number.
    pub cluster: i64,
    /// The lease.
    pub lease: String,
}

/// The places, by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceListReply {
    /// Each with its name.
    pub places: Vec<(String, String)>,
}

/// Keeps the next configuration of a cluster, for the cluster's own access id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterConfigPut {
    /// The cluster's number.
    pub cluster: i64,
    /// Its version: that of the newest one and one more, else it is refused with a conflict.
    pub version: u32,
    /// The configuration, which control cannot read.
    pub value: SealedValue,
    /// As the grant was asked for with it.
    pub key: Option<ItemPath>,
}

/// Lists the clusters of the account. Who is no administrator learns where they are and whether
/// they run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClusterList;

/// All clusters, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterListReply {
    /// The clusters.
    pub clusters: Vec<ClusterView>,
}

/// A cluster as its account sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// The cluster.
    pub cluster: Cluster,
    /// Instances that answer now.
    pub running: usize,
    /// All instances that are known.
    pub instances: usize,
    /// When one of them was seen last.
    pub last_seen: Option<Timestamp>,
    /// The customer fragments of its instances; for administrators.
    pub fragments: Vec<FragmentNote>,
    /// Whether the gateway that asks is in it.
    pub current: bool,
    /// Whether the caller may configure it.
    pub may_configure: bool,
}

/// Shows the cluster that the gateway is in, to who may configure it; the audit record is written
/// when that is done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClusterShow;

/// The cluster, as far as control knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterShown {
    /// The caller's account.
    pub account: AccountId,
    /// The cluster; `None` when the gateway is in none of the account.
    pub cluster: Option<Cluster>,
    /// The key item that its configuration is sealed under, by path.
    pub protection_key: Option<ItemPath>,
    /// What the caller may configure.
    pub permissions: Vec<GatewayPermission>,
    /// Who else may; for those who may do everything.
    pub allowed: Vec<GatewayAccessView>,
}

/// Asks for a key that the cluster of the gateway may have as its default: one that protects
/// items, and that the caller may read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterKeyChoose {
    /// The key.
    pub key: ItemPath,
}

/// It may.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClusterKeyChosen {
    /// The key item.
    pub item: ItemId,
}

/// Asks, for a webhook that somebody showed a text of a gateway, whether to believe it: whether the
/// key that has signed it is that of a gateway of this account which works with this access id, and
/// whether nobody asked that of the same text before. Whether the text is signed, and what it says,
/// the gateway has seen to. Recorded where the key is that of such a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VouchCheck {
    /// Whom the webhook expects.
    pub access_id: AccessId,
    /// The account that the text is about.
    pub account: Uid,
    /// The item that it is about, for the record.
    pub item: String,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the key.
    pub spki_sha256: [u8; 32],
    /// What tells the text from every other one.
    pub mark: [u8; 16],
    /// When it was signed, lately.
    pub made: Timestamp,
    /// Until when somebody else might believe it.
    pub until: Timestamp,
}

/// Deletes a cluster with its configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterDelete {
    /// Its full name, or its name where only one has it.
    pub name: String,
    /// Also while instances of it run; they register again and begin anew.
    pub force: bool,
}
