//! Microsoft Entra ID (Azure AD), as one of its applications, through Microsoft Graph.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Flag, Group, Text, bad_setting};
use serde_json::{Map, Value, json};

use crate::endpoints::at;
use crate::http::{HttpGiven, HttpServer};
use crate::lender::ask;
use crate::member::content;
use crate::{BoxFuture, Kind, Lender, Lent, Named, Settings, Spelling, Target, Way};

const CLOUD: Field<Text> = Field::text("azure-cloud", "Which of Microsoft's clouds.")
    .default("AzureCloud")
    .choices(&CLOUDS);
const TENANT: Field<Text> = Field::text("tenant-id", "The tenant's id, or a domain of it.");
const CLIENT: Field<Text> =
    Field::text("client-id", "The application (client) id that the gateway signs in as.");
const SECRET: Field<Text> = Field::text("client-secret", "A secret of that application.").secret();
const CONNECTION: Field<Text> =
    Field::text("connection-type", "How the gateway signs in; must be credentials.")
        .default("credentials")
        .choices(&CONNECTIONS);
const SUBSCRIPTION: Field<Text> =
    Field::text("subscription-id", "The subscription with its resources.");
const RESOURCE_GROUP: Field<Text> =
    Field::text("resource-group-name", "The resource group of resource-name.");
const RESOURCE: Field<Text> =
    Field::text("resource-name", "A resource, such as a storage account.");
const CLOUD_IDENTITY: Field<Flag> = Field::flag(
    "use-gw-cloud-identity",
    "Whether the gateway's own identity at Azure signs in; must be false.",
);

const CLOUDS: [&str; 3] = ["AzureCloud", "AzureUSGovernment", "AzureChinaCloud"];
const CONNECTIONS: [&str; 1] = ["credentials"];

static KIND: Kind = Kind {
    name: "azure",
    what: "a Microsoft Entra tenant",
    create: &[
        Spelling::current("target-create-azure", "TargetCreateAzure", "TargetCreateOutput"),
        Spelling::older("create-azure-target", "CreateAzureTarget", "CreateAzureTargetOutput"),
    ],
    update: &[
        Spelling::current("target-update-azure", "TargetUpdateAzure", "TargetUpdateOutput"),
        Spelling::older("update-azure-target", "UpdateAzureTarget", "UpdateAzureTargetOutput"),
    ],
    fields: &Group {
        title: "Azure",
        fields: &[
            TENANT.spec(),
            CLIENT.spec(),
            SECRET.spec(),
            CLOUD.spec(),
            CONNECTION.spec(),
            SUBSCRIPTION.spec(),
            RESOURCE_GROUP.spec(),
            RESOURCE.spec(),
            CLOUD_IDENTITY.spec(),
        ],
    },
    whereabouts: &["tenant-id", "client-id", "azure-cloud"],
    types: &["azure"],
};

/// The hosts of a cloud's services: who lends tokens, Graph, and what has resources.
fn hosts(cloud: &str) -> (&'static str, &'static str, &'static str) {
    match cloud {
        "AzureUSGovernment" => {
            ("login.microsoftonline.us", "graph.microsoft.us", "management.usgovcloudapi.net")
        }
        "AzureChinaCloud" => (
            "login.partner.microsoftonline.cn",
            "microsoftgraph.chinacloudapi.cn",
            "management.chinacloudapi.cn",
        ),
        _ => ("login.microsoftonline.com", "graph.microsoft.com", "management.azure.com"),
    }
}

/// An application of a tenant.
pub struct Azure {
    /// Graph.
    pub server: HttpServer,
    /// Graph's own address, whatever leads there.
    pub graph: String,
    /// What has resources, such as storage accounts.
    pub resources: HttpServer,
    /// The application's id.
    pub client: String,
    /// The application's secret.
    pub secret: SecretString,
    login: HttpServer,
    tenant: String,
    resources_url: String,
}

impl Azure {
    /// The one that settings with these fields name, in the cloud that most use.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        tenant: &Field<Text>,
        client: &Field<Text>,
        secret: &Field<Text>,
        way: Option<&Way>,
    ) -> Result<Self, Fault> {
        Self::of(settings, CLOUDS[0], [tenant, client, secret], way)
    }

    fn of(
        settings: &Settings,
        cloud: &str,
        [tenant, client, secret]: [&Field<Text>; 3],
        way: Option<&Way>,
    ) -> Result<Self, Fault> {
        let named = |field: &Field<Text>, want: &str| {
            let text = settings.need(field)?;
            is_name(text).then(|| text.to_owned()).ok_or_else(|| bad_setting(field.name(), want))
        };
        let tenant = named(tenant, "it is no tenant's id, nor a domain")?;
        let client = named(client, NO_APPLICATION)?;
        let (login, graph, resources) = hosts(cloud);
        let leading = way.and_then(|way| way.endpoints.azure.as_deref());
        let server = |host: &str| {
            let url = at(host, leading);
            let url = Named::none("azure-cloud").with(Some(&url));
            HttpServer::new(HttpGiven { url, authority: None, identity: None })
        };
        let secret = settings.secret(secret)?;
        let resources_url = format!("https://{resources}");
        let (server, login, resources) = (server(graph)?, server(login)?, server(resources)?);
        let graph = format!("https://{graph}");
        Ok(Self { server, graph, resources, client, secret, login, tenant, resources_url })
    }

    /// The same, as the application with this id and this secret.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the `field` with an id that cannot be one.
    pub fn signed_in_as(
        self,
        field: &str,
        client: &str,
        secret: SecretString,
    ) -> Result<Self, Fault> {
        let fits = is_name(client).then(|| client.to_owned());
        let client = fits.ok_or_else(|| bad_setting(field, NO_APPLICATION))?;
        Ok(Self { client, secret, ..self })
    }

    /// Asks for a token of somebody who has a password, for Graph, by way of the application.
    ///
    /// # Errors
    /// A fault that says why there is none: of code [`crate::WRONG_CREDENTIALS`] where the password
    /// is wrong, of [`crate::NOT_ADMITTED`] where it is right and does not do alone.
    pub async fn lend_to(
        &self,
        person: &str,
        password: &SecretString,
        way: &Way,
    ) -> Result<Lent, Fault> {
        let grant = json!({
            "grant_type": "password",
            "username": person,
            "password": password.expose(),
        });
        self.ask(grant, &self.graph, (way, &[password.expose()])).await
    }

    /// Asks for a token for what has resources.
    ///
    /// # Errors
    /// A fault that says why there is none.
    pub async fn lend_resources(&self, way: &Way) -> Result<Lent, Fault> {
        let grant = json!({"grant_type": "client_credentials"});
        self.ask(grant, &self.resources_url, (way, &[])).await
    }

    async fn ask(
        &self,
        mut form: Value,
        service: &str,
        (way, secrets): (&Way, &[&str]),
    ) -> Result<Lent, Fault> {
        let http = self.login.open(way)?;
        form["client_id"] = self.client.as_str().into();
        form["client_secret"] = self.secret.expose().as_str().into();
        form["scope"] = format!("{service}/.default").into();
        let Value::Object(form) = form else { return Err(Fault::internal("no form")) };
        let path = [self.tenant.as_str(), "oauth2", "v2.0", "token"];
        let secrets: Vec<_> =
            secrets.iter().copied().chain([self.secret.expose().as_str()]).collect();
        ask(&http, &path, form, way, &secrets).await
    }
}

const NO_APPLICATION: &str = "it is no application's id";

/// Whether a text can be an id or a domain.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain) && !text.starts_with('.')
}

/// The subscription that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn subscription(settings: &Settings) -> Result<&str, Fault> {
    let text = settings.need(&SUBSCRIPTION)?;
    let bad = || bad_setting(SUBSCRIPTION.name(), "it is no subscription's id");
    is_name(text).then_some(text).ok_or_else(bad)
}

/// The resource group and the resource that these settings of a target name, if any.
pub fn resource(settings: &Settings) -> (Option<&str>, Option<&str>) {
    (settings.text(&RESOURCE_GROUP), settings.text(&RESOURCE))
}

impl Lender for Azure {
    fn lend<'a>(&'a self, way: &'a Way) -> BoxFuture<'a, Result<Lent, Fault>> {
        Box::pin(async move {
            let grant = json!({"grant_type": "client_credentials"});
            self.ask(grant, &self.graph, (way, &[])).await
        })
    }
}

/// The one that these settings of a target name.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn azure(settings: &Settings, way: Option<&Way>) -> Result<Azure, Fault> {
    if settings.flag(&CLOUD_IDENTITY, false) {
        return Err(bad_setting(
            CLOUD_IDENTITY.name(),
            "this version signs in with secrets only: a gateway's own identity is its operator's",
        ));
    }
    settings.choice(&CONNECTION, &CONNECTIONS, CONNECTIONS[0])?;
    let cloud = settings.choice(&CLOUD, &CLOUDS, CLOUDS[0])?;
    Azure::of(settings, cloud, [&TENANT, &CLIENT, &SECRET], way)
}

/// The member.
pub(super) struct AzureTarget;

impl Target for AzureTarget {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn type_name(&self, _: &Settings) -> Result<&'static str, Fault> {
        Ok("azure")
    }

    fn check(&self, settings: &Settings) -> Result<(), Fault> {
        azure(settings, None).map(drop)
    }

    fn details(&self, settings: &Settings) -> (&'static str, Map<String, Value>) {
        let names = [
            ("azure_client_id", "client-id"),
            ("azure_client_secret", "client-secret"),
            ("azure_cloud", "azure-cloud"),
            ("azure_resource_group_name", "resource-group-name"),
            ("azure_resource_name", "resource-name"),
            ("azure_subscription_id", "subscription-id"),
            ("azure_tenant_id", "tenant-id"),
            ("connection_type", "connection-type"),
            ("use_gw_cloud_identity", "use-gw-cloud-identity"),
        ];
        ("azure_target_details", content(&KIND, settings, &names))
    }

    fn probe<'a>(
        &'a self,
        settings: &'a Settings,
        way: &'a Way,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { azure(settings, Some(way))?.lend(way).await.map(drop) })
    }
}
