//! A cluster's whole configuration, taken out of it and brought into another cluster of the same
//! account, or back: for operators, who have what opens it anyway.

use std::fmt;
use std::sync::Arc;

use keysherd_api::{Beginning, Forwarder};
use keysherd_base::limits::VALUE_BYTES_MAX;
use keysherd_base::{AccessId, AccountId, Fault, Rng, Secret, SecretBytes, Uid};
use keysherd_domain::cluster::config_path;
use keysherd_plane::clusters::ClusterList;
use serde::{Deserialize, Serialize};

use super::{CONFIGS_MAX, ClusterConfigs, Document, not_joined};
use crate::configs::{Entry, check};
use crate::forwarding::FORWARDER;

#[cfg(test)]
mod tests;

/// The format of what is carried.
const FORMAT: u32 = 2;
/// Longest configuration that is carried, in bytes.
pub const CARRIED_BYTES_MAX: usize = VALUE_BYTES_MAX + 4 * 1024;

/// A whole configuration outside of its cluster. It has secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedConfig {
    format: u32,
    account: AccountId,
    access_id: AccessId,
    cluster: String,
    /// The cluster's number, which no later cluster of the same name has.
    number: i64,
    version: u32,
    entries: Vec<Entry>,
}

impl fmt::Debug for CarriedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CarriedConfig({} version {})", self.full_name(), self.version)
    }
}

impl CarriedConfig {
    /// As it is sealed.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_bytes(&self) -> Result<SecretBytes, Fault> {
        serde_json::to_vec(self).map(SecretBytes::new).map_err(Fault::internal)
    }

    /// Reads what [`Self::to_bytes`] wrote. Nothing of it goes into a fault.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for anything else.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, Fault> {
        let other = || {
            Fault::bad_request(
                "the file has a configuration in a form that this program does not know; use the \
                 program that wrote it, or a newer one",
            )
        };
        let read: Self = serde_json::from_slice(bytes.expose()).map_err(|_| other())?;
        if read.format != FORMAT || read.entries.len() > CONFIGS_MAX {
            return Err(other());
        }
        read.entries.iter().try_for_each(check)?;
        Ok(read)
    }

    /// The cluster it is of.
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.account, self.access_id, self.cluster)
    }

    /// Which version of that cluster's configuration.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether it is of this very cluster. A number alone could be that of a cluster from before
    /// control was set back.
    fn is_of(&self, number: i64, access_id: &AccessId, name: &str) -> bool {
        self.number == number && self.access_id == *access_id && self.cluster == name
    }

    /// How many configurations are in it.
    pub fn count(&self) -> usize {
        self.entries.len()
    }
}

/// What bringing in changes about one configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Of what kind it is, such as `k8s`.
    pub kind: String,
    /// Its name among those of its kind; empty where there is only one.
    pub name: String,
    /// What becomes of it.
    pub what: ChangeKind,
}

/// What becomes of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The cluster had none of this name.
    Added,
    /// It takes the place of another one.
    Changed,
    /// The cluster has it, and what is brought in does not.
    Removed,
}

/// What came of bringing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtIn {
    /// What changed, or would.
    pub changes: Vec<Change>,
    /// The version of the cluster's configuration now.
    pub version: u32,
    /// Why it takes force; `None`: it does not.
    pub against: Option<String>,
}

/// How something is brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BringIn {
    /// Also over what would be lost by it.
    pub force: bool,
    /// Says what would change, and changes nothing.
    pub dry_run: bool,
}

impl ClusterConfigs {
    /// The configuration of this gateway's cluster.
    ///
    /// # Errors
    /// [`Fault::unavailable`] while it is not known.
    pub async fn carry_out(&self) -> Result<CarriedConfig, Fault> {
        let (cluster, version, base) = self.current().await?;
        let name = self.membership.name().to_owned();
        self.carried((cluster, name), version, base.document.entries.clone())
    }

    /// The configuration of another cluster with the access id of this one.
    ///
    /// # Errors
    /// [`Fault::not_found`] when there is none; as [`Self::carry_out`].
    pub async fn carry_out_of(&self, name: &str) -> Result<CarriedConfig, Fault> {
        let ctx = self.membership.ctx("gateway-clone").await?;
        let own = self.membership.access_id();
        let listed = ctx.ask(ClusterList).await?.clusters.into_iter().map(|view| view.cluster);
        let mut meant = listed.filter(|it| it.access_id == *own && it.name == name);
        let found = meant.next().ok_or_else(|| {
            Fault::not_found(format!(
                "access id {own} has no gateway cluster '{}'; see them with list-gateways. The \
                 configuration of another access id's cluster is exported there",
                name.escape_default()
            ))
        })?;
        let path = config_path(own, name)?;
        let (version, Document { entries, .. }) = self.fetch(&ctx, found.id, &path).await?;
        self.carried((found.id, name.to_owned()), version, entries)
    }

    fn carried(
        &self,
        (number, cluster): (i64, String),
        version: u32,
        entries: Vec<Entry>,
    ) -> Result<CarriedConfig, Fault> {
        let joined = self.membership.joined().ok_or_else(|| not_joined(&self.membership))?;
        let (account, access_id) = (joined.account, self.membership.access_id().clone());
        Ok(CarriedConfig { format: FORMAT, account, access_id, cluster, number, version, entries })
    }

    /// Puts `carried` in the place of everything that the cluster is configured with. What is the
    /// same already stays as it is, so a second time changes nothing.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for a configuration of another account, [`Fault::conflict`] when
    /// something would be lost by it and it is not forced, or somebody changes the cluster's
    /// configuration at the same time.
    pub async fn bring_in(
        &self,
        carried: CarriedConfig,
        how: BringIn,
        rng: &dyn Rng,
    ) -> Result<BroughtIn, Fault> {
        let joined = self.membership.joined().ok_or_else(|| not_joined(&self.membership))?;
        if carried.account != joined.account {
            return Err(Fault::bad_request(format!(
                "this is the configuration of {}, and this gateway's cluster belongs to account \
                 {}: auth methods of another account are not there",
                carried.full_name(),
                joined.account
            )));
        }
        let _turn = self.edits.lock().await;
        let (cluster, version, base) = self.current().await?;
        let own = (self.membership.access_id(), self.membership.name());
        let here = carried.is_of(cluster, own.0, own.1);
        let old = &base.document.entries;
        let wanted = wanted(&carried, old, own.0, here, rng)?;
        let changes = changes(old, &wanted);
        let newer = Some(version).filter(|version| here && carried.version < *version);
        let against = against(&carried, newer, &changes);
        if changes.is_empty() || how.dry_run {
            return Ok(BroughtIn { changes, version, against });
        }
        if let Some(against) = against.as_ref().filter(|_| !how.force) {
            return Err(Fault::conflict(format!("{against}; use --force if that is meant")));
        }
        self.store((cluster, version), wanted, None).await?;
        Ok(BroughtIn { changes, version: version.saturating_add(1), against })
    }
}

/// Why it should not take force without being told to: `newer` is the version of the very
/// configuration that is carried, if that went on since.
fn against(carried: &CarriedConfig, newer: Option<u32>, changes: &[Change]) -> Option<String> {
    if let Some(newer) = newer {
        return Some(format!(
            "it is version {} of this cluster's configuration, which has version {newer} by now: \
             what was changed since would be lost",
            carried.version
        ));
    }
    let lost = changes.iter().filter(|change| change.what != ChangeKind::Added).count();
    (lost > 0).then(|| {
        format!("this cluster has configurations of its own, of which {lost} would be lost")
    })
}

/// What the cluster shall have: what is carried, for the access id of this cluster. What it has
/// already stays as it is.
fn wanted(
    carried: &CarriedConfig,
    old: &[Entry],
    own: &AccessId,
    here: bool,
    rng: &dyn Rng,
) -> Result<Vec<Entry>, Fault> {
    let mut all = Vec::with_capacity(carried.entries.len());
    for entry in &carried.entries {
        let mut entry = entry.clone();
        if entry.account != carried.account {
            return Err(Fault::bad_request("the file has configurations of several accounts"));
        }
        // What belongs to a cluster as such is under the cluster's own.
        if entry.access_id == carried.access_id {
            entry.access_id = own.clone();
        }
        let known = old.iter().find(|old| old.is(entry.account, &entry.kind, &entry.name));
        all.push(match known {
            Some(known) if alike(known, &entry, here)? => known.clone(),
            _ if here => entry,
            _ => elsewhere(entry, rng)?,
        });
    }
    Ok(all)
}

/// An entry for another cluster. Its log targets are not those of the cluster it comes from: they
/// begin at their own place, and are off until somebody wants everything to arrive twice.
fn elsewhere(mut entry: Entry, rng: &dyn Rng) -> Result<Entry, Fault> {
    if entry.kind == FORWARDER {
        let mut target = Forwarder::from_json(&entry.name, &entry.body())?;
        target.enabled = false;
        target.begin = Some(Beginning { id: Uid::random(rng)?, from: 1 });
        let mut place_key = Secret::new([0; 32]);
        rng.fill(place_key.expose_mut())?;
        target.place_key = Some(Arc::new(place_key));
        entry.put_body(&target.to_json()?);
    }
    Ok(entry)
}

/// Whether two entries of one name say the same. Where a log target of another cluster begins, and
/// whether it is on, is that cluster's.
fn alike(one: &Entry, other: &Entry, here: bool) -> Result<bool, Fault> {
    if here || one.kind != FORWARDER {
        return Ok(one == other);
    }
    let settings = |entry: &Entry| {
        let mut target = Forwarder::from_json(&entry.name, &entry.body())?;
        (target.enabled, target.begin, target.place_key) = (false, None, None);
        target.to_json()
    };
    let same = settings(one)?.expose() == settings(other)?.expose();
    Ok(same && one.access_id == other.access_id)
}

fn changes(old: &[Entry], new: &[Entry]) -> Vec<Change> {
    let named = |all: &[Entry], entry: &Entry| {
        all.iter().find(|it| it.is(entry.account, &entry.kind, &entry.name)).cloned()
    };
    let change =
        |entry: &Entry, what| Change { kind: entry.kind.clone(), name: entry.name.clone(), what };
    let mut changes: Vec<Change> = Vec::new();
    for entry in new {
        match named(old, entry) {
            None => changes.push(change(entry, ChangeKind::Added)),
            Some(known) if known != *entry => changes.push(change(entry, ChangeKind::Changed)),
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|entry| named(new, entry).is_none());
    changes.extend(gone.map(|entry| change(entry, ChangeKind::Removed)));
    changes.sort();
    changes
}
