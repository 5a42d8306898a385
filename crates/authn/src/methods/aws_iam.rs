//! AWS IAM: bearers of AWS credentials, who sign a `GetCallerIdentity` request that control sends
//! to the Security Token Service. Its answer names the account, the role or user, and the session.

use keysherd_base::Fault;
use keysherd_wire::{Args, Field, FieldSpec, Group, List, Text};

use crate::fields::{CLOUD_ID, UNIQUE_IDENTIFIER};
use crate::signed_request::caller::{
    BOUND_ARN, BOUND_RESOURCE_ID, BOUND_ROLE_ID, BOUND_ROLE_NAME, BOUND_USER_ID, BOUND_USER_NAME,
    CallerSettings,
};
use crate::signed_request::{SignedRequest, cloud_id_of, refused, use_up};
use crate::{
    Attempt, BoxFuture, Desk, Identity, Kind, Method, Prepared, Rules, Spelling, Wanted, World,
};

mod answer;
mod request;

const STS_URL: Field<Text> = Field::text(
    "sts-url",
    "The Security Token Service that is asked; that of AWS, or one that stands in for it.",
)
.default(DEFAULT_STS_URL);
const BOUND_ACCOUNT: Field<List> =
    Field::list("bound-aws-account-id", "Accounts whose identities may enter.");

const DEFAULT_STS_URL: &str = "https://sts.amazonaws.com";

static KIND: Kind = Kind {
    name: "aws_iam",
    access_types: &["aws_iam"],
    bearers: "identities of AWS IAM",
    create: &[
        Spelling::create("auth-method-create-aws-iam"),
        Spelling::older(
            "create-auth-method-aws-iam",
            "CreateAuthMethodAWSIAMOutput",
            &["access_id"],
        ),
    ],
    update: &[
        Spelling::update("auth-method-update-aws-iam").success(200),
        Spelling::older("update-auth-method-aws-iam", "object", &[]),
    ],
    shared: true,
    federated: false,
    delimited: false,
};

static FIELDS: Group = Group {
    title: "AWS IAM",
    fields: &[
        BOUND_ACCOUNT.required().spec(),
        BOUND_ARN.spec(),
        BOUND_ROLE_NAME.spec(),
        BOUND_ROLE_ID.spec(),
        BOUND_RESOURCE_ID.spec(),
        BOUND_USER_NAME.spec(),
        BOUND_USER_ID.spec(),
        STS_URL.spec(),
        UNIQUE_IDENTIFIER.spec(),
    ],
};

/// The member.
pub(super) struct AwsIam;

impl Method for AwsIam {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn fields(&self) -> &'static Group {
        &FIELDS
    }

    fn settings(&self, given: &Args, _: Wanted, _: &dyn Desk) -> Result<Prepared, Fault> {
        given.need(&BOUND_ACCOUNT)?;
        Prepared::of(&CallerSettings::of(given, &BOUND_ACCOUNT, &STS_URL, DEFAULT_STS_URL)?)
    }

    fn check(&self, settings: &str) -> Result<(), Fault> {
        let settings = CallerSettings::checked(settings)?;
        let account = |id: &String| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
        if settings.accounts().is_empty() || !settings.accounts().iter().all(account) {
            return Err(Fault::bad_request(
                "invalid value of 'bound-aws-account-id': account ids have 12 digits",
            ));
        }
        Ok(())
    }

    fn show(&self, settings: &str) -> Result<Rules, Fault> {
        let content = CallerSettings::read(settings)?.show();
        Ok(Rules { field: "aws_iam_access_rules", content })
    }

    fn credential(&self) -> &'static [FieldSpec] {
        const { &[CLOUD_ID.spec()] }
    }

    fn prove<'a>(
        &'a self,
        given: &'a Args,
        _: &'a dyn Desk,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async { cloud_id_of(given) })
    }

    fn verify<'a>(
        &'a self,
        attempt: Attempt<'a>,
        world: &'a World,
    ) -> BoxFuture<'a, Result<Identity, Fault>> {
        Box::pin(verify(attempt, world))
    }
}

async fn verify(attempt: Attempt<'_>, world: &World) -> Result<Identity, Fault> {
    let settings = CallerSettings::read(attempt.settings)?;
    let request = SignedRequest::read(attempt.evidence).map_err(refused)?;
    let signed = request::check(&request, &settings.sts_url, attempt.now).map_err(refused)?;
    let answer = request.send(&signed.headers, world).await?;
    let claims = answer::claims(&answer).map_err(refused)?;
    let identity = settings.admit(claims).map_err(refused)?;
    use_up(KIND.name, &signed.signature, signed.made, world)?;
    Ok(identity)
}
