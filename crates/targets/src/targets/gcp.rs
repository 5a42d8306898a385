//! Google Cloud, as a service account.

use keysherd_base::Fault;
use keysherd_wire::{Field, Flag, Group, Text};
use serde_json::{Map, Value};

use crate::google::{CLOUD, GoogleKey, no_own_identity};
use crate::member::content;
use crate::{BoxFuture, Kind, Lender as _, Settings, Spelling, Target, Way};

const KEY: Field<Text> =
    Field::text("gcp-key", "The key of a service account: JSON, or that in base64.").secret();
const CLOUD_IDENTITY: Field<Flag> = Field::flag(
    "use-gw-cloud-identity",
    "Whether the gateway's own identity at Google Cloud signs in; must be false.",
);

static KIND: Kind = Kind {
    name: "gcp",
    what: "a Google Cloud service account",
    create: &[
        Spelling::current("target-create-gcp", "TargetCreateGcp", "TargetCreateOutput"),
        Spelling::older("create-gcp-target", "CreateGcpTarget", "CreateGcpTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-gcp", "TargetUpdateGcp", "TargetUpdateOutput"),
        Spelling::older("update-gcp-target", "UpdateGcpTarget", "UpdateGcpTargetOutput"),
    ],
    fields: &Group { title: "Google Cloud", fields: &[KEY.spec(), CLOUD_IDENTITY.spec()] },
    // Google is always at the same place.
    whereabouts: &["use-gw-cloud-identity"],
    types: &["gcp"],
};

/// The key that these settings of a target have.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn key(settings: &Settings) -> Result<GoogleKey, Fault> {
    no_own_identity(settings, &CLOUD_IDENTITY)?;
    GoogleKey::by(settings, &KEY)
}

/// The member.
pub(super) struct GcpTarget;

impl Target for GcpTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("gcp")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        key(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("gcp_service_account_key", "gcp-key"),
            ("use_gw_cloud_identity", "use-gw-cloud-identity"),
        ];
        ("gcp_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let account = key(settings)?.lender(CLOUD, None, Some(way))?;
            account.lend(way).await.map(drop)
        })
    }
}
