//! Clusters of Amazon's Elastic Kubernetes Service, and the access key that gets into them.

use keysherd_base::Fault;
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::aws::{Aws, AwsGiven, REGION as USUAL_REGION, within};
use crate::cluster::ClusterAt;
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const KEY_ID: Field<Text> =
    Field::text("eks-access-key-id", "The id of the access key whose user gets into the cluster.");
const KEY: Field<Text> =
    Field::text("eks-secret-access-key", "The secret of that access key.").secret();
const REGION: Field<Text> = Field::text("eks-region", "The region.").default(USUAL_REGION);
const ENDPOINT: Field<Text> =
    Field::text("eks-cluster-endpoint", "The address of the cluster's API server.");
const AUTHORITY: Field<Text> = Field::text(
    "eks-cluster-ca-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> = Field::text("eks-cluster-name", "What AWS calls the cluster.");
const CLOUD_IDENTITY: Field<Flag> = Field::flag(
    "use-gw-cloud-identity",
    "Whether the gateway's own identity at AWS signs; must be false.",
);

static KIND: Kind = Kind {
    name: "eks",
    what: "a cluster of Amazon EKS",
    create: &[
        Spelling::current("target-create-eks", "TargetCreateEks", "TargetCreateOutput"),
        Spelling::older("create-eks-target", "CreateEKSTarget", "CreateEKSTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-eks", "TargetUpdateEks", "TargetUpdateOutput"),
        Spelling::older("update-eks-target", "UpdateEKSTarget", "UpdateEKSTargetOutput"),
    ],
    fields: &Group {
        title: "Amazon EKS",
        fields: &[
            NAME.spec(),
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            REGION.spec(),
            KEY_ID.spec(),
            KEY.spec(),
            CLOUD_IDENTITY.spec(),
        ],
    },
    whereabouts: &["eks-access-key-id", "eks-region", "eks-cluster-endpoint"],
    types: &["eks"],
};

/// The fields by which settings name a cluster, and who gets into it.
pub struct EksFields {
    /// The address of its API server.
    pub endpoint: Field<Text>,
    /// The authorities that vouch for it.
    pub authority: Field<Text>,
    /// What AWS calls it.
    pub name: Field<Text>,
    /// The region.
    pub region: Field<Text>,
    /// The id of the access key.
    pub key_id: Field<Text>,
    /// Its secret.
    pub key: Field<Text>,
}

const FIELDS: EksFields = EksFields {
    endpoint: ENDPOINT,
    authority: AUTHORITY,
    name: NAME,
    region: REGION,
    key_id: KEY_ID,
    key: KEY,
};

/// A cluster, and who gets into it.
pub struct Eks {
    /// The cluster.
    pub cluster: ClusterAt,
    /// Who signs.
    pub aws: Aws,
}

impl Eks {
    /// The one that settings with these fields name, as this role if there is one.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(settings: &Settings, fields: &EksFields, role: Option<&str>) -> Result<Self, Fault> {
        let name = settings.need(&fields.name)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.len() > 100 || !name.bytes().all(plain) {
            return Err(bad_setting(fields.name.name(), "it is no name of a cluster"));
        }
        let named = [&fields.endpoint, &fields.authority, &fields.name];
        let cluster = ClusterAt::by(settings, named)?;
        let aws = Aws::new(&AwsGiven {
            region: Named::of(settings, &fields.region),
            key_id: Named::of(settings, &fields.key_id),
            key: Named::of(settings, &fields.key),
            token: None,
            role,
        })?;
        Ok(Self { cluster, aws })
    }
}

/// The one that these settings of a target name, as this role if there is one.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn eks(settings: &Settings, role: Option<&str>) -> Result<Eks, Fault> {
    if settings.flag(&CLOUD_IDENTITY, false) {
        return Err(bad_setting(
            CLOUD_IDENTITY.name(),
            "this version signs with access keys only: a gateway's own identity is its operator's",
        ));
    }
    Eks::by(settings, &FIELDS, role)
}

/// The member.
pub(super) struct EksTarget;

impl Target for EksTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("eks")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        eks(settings, None).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("eks_access_key_id", "eks-access-key-id"),
            ("eks_cluster_ca_certificate", "eks-cluster-ca-cert"),
            ("eks_cluster_endpoint", "eks-cluster-endpoint"),
            ("eks_cluster_name", "eks-cluster-name"),
            ("eks_region", "eks-region"),
            ("eks_secret_access_key", "eks-secret-access-key"),
            ("use_gw_cloud_identity", "use-gw-cloud-identity"),
        ];
        ("eks_target_details", content(&KIND, settings, &names))
    }

    /// Whether AWS knows the access key; what its user may in the cluster is the cluster's to say.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let eks = eks(settings, None)?;
            within(way, async {
                let session = eks.aws.open(way).await?;
                let answer = session.lent("GetCallerIdentity", &[], "signing in").await;
                answer.map(drop).map_err(Fault::from)
            })
            .await
        })
    }
}
