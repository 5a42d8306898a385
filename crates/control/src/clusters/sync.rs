//! The heartbeat of an instance: it registers with the first one, and is told what is new.

use std::time::Duration;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{
    CLUSTERS_PER_ACCOUNT_MAX, DESCRIPTION_BYTES_MAX, FRAGMENTS_TOLD_MAX, INSTANCES_PER_CLUSTER_MAX,
    TAG_BYTES_MAX,
};
use keysherd_base::{Fault, ItemPath, Timestamp, Uid};
use keysherd_domain::cluster::{Cluster, FragmentNote, Instance, is_name};
use keysherd_domain::lease::Holder;
use keysherd_plane::Caller;
use keysherd_plane::clusters::{ClusterSync, ClusterSyncReply};
use keysherd_store::{Tx, clusters as stored};

use super::live::Next;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::account_now;
use crate::items::protection::Chooser;
use crate::session::Principal;

/// Longest wait for news; also the interval of heartbeats.
/// Tests wait longer for the news themselves than for their end.
const WAIT_MAX: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });
/// Instances that were not seen for so long are forgotten when another one joins: 30 days.
const FORGOTTEN_AFTER_SECONDS: i64 = 30 * 86_400;
/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 512;

/// Registers or hears an instance, and waits for a configuration that it does not have.
///
/// # Errors
/// [`Fault::unauthorized`] when its token is not good, [`Fault::bad_request`] for malformed names
/// and when there are too many clusters or instances.
pub(crate) async fn sync(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: ClusterSync,
) -> Result<ClusterSyncReply, Fault> {
    let who = control.principal(caller).await?;
    let spki = gateway.spki_sha256;
    let now = control.now();
    let cluster = match control.clusters.hear(&spki, (who.account, who.access_id()), &message, now)
    {
        Next::Register => register(control, &spki, caller, &who, &message).await?,
        Next::Note(cluster) => {
            let note = move |tx: &Tx| stored::note_seen(tx, &spki, now);
            control.store.commit(Vec::new(), note).await?;
            cluster
        }
        Next::Nothing(cluster) => cluster,
    };
    let holder = Holder { spki_sha256: spki, process: message.process };
    let leases = control.leases(cluster, holder, message.leases.clone()).await?;
    let Some(version) = wait_for_news(control, cluster, &message).await? else {
        control.clusters.forget(cluster);
        return Err(Fault::conflict("this gateway's cluster was deleted; it registers again"));
    };
    let access_id = who.access_id().clone();
    Ok(ClusterSyncReply { cluster, account: who.account, access_id, version, leases })
}

/// The version of the configuration, as soon as it is not the known one, or at the end of the wait;
/// `None` when the cluster is gone.
async fn wait_for_news(
    control: &Control,
    cluster: i64,
    message: &ClusterSync,
) -> Result<Option<u32>, Fault> {
    let wait = Duration::from_millis(message.wait_millis.into()).min(WAIT_MAX);
    let mut news = control.clusters.listen();
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        news.mark_unchanged();
        let version = control.store.read(|reader| stored::config_version(reader, cluster))?;
        if version != Some(message.known) {
            return Ok(version);
        }
        // Others are woken too: whoever hears of something else waits on.
        if tokio::time::timeout_at(deadline, news.changed()).await.is_err() {
            return Ok(version);
        }
    }
}

/// Makes the instance a member; the number of its cluster. Recorded when that is a change of who is
/// in which cluster.
async fn register(
    control: &Control,
    spki: &[u8; 32],
    caller: &Caller,
    who: &Principal,
    message: &ClusterSync,
) -> Result<i64, Fault> {
    let now = control.now();
    let (account, access_id) = (who.account, who.access_id().clone());
    let (found, member) = control.store.read(|reader| {
        let found = stored::find(reader, account, &access_id, &message.name)?;
        Ok((found, stored::instance(reader, spki)?))
    })?;
    let member = member.map(|(instance, _)| instance);
    let stays = found
        .as_ref()
        .is_some_and(|cluster| member.as_ref().is_some_and(|member| member.cluster == cluster.id));
    let params = vec![
        Param::public("cluster", message.name.clone()),
        Param::public("instance", hex::encode(spki)),
    ];
    let draft = audit_draft(caller, who, action::REGISTER_GATEWAY, "", params);
    if let Err(refused) = check(message) {
        return control.recorded(draft, Err(refused)).await;
    }
    let instance = Instance {
        spki_sha256: *spki,
        cluster: 0,
        host: message.host.clone(),
        program: message.program.clone(),
        fragments: message.fragments.clone(),
        registered: member.filter(|_| stays).map_or(now, |member| member.registered),
    };
    let new = Cluster {
        id: 0,
        uid: Uid::random(&*control.rng)?,
        account,
        access_id,
        name: message.name.clone(),
        display_name: message.display_name.clone().unwrap_or_else(|| message.name.clone()),
        url: String::new(),
        protection_key: None,
        created: now,
    };
    let (url, key, bearer) = (message.url.clone(), message.protection_key.clone(), who.clone());
    let job = move |tx: &Tx| {
        let cluster = found_or_made(tx, &bearer, new, key.as_ref(), now)?;
        join(tx, &cluster, instance, url, now)
    };
    let drafts = if stays { Vec::new() } else { vec![draft] };
    let cluster = control.store.commit(drafts, job).await?;
    control.clusters.joined(*spki, (account, who.access_id()), cluster, message, now);
    Ok(cluster)
}

/// The cluster with the identity of `new`, or that one, under the key at `key`.
fn found_or_made(
    tx: &Tx,
    who: &Principal,
    new: Cluster,
    key: Option<&ItemPath>,
    now: Timestamp,
) -> Result<Cluster, Fault> {
    if let Some(cluster) = stored::find(tx, new.account, &new.access_id, &new.name)? {
        return Ok(cluster);
    }
    let most = i64::try_from(CLUSTERS_PER_ACCOUNT_MAX).unwrap_or(i64::MAX);
    if stored::count(tx, new.account)? >= most {
        return Err(Fault::bad_request(format!(
            "the account has {most} gateway clusters, which is the most; delete one with \
             delete-gateway-cluster"
        )));
    }
    let account = account_now(tx, who.account)?;
    let chooser = Chooser { q: tx, who, account: &account, now };
    let protection_key = match key {
        Some(key) => chooser.for_new(Some(key))?.item,
        None => None,
    };
    let new = Cluster { protection_key, ..new };
    Ok(Cluster { id: stored::insert(tx, &new)?, ..new })
}

/// Puts the instance into its cluster.
fn join(
    tx: &Tx,
    cluster: &Cluster,
    mut instance: Instance,
    url: Option<String>,
    now: Timestamp,
) -> Result<i64, Fault> {
    if let Some(url) = url.filter(|url| *url != cluster.url) {
        stored::update(tx, &Cluster { url, ..cluster.clone() })?;
    }
    instance.cluster = cluster.id;
    stored::forget_instances(tx, cluster.id, now.plus_seconds(-FORGOTTEN_AFTER_SECONDS))?;
    stored::put_instance(tx, &instance, now)?;
    let most = i64::try_from(INSTANCES_PER_CLUSTER_MAX).unwrap_or(i64::MAX);
    if stored::count_instances(tx, cluster.id)? > most {
        return Err(Fault::bad_request(format!(
            "the gateway cluster {} has {most} instances, which is the most",
            cluster.full_name()
        )));
    }
    Ok(cluster.id)
}

/// Everything in it is shown to others later.
fn check(message: &ClusterSync) -> Result<(), Fault> {
    if !is_name(&message.name) {
        return Err(Fault::bad_request(format!(
            "invalid cluster name '{:.64}': 1 to 128 letters, digits, '-', '_' and '.'",
            message.name.escape_default().to_string()
        )));
    }
    let texts = [
        ("display name", message.display_name.as_deref(), TAG_BYTES_MAX),
        ("cluster URL", message.url.as_deref(), URL_BYTES_MAX),
        ("host", Some(message.host.as_str()), TAG_BYTES_MAX),
        ("program version", Some(message.program.as_str()), TAG_BYTES_MAX),
    ];
    for (what, text, most) in texts {
        check_text(what, text.unwrap_or_default(), most)?;
    }
    if message.fragments.len() > FRAGMENTS_TOLD_MAX {
        return Err(Fault::bad_request(format!(
            "a gateway tells of at most {FRAGMENTS_TOLD_MAX} customer fragments"
        )));
    }
    for FragmentNote { id, name, description, fingerprint } in &message.fragments {
        check_text("id of a customer fragment", id, TAG_BYTES_MAX)?;
        check_text("name of a customer fragment", name, DESCRIPTION_BYTES_MAX)?;
        check_text("text of a customer fragment", description, DESCRIPTION_BYTES_MAX)?;
        check_text("fingerprint of a customer fragment", fingerprint, TAG_BYTES_MAX)?;
    }
    Ok(())
}

fn check_text(what: &str, text: &str, most: usize) -> Result<(), Fault> {
    if text.len() <= most && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid {what}: at most {most} bytes, without control characters"
    )))
}
