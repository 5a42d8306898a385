//! What a gateway is started with for its cluster: who may configure it, and its first defaults.
//!
//! Both are brought once, when the cluster was joined, and again when it was deleted meanwhile.

use std::sync::{Arc, Weak};
use std::time::Duration;

use keysherd_api::{Config, Configs, DEFAULTS_CONFIG, Defaults, LoginDefaults};
use keysherd_base::{AccessId, Fault, FaultKind, ItemId, ItemPath};
use keysherd_domain::item::ItemKind;
use keysherd_plane::gateway_access::{Allowed, GatewayAccessProvide};
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::ItemDescribe;

use crate::cluster_configs::ClusterConfigs;
use crate::membership::{Joined, Membership};

/// The pause after something was refused, or nobody answered.
const RETRY: Duration = Duration::from_secs(30);

/// What a gateway is started with for its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstSettings {
    /// Who may configure it, by name, in the place of whoever earlier starts named; `None`: that
    /// stays as it is.
    pub allowed: Option<Vec<(String, Allowed)>>,
    /// The defaults of a cluster that has none.
    pub defaults: FirstDefaults,
}

/// The defaults of a cluster that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstDefaults {
    /// The key of new secrets, which the gateways' role may read.
    pub key: Option<ItemPath>,
    /// Where consoles propose to put new items.
    pub location: Option<String>,
    /// The auth method of SAML logins that name none.
    pub saml: Option<AccessId>,
    /// That of OIDC logins.
    pub oidc: Option<AccessId>,
    /// That which is shown for certificates.
    pub certificate: Option<AccessId>,
}

impl FirstSettings {
    /// Brings them for as long as the gateway is in a cluster. Ends at once when there is nothing
    /// to bring.
    pub async fn bring(self, membership: Weak<Membership>, configs: Weak<ClusterConfigs>) {
        if self == Self::default() {
            return;
        }
        let Some(mut news) = membership.upgrade().map(|it| it.news()) else { return };
        let mut brought = None;
        loop {
            let joined = *news.borrow_and_update();
            if let Some(joined) = joined.filter(|joined| brought != Some(joined.cluster)) {
                let (Some(member), Some(configs)) = (membership.upgrade(), configs.upgrade())
                else {
                    return;
                };
                match self.bring_to(&member, &configs, joined).await {
                    Ok(()) => brought = Some(joined.cluster),
                    Err(fault) => {
                        tracing::error!(
                            %fault,
                            "what this gateway was started with for its cluster is not in force; \
                             trying on"
                        );
                        drop((member, configs));
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    async fn bring_to(
        &self,
        member: &Membership,
        configs: &Arc<ClusterConfigs>,
        joined: Joined,
    ) -> Result<(), Fault> {
        if let Some(all) = &self.allowed {
            let provide = GatewayAccessProvide { cluster: joined.cluster, all: all.clone() };
            member.ctx("gateway-provide-allowed-access").await?.ask(provide).await?;
        }
        if self.defaults == FirstDefaults::default()
            || configs.of_cluster(DEFAULTS_CONFIG).await?.is_some()
        {
            return Ok(());
        }
        let FirstDefaults { key, location, saml, oidc, certificate } = self.defaults.clone();
        let key = match key {
            Some(path) => Some(key_item(member, path).await?),
            None => None,
        };
        let logins = LoginDefaults { saml, oidc, certificate };
        let defaults = Defaults { key, location, logins, ..Defaults::default() };
        let config = Config {
            account: joined.account,
            kind: DEFAULTS_CONFIG,
            name: String::new(),
            access_id: member.access_id().clone(),
            body: defaults.to_json()?,
        };
        match configs.put(config, None).await {
            // Another gateway was faster.
            Err(fault) if fault.kind() == FaultKind::Conflict => Ok(()),
            other => other,
        }
    }
}

/// The number of a key that may protect items, as the gateway sees it.
async fn key_item(member: &Membership, path: ItemPath) -> Result<ItemId, Fault> {
    let ctx = member.ctx("gateway-update-defaults").await?;
    let item = ItemRef::Path(path);
    let item = ctx.ask(ItemDescribe { item, with_versions: false }).await?.item;
    match item.kind {
        ItemKind::Key(algorithm) if algorithm.protects_items() => Ok(item.id),
        _ => Err(Fault::bad_request(format!(
            "{} is no key that protects items; name a GCM or SIV key as default key",
            item.path
        ))),
    }
}
