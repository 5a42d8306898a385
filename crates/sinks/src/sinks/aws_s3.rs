//! An S3 bucket: an object for each batch. Its name has the numbers of the first and the last
//! record, so what is sent twice is there once.

use keysherd_base::{ClockHandle, Fault};
use keysherd_crypto::hash::sha256;
use keysherd_wire::{Field, Group, Text};
use reqwest::{Method, Url};

use crate::fields::{ENDPOINT_URL, kept};
use crate::http::{Http, Request, receiver_url};
use crate::member::{Outlet, Shown, Undelivered};
use crate::settings::bad;
use crate::signing::{AwsSigner, Unsigned, amz_date};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const AUTH_TYPE: Field<Text> =
    kept("auth-type", "How to sign in: access_key; cloud_id and assume_role are not served yet.")
        .default("access_key");
const ACCESS_ID: Field<Text> = kept("access-id", "The id of the AWS access key.");
const ACCESS_KEY: Field<Text> = kept("access-key", "The AWS access key.").secret();
const ROLE_ARN: Field<Text> = kept("role-arn", "The role to assume; not served yet.");
const REGION: Field<Text> = kept("region", "The region of the bucket.");
const BUCKET_NAME: Field<Text> = kept("bucket-name", "The bucket.");
const LOG_FOLDER: Field<Text> =
    kept("log-folder", "The folder in the bucket.").default("akeyless-log");
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
    signer: AwsSigner,
    clock: ClockHandle,
}

impl Sink for AwsS3 {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let choices = ["access_key", "cloud_id", "assume_role"];
        if settings.choice(&AUTH_TYPE, &choices, "access_key")? != "access_key" {
            let want = "only access_key is served yet; give access-id and access-key";
            return Err(bad(AUTH_TYPE.name(), want));
        }
        if settings.text(&ROLE_ARN).is_some() {
            return Err(bad(ROLE_ARN.name(), "roles are not assumed yet; leave it out"));
        }
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
                receiver_url(ENDPOINT_URL.name(), endpoint)?;
                format!("{}/{bucket}", endpoint.trim_end_matches('/'))
            }
        };
        receiver_url(ENDPOINT_URL.name(), &base)?;
        let folder = settings.text(&LOG_FOLDER).unwrap_or("akeyless-log").trim_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        let climbs = folder.split('/').any(|part| matches!(part, "" | "." | ".."));
        if folder.len() > FOLDER_BYTES_MAX || !folder.bytes().all(plain) || climbs {
            return Err(bad(LOG_FOLDER.name(), "it must be such as logs/audit"));
        }
        let access_id = settings.need(&ACCESS_ID)?.to_owned();
        if !access_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad(ACCESS_ID.name(), "it must be letters and digits"));
        }
        let signer = AwsSigner {
            access_id,
            access_key: settings.secret(&ACCESS_KEY)?,
            region,
            service: "s3",
        };
        let (http, clock) = (Http::new(None)?, way.clock.clone());
        Ok(Box::new(Open { http, base, folder: folder.to_owned(), signer, clock }))
    }
}

impl Open {
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
    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let body = batch.text().into_bytes();
        Box::pin(async move {
            let (url, now) = (self.url(&batch, &body)?, self.clock.now());
            let host = url.host_str().unwrap_or_default();
            let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            let (hash, date) = (hex::encode(sha256(&[&body])), amz_date(now));
            let signed = [
                ("content-type", "text/plain"),
                ("host", host.as_str()),
                ("x-amz-content-sha256", hash.as_str()),
                ("x-amz-date", date.as_str()),
            ];
            let request = Unsigned { method: "PUT", url: &url, headers: &signed, body: &body };
            let authorization = self.signer.authorization(&request, now);
            let mut headers = signed.to_vec();
            headers.push(("authorization", authorization.as_str()));
            let request =
                Request { method: Method::PUT, url: url.clone(), headers: &headers, body };
            self.http.send(request).await.map(drop)
        })
    }
}
