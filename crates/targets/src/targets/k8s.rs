//! Kubernetes clusters.

use keysherd_base::{Fault, SecretString};
use keysherd_egress::ClientIdentity;
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value, json};

use crate::http::{Call, Http, HttpGiven, HttpServer};
use crate::member::content;
use crate::pem::pem;
use crate::{BoxFuture, Kind, Named, Settings, Spelling, Target, Way};

const AUTH_TYPE: Field<Text> =
    Field::text("k8s-auth-type", "What the gateway signs in with: token or certificate.")
        .default("token")
        .choices(&AUTH_TYPES);
const ENDPOINT: Field<Text> =
    Field::text("k8s-cluster-endpoint", "The address of the cluster's API server.");
const AUTHORITY: Field<Text> = Field::text(
    "k8s-cluster-ca-cert",
    "Certificates of the authorities that vouch for it, PEM in base64 or as it is.",
);
const NAME: Field<Text> =
    Field::text("k8s-cluster-name", "What the cluster is called in kubeconfig files.");
const TOKEN: Field<Text> =
    Field::text("k8s-cluster-token", "The token of a service account.").secret();
const CERTIFICATE: Field<Text> =
    Field::text("k8s-client-certificate", "A client certificate, PEM in base64 or as it is.");
const KEY: Field<Text> =
    Field::text("k8s-client-key", "Its key, PEM in base64 or as it is.").secret();
const OWN_ACCOUNT: Field<Flag> = Field::flag(
    "use-gw-service-account",
    "Whether the gateway's own service account signs in; must be false.",
);

const AUTH_TYPES: [&str; 2] = ["token", "certificate"];

static KIND: Kind = Kind {
    name: "k8s",
    what: "a Kubernetes cluster",
    create: &[
        Spelling::current("target-create-k8s", "TargetCreateK8s", "TargetCreateOutput"),
        Spelling::older(
            "create-k8s-target",
            "CreateNativeK8STarget",
            "CreateNativeK8STargetOutput",
        ),
    ],
    update: &[
        Spelling::current("target-update-k8s", "TargetUpdateK8s", "TargetUpdateOutput"),
        Spelling::older(
            "update-k8s-target",
            "UpdateNativeK8STarget",
            "UpdateNativeK8STargetOutput",
        ),
    ],
    fields: &Group {
        title: "Kubernetes",
        fields: &[
            ENDPOINT.spec(),
            AUTHORITY.spec(),
            NAME.spec(),
            AUTH_TYPE.spec(),
            TOKEN.spec(),
            CERTIFICATE.spec(),
            KEY.spec(),
            OWN_ACCOUNT.spec(),
        ],
    },
    whereabouts: &["k8s-cluster-endpoint", "k8s-cluster-ca-cert"],
    types: &["k8s"],
};

/// The fields by which settings name a cluster that is signed in to with a token.
pub struct ClusterFields {
    /// The address of its API server.
    pub endpoint: Field<Text>,
    /// The authorities that vouch for it.
    pub authority: Field<Text>,
    /// What it is called.
    pub name: Field<Text>,
    /// The token.
    pub token: Field<Text>,
    /// Whether the gateway's own service account is to sign in.
    pub own_account: Field<Flag>,
}

const FIELDS: ClusterFields = ClusterFields {
    endpoint: ENDPOINT,
    authority: AUTHORITY,
    name: NAME,
    token: TOKEN,
    own_account: OWN_ACCOUNT,
};

/// A cluster with whoever signs in there.
pub struct Cluster {
    /// Its API server.
    pub server: HttpServer,
    /// What it is called; its address where nobody said.
    pub name: String,
    /// The authorities that vouch for it, as PEM.
    pub authority: Option<String>,
    token: Option<SecretString>,
}

impl Cluster {
    /// The cluster that these settings of a target name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn of(settings: &Settings) -> Result<Self, Fault> {
        match settings.choice(&AUTH_TYPE, &AUTH_TYPES, AUTH_TYPES[0])? {
            "token" => Self::by(settings, &FIELDS),
            _ => {
                let certificate = pem(CERTIFICATE.name(), settings.need(&CERTIFICATE)?)?;
                let key = pem(KEY.name(), settings.need(&KEY)?)?;
                let identity = ClientIdentity { certificate, key: SecretString::new(key) };
                Self::with(settings, &FIELDS, None, Some(identity))
            }
        }
    }

    /// The cluster that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(settings: &Settings, fields: &ClusterFields) -> Result<Self, Fault> {
        let token = settings.need(&fields.token)?.trim().to_owned();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad_setting(fields.token.name(), "it is no token"));
        }
        Self::with(settings, fields, Some(SecretString::new(token)), None)
    }

    fn with(
        settings: &Settings,
        fields: &ClusterFields,
        token: Option<SecretString>,
        identity: Option<ClientIdentity>,
    ) -> Result<Self, Fault> {
        if settings.flag(&fields.own_account, false) {
            return Err(bad_setting(
                fields.own_account.name(),
                "the gateway's own service account is its operator's; give a token",
            ));
        }
        let url = Named::of(settings, &fields.endpoint);
        let given = Named::of(settings, &fields.authority);
        let authority = Some(given);
        let server = HttpServer::new(HttpGiven { url, authority, identity })?;
        if server.url().scheme() != "https" {
            return Err(bad_setting(fields.endpoint.name(), "it must begin with https://"));
        }
        let authority = given.text().map(|text| pem(fields.authority.name(), text)).transpose()?;
        let name =
            settings.text(&fields.name).map_or_else(|| server.place().to_string(), str::to_owned);
        Ok(Self { server, name, authority, token })
    }

    /// Gets ready to ask.
    ///
    /// # Errors
    /// Those of [`HttpServer::open`].
    pub fn open(&self, way: &Way) -> Result<Http, Fault> {
        self.server.open(way)
    }

    /// A request, signed in.
    ///
    /// # Errors
    /// Those of [`Http::call`].
    pub fn call<'h>(
        &self,
        http: &'h Http,
        method: &'static str,
        path: &[&str],
    ) -> Result<Call<'h>, Fault> {
        let call = http.call(method, path)?;
        Ok(match &self.token {
            Some(token) => call.bearer(token),
            None => call,
        })
    }

    /// What is kept out of the log.
    pub fn secret(&self) -> &str {
        self.token.as_ref().map_or("", |token| token.expose())
    }
}

/// The member.
pub(super) struct K8s;

impl Target for K8s {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("k8s")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        Cluster::of(settings).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("k8s_auth_type", "k8s-auth-type"),
            ("k8s_bearer_token", "k8s-cluster-token"),
            ("k8s_client_cert_data", "k8s-client-certificate"),
            ("k8s_client_key_data", "k8s-client-key"),
            ("k8s_cluster_ca_certificate", "k8s-cluster-ca-cert"),
            ("k8s_cluster_endpoint", "k8s-cluster-endpoint"),
            ("k8s_cluster_name", "k8s-cluster-name"),
            ("use_gw_service_account", "use-gw-service-account"),
        ];
        ("native_k8s_target_details", content(&KIND, settings, &names))
    }

    /// Asks what every account may ask: what it may do.
    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let cluster = Cluster::of(settings)?;
            let http = cluster.open(way)?;
            let path = ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"];
            let spec = json!({"resourceAttributes": {"verb": "create", "resource": "pods"}});
            let call = cluster.call(&http, "POST", &path)?.json(json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": spec,
            }));
            let reply = call.send().await?.done("signing in", &[cluster.secret()])?;
            reply.json().map(drop)
        })
    }
}
