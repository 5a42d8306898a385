//! The identity that this machine has in its cloud: the credentials it is lent, and what proves to
//! others who it is.
//!
//! Clouds answer such questions on addresses that only their own machines reach, or through the
//! environment of a container. Nothing here is kept on disk.

mod aws;
mod azure;
mod endpoints;
mod google;
mod metadata;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString, Timestamp};

pub use aws::{AssumedRole, AwsCredentials, AwsIdentity, Service, Unsigned};
pub use endpoints::{CloudEndpoint, endpoints};

/// Reads the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables that name files an identity is read from. Tokens of pods are replaced in their
/// directories now and then.
const FILES: [&str; 5] = [
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// What a sandbox must leave readable: the directories of the files that an identity is read from.
pub fn files(env: Env<'_>) -> Vec<PathBuf> {
    let named = FILES.iter().filter_map(|name| env(name)).map(PathBuf::from);
    let named = named.filter_map(|file| file.parent().map(Path::to_path_buf));
    let home = env("HOME").map(|home| Path::new(&home).join(".aws"));
    named.chain(home).filter(|directory| directory.is_dir()).collect()
}

/// A cloud whose machines can prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon Web Services: a signed request that asks who its sender is.
    Aws,
    /// Microsoft Azure: a token for a resource.
    Azure,
    /// Google Cloud: a token for an audience.
    Google,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Aws, Self::Azure, Self::Google];

    /// The access type of the auth methods that take its proof.
    pub const fn access_type(self) -> &'static str {
        match self {
            Self::Aws => "aws_iam",
            Self::Azure => "azure_ad",
            Self::Google => "gcp",
        }
    }

    /// The cloud of an access type, if its proof can be made by the machine itself.
    pub fn of_access_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.access_type() == name)
    }
}

/// What a proof may need to know beside the cloud.
///
/// A token of Azure or Google is good at everybody it is for, and whoever gets one can bring it to
/// all of them. So it should be for one deployment alone, which the defaults are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Whom a token of Google is for; `akeyless.io` otherwise, as the official packages have it.
    pub audience: Option<String>,
    /// The object id of the identity at Azure, on machines that have several.
    pub object: Option<String>,
    /// What a token of Azure is for, such as `api://keysherd`; Azure's management interface
    /// otherwise, as the official packages have it.
    pub resource: Option<String>,
}

/// The question that is asked for a proof; see [`question`].
pub struct Question(Ask);

enum Ask {
    /// The endpoint of the Security Token Service, if not the usual one.
    Aws(Option<String>),
    Metadata(Box<metadata::Question>),
}

/// Prepares the question for the proof of this machine's identity, by the environment. Nobody is
/// asked yet.
///
/// # Errors
/// [`Fault::bad_request`] for hints that make no sense, [`Fault::unavailable`] for an environment
/// that does not.
pub fn question(cloud: Cloud, hints: &Hints, env: Env<'_>) -> Result<Question, Fault> {
    Ok(Question(match cloud {
        Cloud::Aws => Ask::Aws(env("AWS_ENDPOINT_URL_STS").filter(|url| !url.is_empty())),
        Cloud::Azure => Ask::Metadata(Box::new(azure::question(hints, env)?)),
        Cloud::Google => Ask::Metadata(Box::new(google::question(hints.audience.as_deref(), env)?)),
    }))
}

impl Question {
    /// The proof at `now`, as `cloud-id` takes it. It is good for minutes; whoever has it
    /// can sign in with it meanwhile.
    ///
    /// # Errors
    /// [`Fault::unavailable`] says where an identity was looked for.
    pub async fn ask(self, now: Timestamp) -> Result<SecretString, Fault> {
        match self.0 {
            Ask::Aws(endpoint) => aws::cloud_id(endpoint, now).await,
            Ask::Metadata(question) => {
                let token = question.ask().await?;
                Ok(SecretString::new(STANDARD.encode(token.expose())))
            }
        }
    }
}
