//! Amazon Web Services: the credentials that this machine has, those of a role it may assume, and
//! requests signed with either.

mod proof;
mod signing;
#[cfg(test)]
mod tests;

use std::time::{Duration, UNIX_EPOCH};

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use keysherd_base::{ClockHandle, Fault, SecretString, Timestamp};
use tokio::sync::Mutex;

pub(crate) use proof::cloud_id;
pub use signing::{Service, Unsigned};

/// How long one question to a source of credentials may take, with everything tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long before their end credentials are asked for again, in seconds.
const EARLY_SECONDS: i64 = 300;
/// How long credentials that name no end are taken to be good, in seconds.
const LIFE_SECONDS: i64 = 900;

/// An access key of AWS, of a user or lent for a while.
#[derive(Clone)]
pub struct AwsCredentials(Credentials);

impl AwsCredentials {
    /// The access key of a user.
    pub fn of_user(access_id: &str, secret: &SecretString) -> Self {
        Self(Credentials::new(access_id, secret.expose(), None, None, "settings"))
    }

    /// An access key that was lent for a while.
    pub fn of_session(access_id: &str, secret: &SecretString, token: &SecretString) -> Self {
        let token = Some(token.expose().clone());
        Self(Credentials::new(access_id, secret.expose(), token, None, "settings"))
    }

    /// When they are to be asked for again.
    fn renew(&self, now: Timestamp) -> Timestamp {
        let end = self.0.expiry().and_then(|end| end.duration_since(UNIX_EPOCH).ok());
        match end {
            None => now.plus_seconds(LIFE_SECONDS),
            Some(end) => {
                let end = i64::try_from(end.as_secs()).unwrap_or(i64::MAX);
                Timestamp::from_seconds(end.saturating_sub(EARLY_SECONDS))
            }
        }
    }
}

/// A role that is assumed for somebody else, who named it.
pub struct AssumedRole {
    /// Its ARN.
    pub arn: String,
    /// For whom: sent as the external id, which trust policies demand with `sts:ExternalId`, so
    /// that nobody else who uses this machine is lent the role. Also in the name of the session,
    /// which AWS shows in its own log. Letters, digits and `-`, at most 55.
    pub by_order_of: String,
}

/// Who this machine is at AWS: by the environment, a profile, a web identity (pods), a container's
/// role or the instance's, in this order, which is that of all of AWS's own tools.
pub struct AwsIdentity {
    region: String,
    /// The role to assume with that identity.
    role: Option<AssumedRole>,
    clock: ClockHandle,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    source: Option<SharedCredentialsProvider>,
    credentials: Option<(AwsCredentials, Timestamp)>,
}

impl AwsIdentity {
    /// The machine's own identity, or `role` assumed with it. Nobody is asked yet.
    pub fn new(region: String, role: Option<AssumedRole>, clock: ClockHandle) -> Self {
        Self { region, role, clock, kept: Mutex::default() }
    }

    /// Its credentials: those of last time while they are good.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when there are none, or AWS does not lend the role.
    pub async fn credentials(&self) -> Result<AwsCredentials, Fault> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some((credentials, renew)) = &kept.credentials
            && now < *renew
        {
            return Ok(credentials.clone());
        }
        let role = self.role.as_ref();
        let source = match &kept.source {
            Some(source) => source.clone(),
            None => kept.source.insert(source(&self.region, role).await?).clone(),
        };
        let credentials = fetch(&source, role).await?;
        kept.credentials = Some((credentials.clone(), credentials.renew(now)));
        Ok(credentials)
    }

    /// Forgets the credentials, after they were refused.
    pub async fn forget(&self) {
        self.kept.lock().await.credentials = None;
    }
}

/// Where credentials come from. Nobody is asked for them yet.
async fn source(
    region: &str,
    role: Option<&AssumedRole>,
) -> Result<SharedCredentialsProvider, Fault> {
    let config = machine(Some(Region::new(region.to_owned()))).await;
    let own = config.credentials_provider();
    let own = own.ok_or_else(|| Fault::unavailable("no source of credentials of AWS"))?;
    let Some(role) = role else { return Ok(own) };
    let assumed = AssumeRoleProvider::builder(&role.arn)
        .session_name(format!("keysherd-{}", role.by_order_of))
        .external_id(&role.by_order_of)
        .configure(&config);
    Ok(SharedCredentialsProvider::new(assumed.build().await))
}

/// Asks for credentials.
///
/// # Errors
/// [`Fault::unavailable`] when there are none.
async fn fetch(
    source: &SharedCredentialsProvider,
    role: Option<&AssumedRole>,
) -> Result<AwsCredentials, Fault> {
    let none = |error: String| {
        let what = match role {
            Some(role) => format!(
                "AWS does not lend this machine the role {} for the external id {}",
                role.arn, role.by_order_of
            ),
            None => "this machine has no identity at AWS: neither environment, profile, web \
                     identity, container nor instance has one"
                .to_owned(),
        };
        Fault::unavailable(what).with_private(error)
    };
    let asked = tokio::time::timeout(PATIENCE, source.provide_credentials()).await;
    let found = asked
        .map_err(|_| none("no answer in time".to_owned()))?
        .map_err(|error| none(innermost(&error)))?;
    Ok(AwsCredentials(found))
}

/// What AWS's own tools would find on this machine.
async fn machine(region: Option<Region>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
    let loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    match region {
        Some(region) => loader.region(region),
        None => loader,
    }
    .load()
    .await
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
