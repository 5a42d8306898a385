//! Who sends the requests: an access key whose one role has a rule for each folder of the bench.
//! The administrator only makes it; measuring with an administrator would hide the cost of rules.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::SecretString;
use serde_json::{Value, json};

use crate::connection::{Connection, Endpoint};
use crate::issuer;
use crate::names::FOLDERS;
use crate::reviewer;
use crate::template::Template;

/// The role of all runs.
const ROLE: &str = "/bench/role";

/// An access key that may read and write the secrets of the bench.
pub(crate) struct Actor {
    /// Its public half.
    pub(crate) access_id: String,
    /// Its secret half.
    pub(crate) access_key: SecretString,
    /// The method that trusts the issuer of the bench; empty for the administrator.
    pub(crate) token_access_id: String,
    /// The method that trusts the cluster of the bench, and what the gateway calls it; empty for
    /// the administrator.
    pub(crate) cluster_access_id: String,
    pub(crate) cluster: String,
}

impl Actor {
    /// Makes a new access key for the run `run`, with the credentials in `data_dir`.
    ///
    /// # Errors
    /// When the credentials are gone, or the server refuses.
    pub(crate) async fn create(
        endpoint: &Endpoint,
        data_dir: &Path,
        run: u64,
    ) -> Result<Self, String> {
        let token = Self::administrator(data_dir)?.login(endpoint).await?;
        let connection = endpoint.connect().await?;
        let mut calls = Calls { connection, token: Some(token) };
        let method = format!("/bench/client-{run}");
        let made = calls.call("auth-method-create-api-key", json!({ "name": method })).await?;
        calls.call_unless_there("create-role", json!({ "name": ROLE })).await?;
        for folder in 0..FOLDERS {
            let rule = json!({
                "role-name": ROLE,
                "path": format!("/bench-{folder:02}/*"),
                "capability": ["read", "create", "update", "list"],
            });
            calls.call("set-role-rule", rule).await?;
        }
        calls.call("assoc-role-am", json!({ "role-name": ROLE, "am-name": method })).await?;
        let trusting = json!({
            "name": format!("/bench/tokens-{run}"),
            "unique-identifier": "sub",
            "issuer": "https://idp.example",
            "audience": "bench",
            "jwks-json-data": issuer::KEY_SET,
        });
        let trusting = calls.call("auth-method-create-oauth2", trusting).await?;
        let token_access_id = trusting["access_id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { token_access_id, ..Self::of(&made)? })
    }

    /// Makes a method of the cluster at `reviewer`, which has the server's own certificate, and
    /// tells the gateway about it.
    ///
    /// # Errors
    /// When the credentials are gone, or the server refuses.
    pub(crate) async fn join_cluster(
        &mut self,
        endpoint: &Endpoint,
        data_dir: &Path,
        run: u64,
        reviewer: &Endpoint,
    ) -> Result<(), String> {
        let token = Self::administrator(data_dir)?.login(endpoint).await?;
        let mut calls = Calls::new(endpoint, &token).await?;
        self.cluster = format!("bench-{run}");
        let name = format!("/bench/pods-{run}");
        let made = calls.call("auth-method-create-k8s", json!({ "name": name })).await?;
        self.cluster_access_id = made["access_id"].as_str().unwrap_or_default().to_owned();
        let ca = data_dir.join("tls/ca.pem");
        let ca = std::fs::read(&ca).map_err(|error| format!("{}: {error}", ca.display()))?;
        let config = json!({
            "name": self.cluster,
            "access-id": self.cluster_access_id,
            "signing-key": made["prv_key"],
            "k8s-host": reviewer.url(),
            "k8s-ca-cert": STANDARD.encode(ca),
            "token-reviewer-jwt": reviewer::TOKEN,
        });
        calls.call("gateway-create-k8s-auth-config", config).await.map(drop)
    }

    /// The administrator whose credentials are in `data_dir`.
    ///
    /// # Errors
    /// When they are gone.
    pub(crate) fn administrator(data_dir: &Path) -> Result<Self, String> {
        let path = data_dir.join("bootstrap.json");
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let bootstrap: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        Self::of(&bootstrap)
    }

    fn of(credentials: &Value) -> Result<Self, String> {
        let text = |name: &str| {
            let text = credentials[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("credentials without {name}"))
        };
        let access_key = SecretString::new(text("access_key")?);
        Ok(Self {
            access_id: text("access_id")?,
            access_key,
            token_access_id: String::new(),
            cluster_access_id: String::new(),
            cluster: String::new(),
        })
    }

    /// A new token.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn login(&self, endpoint: &Endpoint) -> Result<String, String> {
        let mut calls = Calls::anonymous(endpoint).await?;
        let credentials = json!({
            "access-id": self.access_id,
            "access-key": self.access_key.expose(),
        });
        let answer = calls.call("auth", credentials).await?;
        answer["token"].as_str().map(str::to_owned).ok_or_else(|| "a login without token".into())
    }
}

/// Calls that are not measured.
pub(crate) struct Calls {
    connection: Connection,
    token: Option<String>,
}

impl Calls {
    /// Calls with `token` on a new connection.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn new(endpoint: &Endpoint, token: &str) -> Result<Self, String> {
        Ok(Self { connection: endpoint.connect().await?, token: Some(token.to_owned()) })
    }

    /// Calls without a token on a new connection.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn anonymous(endpoint: &Endpoint) -> Result<Self, String> {
        Ok(Self { connection: endpoint.connect().await?, token: None })
    }

    /// Calls with `token` from now on.
    pub(crate) fn sign_in(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Runs `command` and returns its answer.
    ///
    /// # Errors
    /// When the server refuses; the text has the command and the server's words.
    pub(crate) async fn call(&mut self, command: &str, body: Value) -> Result<Value, String> {
        let (status, answer) = self.send(command, body).await?;
        if (200..300).contains(&status) { Ok(answer) } else { Err(refused(command, &answer)) }
    }

    async fn call_unless_there(&mut self, command: &str, body: Value) -> Result<(), String> {
        let (status, answer) = self.send(command, body).await?;
        let fine = status == 409 || (200..300).contains(&status);
        if fine { Ok(()) } else { Err(refused(command, &answer)) }
    }

    async fn send(&mut self, command: &str, mut body: Value) -> Result<(u16, Value), String> {
        if let Some(token) = &self.token {
            body["token"] = json!(token);
        }
        let request = Template::post(&format!("/{command}"), &body.to_string());
        let answer = self.connection.call(request.bytes()).await?;
        let text = if answer.body.is_empty() { b"{}" } else { answer.body };
        let value = serde_json::from_slice(text);
        Ok((answer.status, value.map_err(|error| format!("{command}: {error}"))?))
    }
}

fn refused(command: &str, answer: &Value) -> String {
    format!("{command} was refused: {}", answer["error"].as_str().unwrap_or("without a reason"))
}
