//! Accounts at AWS.

use keysherd_base::Fault;
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value};

use crate::aws::{Aws, AwsGiven, REGION as USUAL_REGION, within};
use crate::member::content;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const KEY_ID: Field<Text> =
    Field::text("access-key-id", "The id of the access key that makes and removes users.");
const KEY: Field<Text> = Field::text("access-key", "The secret of that access key.").secret();
const TOKEN: Field<Text> =
    Field::text("session-token", "What makes an access key complete that was lent.").secret();
const REGION: Field<Text> = Field::text("region", "The region.").default(USUAL_REGION);
const ROLE: Field<Text> =
    Field::text("role-arn", "A role that is assumed with the access key first.");
const CLOUD_IDENTITY: Field<Flag> = Field::flag(
    "use-gw-cloud-identity",
    "Whether the gateway's own identity at AWS signs; must be false.",
);
const EXTERNAL_ID: Field<Flag> =
    Field::flag("generate-external-id", "Kept for clients that read it, without effect.");

static KIND: Kind = Kind {
    name: "aws",
    what: "an AWS account",
    create: &[
        Spelling::current("target-create-aws", "TargetCreateAws", "TargetCreateOutput"),
        Spelling::older("create-aws-target", "CreateAWSTarget", "CreateAWSTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-aws", "TargetUpdateAws", "TargetUpdateOutput"),
        Spelling::older("update-aws-target", "UpdateAWSTarget", "object"),
        Spelling::older(
            "update-aws-target-details",
            "UpdateAWSTargetDetails",
            "UpdateTargetOutput",
        ),
    ],
    fields: &Group {
        title: "AWS",
        fields: &[
            KEY_ID.spec(),
            KEY.spec(),
            TOKEN.spec(),
            REGION.spec(),
            ROLE.spec(),
            CLOUD_IDENTITY.spec(),
            EXTERNAL_ID.spec(),
        ],
    },
    whereabouts: &["access-key-id", "region"],
    types: &["aws"],
};

/// The account that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn account(settings: &Settings) -> Result<Aws, Fault> {
    if settings.flag(&CLOUD_IDENTITY, false) {
        return Err(bad_setting(
            CLOUD_IDENTITY.name(),
            "this version signs with access keys only: a gateway's own identity is its operator's",
        ));
    }
    Aws::new(&AwsGiven {
        region: Named::of(settings, &REGION),
        key_id: Named::of(settings, &KEY_ID),
        key: Named::of(settings, &KEY),
        token: settings.text(&TOKEN),
        role: settings.text(&ROLE),
    })
}

/// The member.
pub(super) struct AwsTarget;

impl Target for AwsTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("aws")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        account(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("aws_access_key_id", "access-key-id"),
            ("aws_region", "region"),
            ("aws_secret_access_key", "access-key"),
            ("aws_session_token", "session-token"),
            ("use_gw_cloud_identity", "use-gw-cloud-identity"),
        ];
        ("aws_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let account = account(settings)?;
            within(way, async {
                let session = account.open(way).await?;
                session.lent("GetCallerIdentity", &[], "signing in").await?;
                Ok(())
            })
            .await
        })
    }
}
