//! The cluster that a gateway is in: what it signs in with as itself, and what the cluster is
//! called.
//!
//! The names that V2 gateways read from the environment are understood as well; flags and our own
//! variables win over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, Command};
use keysherd_api::commands::{MachineIdentity, OwnCredential};
use keysherd_authn::BoxFuture;
use keysherd_base::{AccessId, Clock as _, Fault, ItemPath, SecretString, SystemClock};
use keysherd_cloud::{Cloud, Hints};
use keysherd_domain::cluster::{DEFAULT_NAME, is_name};
use keysherd_gateway::{FirstSettings, Proof};

use self::own_uid::UidSource;
use super::first_settings;
use super::settings::{Settings, option, switch, wrong};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

pub(crate) mod own_uid;

/// Systemd credentials with the secret.
const KEY_CREDENTIAL: &str = "gateway-access-key";
const CERTIFICATE_KEY_CREDENTIAL: &str = "gateway-certificate-key";
/// Longest certificate file, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// A gateway's place in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    /// The cluster's auth method.
    pub(crate) access_id: AccessId,
    /// What proves it.
    pub(crate) proof: ProofSource,
    /// Its name.
    pub(crate) name: String,
    /// What people call it, if it is new.
    pub(crate) display_name: Option<String>,
    /// Where clients find it.
    pub(crate) url: Option<String>,
    /// The key for the cluster's configuration, if it is new.
    pub(crate) protection_key: Option<ItemPath>,
    /// This machine or pod.
    pub(crate) host: String,
    /// Whether it is on standby until it is promoted.
    pub(crate) standby: bool,
    /// What it brings to the cluster.
    pub(crate) first: FirstSettings,
}

/// Where the gateway's own credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProofSource {
    /// An access key.
    AccessKey(PassphraseSource),
    /// A client certificate.
    Certificate {
        /// The certificate.
        certificate: CertificateSource,
        /// Its private key.
        key: PassphraseSource,
    },
    /// The identity of this machine in its cloud.
    Machine {
        /// The cloud.
        cloud: Cloud,
        /// What it has to know beside.
        hints: Hints,
    },
    /// A universal identity.
    Uid(UidSource),
}

/// Where the certificate comes from; it is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateSource {
    /// A file in PEM.
    File(PathBuf),
    /// PEM in base64, from the environment.
    Text(String),
}

/// The options of a gateway's cluster.
pub(super) fn cluster(command: Command) -> Command {
    let flags: [Arg; 9] = [
        option(
            "gateway-access-id",
            "ACCESS-ID",
            "KEYSHERD_GATEWAY_ACCESS_ID",
            "The auth method this gateway signs in with as itself; with it, it is in a cluster",
        ),
        option(
            "gateway-access-type",
            "TYPE",
            "KEYSHERD_GATEWAY_ACCESS_TYPE",
            "access_key, certificate, universal_identity, aws_iam, azure_ad or gcp [default: \
             access_key]",
        ),
        option(
            "gateway-access-key-file",
            "FILE",
            "KEYSHERD_GATEWAY_ACCESS_KEY_FILE",
            "File with the access key; mode 0600",
        ),
        option(
            "gateway-certificate-file",
            "FILE",
            "KEYSHERD_GATEWAY_CERTIFICATE_FILE",
            "File with the client certificate in PEM, for certificate",
        ),
        option(
            "gateway-certificate-key-file",
            "FILE",
            "KEYSHERD_GATEWAY_CERTIFICATE_KEY_FILE",
            "File with its private key in PEM; mode 0600",
        ),
        option(
            "cluster-name",
            "NAME",
            "KEYSHERD_CLUSTER_NAME",
            "Name of the cluster; gateways with the same access id and name are one cluster \
             [default: defaultCluster]",
        ),
        option(
            "display-name",
            "TEXT",
            "KEYSHERD_DISPLAY_NAME",
            "What people call the cluster, when this gateway is its first",
        ),
        option(
            "cluster-url",
            "URL",
            "KEYSHERD_CLUSTER_URL",
            "Where clients find the cluster, such as its load balancer",
        ),
        option(
            "config-protection-key-name",
            "PATH",
            "KEYSHERD_CONFIG_PROTECTION_KEY_NAME",
            "The key for the cluster's configuration, when this gateway is its first [default: the \
             account's default key]",
        ),
    ];
    let standby = "Follow the cluster, but be ready only once promoted (gateway-promote)";
    command
        .args(flags)
        .args(own_uid::options())
        .args(first_settings::options())
        .arg(switch("standby", standby).env("KEYSHERD_STANDBY"))
}

impl ClusterSettings {
    /// Reads the settings; `None` without an access id.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Exit> {
        let text = |name: &str, variable: &str| -> Result<Option<String>, Exit> {
            let set = settings.text(name)?.or_else(|| env(variable));
            Ok(set.filter(|text| !text.is_empty()))
        };
        let id = text("gateway-access-id", "GATEWAY_ACCESS_ID")?.or_else(|| env("ADMIN_ACCESS_ID"));
        let standby = settings.is_set("standby")?;
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            if standby {
                return Err(Exit::Configuration(
                    "--standby is about a cluster: give --gateway-access-id, too".to_owned(),
                ));
            }
            return Ok(None);
        };
        let access_id = AccessId::parse(&id)
            .map_err(|_| wrong("gateway-access-id", &id, "an access id, such as p-abcdefghijkl"))?;
        let name = text("cluster-name", "CLUSTER_NAME")?.unwrap_or_else(|| DEFAULT_NAME.to_owned());
        if !is_name(&name) {
            let what = "1 to 128 letters, digits, '-', '_' and '.'";
            return Err(wrong("cluster-name", &name, what));
        }
        let host = env("POD_NAME")
            .or_else(|| env("HOSTNAME"))
            .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
        let protection_key = text("config-protection-key-name", "CONFIG_PROTECTION_KEY_NAME")?;
        Ok(Some(Self {
            access_id,
            proof: ProofSource::choose(
                settings,
                env,
                text("gateway-access-type", "GATEWAY_ACCESS_TYPE")?,
            )?,
            name,
            display_name: text("display-name", "INITIAL_DISPLAY_NAME")?,
            url: text("cluster-url", "CLUSTER_URL")?,
            protection_key: protection_key
                .map(|path| {
                    let what = "the path of a key, such as /keys/gateways";
                    ItemPath::parse(&path)
                        .map_err(|_| wrong("config-protection-key-name", &path, what))
                })
                .transpose()?,
            host: host.map(|host| host.trim().to_owned()).unwrap_or_default(),
            standby,
            first: first_settings::load(settings, env)?,
        }))
    }

    /// What has to be readable besides the data directory.
    pub(super) fn paths(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let (secret, certificate) = match &self.proof {
            ProofSource::AccessKey(key) => (key, None),
            ProofSource::Certificate { certificate: CertificateSource::File(file), key } => {
                (key, Some(file.clone()))
            }
            ProofSource::Certificate { key, .. } => (key, None),
            ProofSource::Machine { .. } => return keysherd_cloud::files(env),
            ProofSource::Uid(source) => return source.path(env).into_iter().collect(),
        };
        secret.path(env).into_iter().chain(certificate).collect()
    }
}

impl ProofSource {
    fn choose(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
        kind: Option<String>,
    ) -> Result<Self, Exit> {
        let file = |name: &str| Ok::<_, Exit>(settings.text(name)?.map(PathBuf::from));
        let certificate = file("gateway-certificate-file")?
            .map(CertificateSource::File)
            .or_else(|| env("GATEWAY_CERTIFICATE").map(CertificateSource::Text));
        match kind.as_deref().unwrap_or("access_key") {
            "access_key" | "api_key" => {
                let flag = "gateway-access-key-file";
                let variables = ["GATEWAY_ACCESS_KEY", "ADMIN_ACCESS_KEY"];
                let key = secret(file(flag)?, KEY_CREDENTIAL, &variables, env);
                key.map(Self::AccessKey).ok_or_else(|| missing(flag, "the access key's file"))
            }
            "cert" | "certificate" => {
                let flag = "gateway-certificate-key-file";
                let variables = ["GATEWAY_CERTIFICATE_KEY", "ADMIN_CERTIFICATE_KEY"];
                let key = secret(file(flag)?, CERTIFICATE_KEY_CREDENTIAL, &variables, env);
                let key = key.ok_or_else(|| missing(flag, "the private key's file"))?;
                let what = "the client certificate's file";
                let certificate =
                    certificate.ok_or_else(|| missing("gateway-certificate-file", what))?;
                Ok(Self::Certificate { certificate, key })
            }
            "uid" | "universal_identity" => UidSource::load(settings, env).map(Self::Uid),
            other => match Cloud::of_access_type(other) {
                Some(cloud) => {
                    let hints = Hints {
                        audience: env("GCP_AUDIENCE"),
                        object: env("AZURE_OBJ_ID"),
                        resource: env("AZURE_RESOURCE"),
                    };
                    Ok(Self::Machine { cloud, hints })
                }
                None => {
                    let what = "access_key, certificate, universal_identity, aws_iam, azure_ad \
                                or gcp";
                    Err(wrong("gateway-access-type", other, what))
                }
            },
        }
    }

    /// What the operator should know about it: control gets what a machine proves itself with.
    pub(crate) fn remark(&self) -> Option<&'static str> {
        match self {
            Self::Machine { cloud: Cloud::Azure, hints } if hints.resource.is_none() => Some(
                "this gateway shows control tokens for Azure's management interface, good for all \
                 that its identity may do there; set AZURE_RESOURCE to an application of your own, \
                 and the auth method's audience to the same",
            ),
            Self::Machine { cloud: Cloud::Google, hints } if hints.audience.is_none() => Some(
                "this gateway shows control tokens of Google for the audience akeyless.io, good at \
                 every deployment that takes it; set GCP_AUDIENCE to one of your own, and the auth \
                 method's audience to the same",
            ),
            _ => None,
        }
    }

    /// The cloud whose machine signs in, if that is the proof.
    pub(crate) fn cloud(&self) -> Option<Cloud> {
        match self {
            Self::Machine { cloud, .. } => Some(*cloud),
            Self::AccessKey(_) | Self::Certificate { .. } | Self::Uid(_) => None,
        }
    }

    /// What proves who the gateway is, with what it has to keep for that in `home`; `host` is for
    /// people who see it in a list.
    ///
    /// # Errors
    /// [`Exit::Configuration`] says what cannot be read and why, and nothing of the content.
    pub(crate) fn read(&self, home: &Path, host: &str) -> Result<Proof, Exit> {
        let credential = match self {
            Self::Uid(source) => {
                let own = source.open(home, host);
                if !own.is_kept() {
                    source.check()?;
                }
                return Ok(Proof::Uid(own));
            }
            Self::AccessKey(source) => OwnCredential::AccessKey(source.read(&crate::env)?),
            Self::Machine { cloud, hints } => {
                OwnCredential::Machine(Arc::new(Machine { cloud: *cloud, hints: hints.clone() }))
            }
            Self::Certificate { certificate, key } => {
                OwnCredential::certificate(&certificate.read()?, &key.read(&crate::env)?)
            }
        };
        Ok(Proof::Credential(credential))
    }
}

impl CertificateSource {
    fn read(&self) -> Result<String, Exit> {
        let path = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File(path) => path,
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Configuration(format!("cannot read the file {shown}: {error}"))
        })?;
        if text.len() > CERTIFICATE_BYTES_MAX {
            let most = format!("a file of at most {CERTIFICATE_BYTES_MAX} bytes");
            return Err(wrong("gateway-certificate-file", &shown, &most));
        }
        Ok(text)
    }
}

/// This machine in its cloud.
struct Machine {
    cloud: Cloud,
    hints: Hints,
}

impl MachineIdentity for Machine {
    fn access_type(&self) -> &'static str {
        self.cloud.access_type()
    }

    fn proof(&self) -> BoxFuture<'_, Result<SecretString, Fault>> {
        Box::pin(async {
            let question = keysherd_cloud::question(self.cloud, &self.hints, &crate::env)?;
            question.ask(SystemClock.now()).await
        })
    }
}

/// A file, a systemd credential, or a variable of the environment, in this order.
fn secret(
    file: Option<PathBuf>,
    credential: &str,
    variables: &[&'static str],
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<PassphraseSource> {
    let credential = PassphraseSource::Credential(credential.to_owned());
    let credential = credential.path(env).filter(|path| path.is_file()).map(|_| credential);
    let variable = variables.iter().find(|name| env(name).is_some_and(|text| !text.is_empty()));
    file.map(PassphraseSource::File)
        .or(credential)
        .or_else(|| variable.map(|name| PassphraseSource::Environment(name)))
}

fn missing(flag: &str, what: &str) -> Exit {
    Exit::Configuration(format!("--{flag} is missing: {what}, beside --gateway-access-id"))
}
