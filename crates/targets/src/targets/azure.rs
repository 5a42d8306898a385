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
const SUBSCRIPTION: Field<Text> = Field::text("subscription-id", "The subscription, for readers.");
const RESOURCE_GROUP: Field<Text> =
    Field::text("resource-group-name", "The resource group, for readers.");
const RESOURCE: Field<Text> = Field::text("resource-name", "The resource, for readers.");
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

/// The hosts of a cloud's services: who lends tokens, and Graph.
fn hosts(cloud: &str) -> (&'static str, &'static str) {
    match cloud {
        "AzureUSGovernment" => ("login.microsoftonline.us", "graph.microsoft.us"),
        "AzureChinaCloud" => {
            ("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn")
        }
        _ => ("login.microsoftonline.com", "graph.microsoft.com"),
    }
}

/// An application of a tenant.
pub struct Azure {
    /// Graph.
    pub server: HttpServer,
    /// Graph's own address, whatever leads there.
    pub graph: String,
    /// The application's secret.
    pub secret: SecretString,
    login: HttpServer,
    tenant: String,
    client: String,
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
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
            let fits = text.len() <= 253 && text.bytes().all(plain) && !text.starts_with('.');
            fits.then(|| text.to_owned()).ok_or_else(|| bad_setting(field.name(), want))
        };
        let (client_field, tenant_field) = (client, tenant);
        let tenant = named(tenant_field, "it is no tenant's id, nor a domain")?;
        let client = named(client_field, "it is no application's id")?;
        let (login, graph) = hosts(cloud);
        let leading = way.and_then(|way| way.endpoints.azure.as_deref());
        let server = |host: &str| {
            let url = at(host, leading);
            let url = Named::none("azure-cloud").with(Some(&url));
            HttpServer::new(HttpGiven { url, authority: None, identity: None })
        };
        let secret = settings.secret(secret)?;
        let (server, login) = (server(graph)?, server(login)?);
        Ok(Self { server, graph: format!("https://{graph}"), secret, login, tenant, client })
    }
}

impl Lender for Azure {
    fn lend<'a>(&'a self, way: &'a Way) -> BoxFuture<'a, Result<Lent, Fault>> {
        Box::pin(async move {
            let http = self.login.open(way)?;
            let form = json!({
                "grant_type": "client_credentials",
                "client_id": self.client,
                "client_secret": self.secret.expose(),
                "scope": format!("{}/.default", self.graph),
            });
            let Value::Object(form) = form else { return Err(Fault::internal("no form")) };
            let path = [self.tenant.as_str(), "oauth2", "v2.0", "token"];
            ask(&http, &path, form, way, &[self.secret.expose()]).await
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
