//! Clusters of Google Kubernetes Engine, and the service account that gets into them.

use keysherd_base::Fault;
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::cluster::ClusterAt;
use crate::google::{CLOUD, GoogleKey, is_account, no_own_identity};
use crate::member::content;
use crate::{BoxFuture, Kind, Lender as _, Settings, Spelling, Target, Way};

const KEY: Field<Text> =
    Field::text("gke-account-key", "The key of a service account: JSON, or that in base64.")
        .secret();
const ACCOUNT: Field<Text> = Field::text(
    "gke-service-account-email",
    "The service account that tokens are of; the key's own otherwise.",
);
const ENDPOINT: Field<Text> =
    Field::text("gke-cluster-endpoint", "The address of the cluster's API server.");
const AUTHORITY: Field<Text> = Field::text(
    "gke-cluster-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> =
    Field::text("gke-cluster-name", "What the cluster is called in kubeconfig files.");
const CLOUD_IDENTITY: Field<Flag> = Field::flag(
    "use-gw-cloud-identity",
    "Whether the gateway's own identity at Google Cloud signs in; must be false.",
);

static KIND: Kind = Kind {
    name: "gke",
    what: "a cluster of Google Kubernetes Engine",
    create: &[
        Spelling::current("target-create-gke", "TargetCreateGke", "TargetCreateOutput"),
        Spelling::older("create-gke-target", "CreateGKETarget", "CreateGKETargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-gke", "TargetUpdateGke", "TargetUpdateOutput"),
        Spelling::older("update-gke-target", "UpdateGKETarget", "UpdateGKETargetOutput"),
    ],
    fields: &Group {
        title: "Google Kubernetes Engine",
        fields: &[
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            NAME.spec(),
            ACCOUNT.spec(),
            KEY.spec(),
            CLOUD_IDENTITY.spec(),
        ],
    },
    whereabouts: &["gke-cluster-endpoint", "gke-cluster-cert"],
    types: &["gke"],
};

/// The fields by which settings name a cluster, and whose tokens get into it.
pub struct GkeFields {
    /// The address of its API server.
    pub endpoint: Field<Text>,
    /// The authorities that vouch for it.
    pub authority: Field<Text>,
    /// What it is called.
    pub name: Field<Text>,
    /// Whose tokens.
    pub account: Field<Text>,
    /// The key of a service account.
    pub key: Field<Text>,
}

const FIELDS: GkeFields =
    GkeFields { endpoint: ENDPOINT, authority: AUTHORITY, name: NAME, account: ACCOUNT, key: KEY };

/// A cluster, and who gets into it.
pub struct Gke {
    /// The cluster.
    pub cluster: ClusterAt,
    /// The key that lends tokens.
    pub key: GoogleKey,
    /// Another account, whose tokens they are.
    pub account: Option<String>,
}

impl Gke {
    /// The one that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(settings: &Settings, fields: &GkeFields) -> Result<Self, Fault> {
        let named = [&fields.endpoint, &fields.authority, &fields.name];
        let cluster = ClusterAt::by(settings, named)?;
        let key = GoogleKey::by(settings, &fields.key)?;
        let account = settings.text(&fields.account);
        let bad = || bad_setting(fields.account.name(), "it is no address of a service account");
        if !account.is_none_or(is_account) {
            return Err(bad());
        }
        let account = account.filter(|account| *account != key.account).map(str::to_owned);
        Ok(Self { cluster, key, account })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn gke(settings: &Settings) -> Result<Gke, Fault> {
    no_own_identity(settings, &CLOUD_IDENTITY)?;
    Gke::by(settings, &FIELDS)
}

/// The member.
pub(super) struct GkeTarget;

impl Target for GkeTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("gke")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        gke(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("gke_cluster_ca_certificate", "gke-cluster-cert"),
            ("gke_cluster_endpoint", "gke-cluster-endpoint"),
            ("gke_cluster_name", "gke-cluster-name"),
            ("gke_service_account_key", "gke-account-key"),
            ("gke_service_account_name", "gke-service-account-email"),
            ("use_gw_cloud_identity", "use-gw-cloud-identity"),
        ];
        ("gke_target_details", content(&KIND, settings, &names))
    }

    /// Whether the key gets a token; what that may in the cluster is the cluster's to say.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let account = gke(settings)?.key.lender(CLOUD, None, Some(way))?;
            account.lend(way).await.map(drop)
        })
    }
}
