//! An S3 bucket: an object for each batch. Its name has the numbers of the first and the last
//! record, so what is sent twice is there once.

use keysherd_base::{ClockHandle, Fault, Timestamp};
use keysherd_cloud::{AssumedRole, AwsCredentials, AwsIdentity, Service, Unsigned};
use keysherd_crypto::hash::sha256;
use keysherd_wire::{Field, Group, Text};
use reqwest::{Method, Url};

use crate::fields::{ENDPOINT_URL, kept};
use crate::http::{Http, Request, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const AUTH_TYPE: Field<Text> = kept(
    "auth-type",
    "How to sign in: access_key, cloud_id (the gateway's machine) or assume_role.",
)
.default("access_key");
const ACCESS_ID: Field<Text> = kept("access-id", "The id of the AWS access key.");
const ACCESS_KEY: Field<Text> = kept("access-key", "The AWS access key.").secret();
const ROLE_ARN: Field<Text> =
    kept("role-arn", "The role that the gateway's machine assumes, for assume_role.");
const REGION: Field<Text> = kept("region", "The region of the bucket.");
const BUCKET_NAME: Field<Text> = kept("bucket-name", "The bucket.");
const LOG_FOLDER: Field<Text> =
    kept("log-folder", "The folder in the bucket.").default("akeyless-log");
const AUTH_TYPES: [&str; 3] = ["access_key", "cloud_id", "assume_role"];
/// Longest folder, in bytes.
const FOLDER_BYTES_MAX: usize = 512;

static KIND: Kind = Kind {
    name: "aws-s3",
    receiver: "an S3 bucket",
    fields: &Group {
        title: "AWS S3",
        fields: &[
            AUTH_TYPE.spec(),
            ACCESS_ID.spec(),
            ACCESS_KEY.spec(),
            ROLE_ARN.spec(),
            REGION.spec(),
            BUCKET_NAME.spec(),
            LOG_FOLDER.spec(),
            ENDPOINT_URL.spec(),
        ],
    },
    shown: Some(Shown {
        field: "aws_s3_config",
        content: &[
            ("aws_access_id", "access-id"),
            ("aws_auth_type", "auth-type"),
            ("aws_region", "region"),
            ("aws_role_arn", "role-arn"),
            ("bucket_name", "bucket-name"),
            ("log_folder", "log-folder"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct AwsS3;

struct Open {
    http: Http,
    /// The bucket, without a slash at the end.
    base: String,
    folder: String,
    region: String,
    signer: Signer,
    clock: ClockHandle,
}

/// Who signs.
enum Signer {
    /// A user whose access key is in the settings.
    User(AwsCredentials),
    /// This machine, or a role that it assumes.
    Machine(AwsIdentity),
}

impl Sink for AwsS3 {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let named = |field, more: &[u8], longest| {
            let value = settings.need(field)?;
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b);
            if value.len() > longest || !value.bytes().all(good) {
                return Err(bad(field.name(), "it has characters that cannot be in it"));
            }
            Ok(value.to_owned())
        };
        let (bucket, region) = (named(&BUCKET_NAME, b"-.", 63)?, named(&REGION, b"-", 40)?);
        let base = match settings.text(&ENDPOINT_URL) {
            None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            Some(endpoint) => {
                receiver_url(ENDPOINT_URL.name(), endpoint, &way.egress)?;
                format!("{}/{bucket}", endpoint.trim_end_matches('/'))
            }
        };
        receiver_url(ENDPOINT_URL.name(), &base, &way.egress)?;
        let folder = settings.text(&LOG_FOLDER).unwrap_or("akeyless-log").trim_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        let climbs = folder.split('/').any(|part| matches!(part, "" | "." | ".."));
        if folder.len() > FOLDER_BYTES_MAX || !folder.bytes().all(plain) || climbs {
            return Err(bad(LOG_FOLDER.name(), "it must be such as logs/audit"));
        }
        let signer = signer(settings, &region, way)?;
        let (http, clock) = (Http::new(None, &way.egress)?, way.clock.clone());
        Ok(Box::new(Open { http, base, folder: folder.to_owned(), region, signer, clock }))
    }
}

/// Who signs, by the settings.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
fn signer(settings: &Settings, region: &str, way: &Way) -> Result<Signer, Fault> {
    let how = settings.choice(&AUTH_TYPE, &AUTH_TYPES, "access_key")?;
    let role = settings.text(&ROLE_ARN);
    if how == "access_key" {
        if role.is_some() {
            return Err(bad(ROLE_ARN.name(), "it goes with the auth-type assume_role only"));
        }
        let access_id = settings.need(&ACCESS_ID)?;
        if !access_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad(ACCESS_ID.name(), "it must be letters and digits"));
        }
        let key = settings.secret(&ACCESS_KEY)?;
        return Ok(Signer::User(AwsCredentials::of_user(access_id, &key)));
    }
    let Some(account) = way.account.filter(|account| way.lends_identity_to.contains(account))
    else {
        let why = "this gateway's operator has not allowed it to this account: it is the identity \
                   of the machine; start the gateway with the account in --lend-cloud-identity, \
                   or use access_key";
        return Err(bad(AUTH_TYPE.name(), why));
    };
    let role = match (how, role) {
        ("assume_role", Some(role)) if is_role(role) => {
            Some(AssumedRole { arn: role.to_owned(), by_order_of: account.to_string() })
        }
        ("assume_role", _) => {
            let why = "it must be the role to assume, such as arn:aws:iam::123456789012:role/logs";
            return Err(bad(ROLE_ARN.name(), why));
        }
        (_, Some(_)) => {
            return Err(bad(ROLE_ARN.name(), "it goes with the auth-type assume_role only"));
        }
        (_, None) => None,
    };
    Ok(Signer::Machine(AwsIdentity::new(region.to_owned(), role, way.clock.clone())))
}

/// Such as `arn:aws:iam::123456789012:role/logs/writer`.
fn is_role(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b);
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region) = (next(), next(), next(), next());
    let (account, name) = (next(), next());
    arn == "arn"
        && partition.starts_with("aws")
        && service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name
            .strip_prefix("role/")
            .is_some_and(|name| !name.is_empty() && text.len() <= 512 && name.bytes().all(plain))
}

impl Open {
    async fn credentials(&self) -> Result<AwsCredentials, Undelivered> {
        match &self.signer {
            Signer::User(credentials) => Ok(credentials.clone()),
            Signer::Machine(identity) => {
                let lent = identity.credentials().await;
                lent.map_err(|fault| Undelivered::later(fault.public().to_owned()))
            }
        }
    }

    /// Where a batch goes.
    fn url(&self, batch: &Batch<'_>, body: &[u8]) -> Result<Url, Undelivered> {
        let time = batch.begins().rfc3339();
        let (day, start) = (time.get(..10).unwrap_or_default(), amz_date(batch.begins()));
        let (first, last) = batch.range();
        // Of its content: another account's or filter's batch of the same range is another object.
        let mark = hex::encode(&sha256(&[body])[..4]);
        let url = format!(
            "{}/{}/{}/akeyless-audit_{start}_{first}-{last}_{mark}.log",
            self.base,
            self.folder,
            day.replace('-', "/")
        );
        Url::parse(&url).map_err(|_| Undelivered::refused("the object's name is no address"))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        Url::parse(&self.base).iter().map(receiver).collect()
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let body = batch.text().into_bytes();
        Box::pin(async move {
            let (url, now) = (self.url(&batch, &body)?, self.clock.now());
            let content = [("content-type", "text/plain")];
            let request =
                Unsigned { method: "PUT", url: url.as_str(), headers: &content, body: &body };
            let signed = self.credentials().await?;
            let signed = signed.sign(&request, &self.region, Service::S3, now);
            let signed =
                signed.map_err(|_| Undelivered::refused("its address cannot be signed"))?;
            let mut headers = content.to_vec();
            headers.extend(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let request = Request { method: Method::PUT, url, headers: &headers, body };
            let sent = self.http.send(request).await.map(drop);
            if let (Err(Undelivered::Refused { .. }), Signer::Machine(identity)) =
                (&sent, &self.signer)
            {
                // They may have been taken back before their time.
                identity.forget().await;
            }
            sent
        })
    }
}

/// A time as AWS writes it, such as `20260105T101112Z`.
fn amz_date(time: Timestamp) -> String {
    time.rfc3339().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_from_other_names() {
        for good in ["arn:aws:iam::123456789012:role/logs", "arn:aws-cn:iam::123456789012:role/a/b"]
        {
            assert!(is_role(good), "{good}");
        }
        for bad in [
            "logs",
            "arn:aws:iam::123456789012:user/logs",
            "arn:aws:iam::12345678901:role/logs",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam:us-east-1:123456789012:role/logs",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:role/logs",
        ] {
            assert!(!is_role(bad), "{bad}");
        }
    }
}
