//! Requests signed with an access key (AWS Signature Version 4).

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use keysherd_base::{Fault, SecretString, Timestamp};
use reqwest::Url;

use super::AwsCredentials;

/// A service of AWS, and what is particular about requests to it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    name: &'static str,
    /// Whether paths are signed as they are, and the hash of the body travels along.
    object_store: bool,
}

impl Service {
    /// Simple Storage Service, and stores that speak its protocol.
    pub const S3: Self = Self { name: "s3", object_store: true };
    /// Identity and Access Management.
    pub const IAM: Self = Self { name: "iam", object_store: false };
    /// Security Token Service.
    pub const STS: Self = Self { name: "sts", object_store: false };
    /// What the published cases sign for.
    #[cfg(test)]
    pub(super) const PUBLISHED: Self = Self { name: "service", object_store: false };
}

/// A request that is to be signed.
pub struct Unsigned<'a> {
    /// The method, such as `PUT`.
    pub method: &'a str,
    /// The whole address.
    pub url: &'a str,
    /// Headers that are signed as well; not the host, which comes of the address.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl AwsCredentials {
    /// The headers that make a request one of these credentials; they go with it, beside its own.
    ///
    /// # Errors
    /// [`Fault::internal`] for an address that is none.
    pub fn sign(
        &self,
        request: &Unsigned<'_>,
        region: &str,
        service: Service,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, Fault> {
        let settings = SigningSettings::default();
        let instructions = self.instructions(request, region, service, now, settings)?;
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(instructions.headers().map(pair).collect())
    }

    /// The address of a request that carries its signature itself, so that somebody else can send
    /// it. What it says about its end, services may know better.
    ///
    /// # Errors
    /// [`Fault::internal`] for an address that is none.
    pub fn presign(
        &self,
        request: &Unsigned<'_>,
        region: &str,
        service: Service,
        now: Timestamp,
        seconds: u64,
    ) -> Result<SecretString, Fault> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(seconds));
        let instructions = self.instructions(request, region, service, now, settings)?;
        let mut url = Url::parse(request.url).map_err(Fault::internal)?;
        url.query_pairs_mut().extend_pairs(instructions.params());
        Ok(SecretString::new(url.into()))
    }

    fn instructions(
        &self,
        request: &Unsigned<'_>,
        region: &str,
        service: Service,
        now: Timestamp,
        mut settings: SigningSettings,
    ) -> Result<SigningInstructions, Fault> {
        if service.object_store {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let identity = self.0.clone().into();
        let since = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.name)
            .time(UNIX_EPOCH + since)
            .settings(settings)
            .build()
            .map_err(Fault::internal)?;
        let body = SignableBody::Bytes(request.body);
        let headers = request.headers.iter().copied();
        let signable = SignableRequest::new(request.method, request.url, headers, body)
            .map_err(Fault::internal)?;
        Ok(sign(signable, &params.into()).map_err(Fault::internal)?.into_parts().0)
    }
}
