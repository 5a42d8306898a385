//! Certificates of a Venafi Trust Protection Platform, by its Web SDK. The tests have a stand-in
//! for the service.
//!
//! A certificate is an object of the lease's name in the zone, so it is found and revoked by that
//! name, whoever heard of it. Its key is made here and kept by nobody, or is its caller's, who
//! brings a request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString};
use keysherd_crypto::pki::{self, Requested};
use keysherd_targets::Named;
use keysherd_targets::http::{Http, HttpGiven, HttpServer, Reply};
use keysherd_wire::{bad_setting, wipe};
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use self::fields::{
    ADMIN_ROTATION, DOMAINS, KIND, OWN_PKI, ROOT_FIRST, STORE_KEY, SUBDOMAINS, TOKEN, TPP, URL,
    ZONE,
};
use crate::arguments::known_arguments;
use crate::fields::need_type;
use crate::member::{More, not_reached};
use crate::name::{need_handle, username};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish};

mod fields;
#[cfg(test)]
mod tests;

/// The argument that says whom a certificate is for.
const COMMON_NAME: &str = "common_name";
/// The argument that is a request whose key the caller has.
const CSR: &str = "csr";
/// Where all zones are.
const POLICY: &str = "\\VED\\Policy\\";
/// Most domains, and the longest name of a host in bytes (RFC 1035 section 2.3.4).
const DOMAINS_MAX: usize = 100;
const HOST_BYTES_MAX: usize = 253;
/// Longest zone, in bytes.
const ZONE_BYTES_MAX: usize = 512;
/// Longest chain, in bytes.
const CHAIN_BYTES_MAX: usize = 64 * 1024;
/// How long to wait before a certificate that is not there yet is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// Why a certificate ends: what it was for has ended (RFC 5280, `cessationOfOperation`).
const ENDED: u8 = 5;

/// The member.
pub(super) struct Venafi;

impl Engine for Venafi {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        target.map(|target| need_type(&KIND, target)).transpose()?;
        KIND.check(settings)?;
        let plot = Plot::of(settings)?;
        Ok(plot.server.warning().into_iter().collect())
    }

    /// Certificates are objects of the zone.
    fn found_by(&self, _: &Settings) -> &'static [&'static str] {
        &["venafi-zone"]
    }

    fn takes_args(&self) -> bool {
        true
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let plot = Plot::of(scene.settings)?;
        let given = known_arguments(wish.args, &[COMMON_NAME, CSR])?;
        let text = |name: &str| given.get(name).and_then(Value::as_str);
        let request = text(CSR).map(|text| plot.brought(text)).transpose()?;
        let name = match (text(COMMON_NAME), &request) {
            (Some(name), _) => name.to_ascii_lowercase(),
            (None, Some(request)) => request.names.first().cloned().unwrap_or_default(),
            // Nobody asks when a secret is tried out.
            (None, None) if wish.is_trial => plot.domains[0].clone(),
            (None, None) => {
                let want = "say whom the certificate is for: common_name=host.example, or csr=";
                return Err(bad_setting("args", want));
            }
        };
        plot.need_allowed(&name)?;
        if request.as_ref().is_some_and(|request| !request.names.contains(&name)) {
            return Err(bad_setting("args", "common_name is not one of the names of csr"));
        }
        let ends = scene.way.clock.now().plus_seconds(wish.ttl_seconds);
        let mut more = Map::from_iter([
            (COMMON_NAME.to_owned(), name.into()),
            ("ends".to_owned(), ends.rfc3339().into()),
        ]);
        more.extend(request.map(|request| (CSR.to_owned(), pem(&request.der).into())));
        Ok(Plan {
            handle: username(scene.settings, wish, scene.way, KIND.name_bytes_max)?,
            password: SecretString::new(String::new()),
            more: More(more),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            let made = timeout(scene.way.timeout, created(scene, plan)).await;
            made.unwrap_or_else(|_| Err(late()))
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let removed = timeout(scene.way.timeout, revoked(scene, handle)).await;
            removed.unwrap_or_else(|_| Err(late()))
        })
    }
}

fn late() -> Fault {
    Fault::unavailable("the certificate is not there in time; try again later")
}

/// What the settings say.
struct Plot {
    server: HttpServer,
    token: SecretString,
    zone: String,
    domains: Vec<String>,
    subdomains: bool,
}

impl Plot {
    fn of(settings: &Settings) -> Result<Self, Fault> {
        if !settings.flag(&TPP, false) {
            let want = "it must be true: Venafi's cloud is not served by this version";
            return Err(bad_setting(TPP.name(), want));
        }
        for (field, why) in [
            (&OWN_PKI, "certificates of one's own authorities are not made by this command"),
            (&STORE_KEY, "private keys are stored by nobody"),
            (&ADMIN_ROTATION, "this version does not rotate tokens"),
        ] {
            if settings.flag(field, false) {
                return Err(bad_setting(field.name(), why));
            }
        }
        let url = Named::of(settings, &URL);
        let server = HttpServer::new(HttpGiven { url, authority: None, identity: None })?;
        let domains = settings.list(&DOMAINS).into_iter().map(|name| name.to_ascii_lowercase());
        let domains: Vec<_> = domains.collect();
        if domains.is_empty() || domains.len() > DOMAINS_MAX || !domains.iter().all(|d| is_host(d))
        {
            let want = "it must be 1 to 100 names of domains, such as apps.example.com";
            return Err(bad_setting(DOMAINS.name(), want));
        }
        Ok(Self {
            server,
            token: settings.secret(&TOKEN)?,
            zone: zone(settings.need(&ZONE)?)?,
            domains,
            subdomains: settings.flag(&SUBDOMAINS, false),
        })
    }

    fn need_allowed(&self, name: &str) -> Result<(), Fault> {
        let below = |domain: &str| {
            let sub = name.strip_suffix(domain).is_some_and(|begin| begin.ends_with('.'));
            name == domain || self.subdomains && sub
        };
        match is_host(name) && self.domains.iter().any(|domain| below(domain)) {
            true => Ok(()),
            false => Err(bad_setting(
                "args",
                "common_name, or a name that csr asks for, is not in allowed-domains",
            )),
        }
    }

    /// A request that a caller brings, in PEM or that in base64, for allowed names only.
    fn brought(&self, text: &str) -> Result<Requested, Fault> {
        let coded = || String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok();
        let decoded = if text.contains("-----BEGIN ") { None } else { coded() };
        let request = pki::requested(decoded.as_deref().unwrap_or(text))
            .map_err(|why| bad_setting("args", &format!("the request in csr {why}")))?;
        request.names.iter().try_for_each(|name| self.need_allowed(name)).map(|()| request)
    }

    /// The name of an object of the zone.
    fn object(&self, name: &str) -> String {
        format!("{}\\{name}", self.zone)
    }

    async fn ask(&self, http: &Http, what: &str, body: Value) -> Result<Reply, Fault> {
        let call = http.call("POST", &["vedsdk", "certificates", what])?;
        call.bearer(&self.token).json(body).send().await
    }
}

/// The whole name of a zone.
fn zone(text: &str) -> Result<String, Fault> {
    let text = text.trim_matches('\\');
    let text = text.strip_prefix("VED\\Policy\\").unwrap_or(text);
    let fits = text.len() <= ZONE_BYTES_MAX
        && !text.chars().any(char::is_control)
        && text.split('\\').all(|part| !part.is_empty());
    let want = "it must be the name of a policy folder, such as Certificates\\Apps";
    fits.then(|| format!("{POLICY}{text}")).ok_or_else(|| bad_setting(ZONE.name(), want))
}

fn is_host(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label)
}

async fn created(scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
    need_handle(&plan.handle)?;
    let plot = Plot::of(scene.settings)?;
    let text = |name: &str| plan.more.0.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text(COMMON_NAME).to_owned();
    // What a caller brings has a key that nobody else knows.
    let (request, key) = match text(CSR) {
        "" => {
            let made = pki::request(std::slice::from_ref(&name)).map_err(Fault::internal)?;
            (made.der, Some(made.key_pem))
        }
        brought => (pki::requested(brought).map_err(Fault::internal)?.der, None),
    };
    let http = plot.server.open(scene.way).map_err(not_reached)?;
    let body = json!({
        "PolicyDN": plot.zone,
        "ObjectName": plan.handle,
        "PKCS10": pem(&request),
        "DisableAutomaticRenewal": true,
        "CASpecificAttributes": [{"Name": "Specific End Date", "Value": text("ends")}],
    });
    let secrets = [plot.token.expose().as_str()];
    let made = async {
        let reply = plot.ask(&http, "request", body).await?;
        reply.done("asking for the certificate", &secrets)?;
        let chain = chain(&plot, &http, scene.settings, &plan.handle).await?;
        let other = || Fault::conflict("the service answers with a certificate of another key");
        is_of(&chain, &request).then_some(chain).ok_or_else(other)
    };
    let chain = match made.await {
        Ok(chain) => chain,
        Err(fault) => {
            // What is left all the same is revoked when the lease ends.
            let left = ended(&plot, &http, &plan.handle).await.err();
            return Err(left.map_or(fault.clone(), |left| fault.with_private(left)));
        }
    };
    let mut value = Map::new();
    value.insert(COMMON_NAME.to_owned(), name.into());
    value.insert("certificate".to_owned(), chain.into());
    value.extend(key.map(|key| ("private_key".to_owned(), key.expose().as_str().into())));
    Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
}

/// The certificate with its chain, once it is there.
async fn chain(
    plot: &Plot,
    http: &Http,
    settings: &Settings,
    handle: &str,
) -> Result<String, Fault> {
    let root_first = settings.flag(&ROOT_FIRST, false);
    loop {
        let body = json!({
            "CertificateDN": plot.object(handle),
            "Format": "Base64",
            "IncludeChain": true,
            "RootFirstOrder": root_first,
        });
        let reply = plot.ask(http, "retrieve", body).await?;
        // It waits for its authority, or for somebody who approves it.
        if reply.status() == 202 {
            sleep(AGAIN).await;
            continue;
        }
        let reply = reply.done("getting the certificate", &[plot.token.expose()])?;
        let answer = reply.json()?;
        let data = answer.get("CertificateData").and_then(Value::as_str).unwrap_or_default();
        let bytes = STANDARD.decode(data).ok().filter(|bytes| bytes.len() <= CHAIN_BYTES_MAX);
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        wipe(answer);
        let ill = || Fault::unavailable("the service answers with no certificate");
        return text.ok_or_else(ill);
    }
}

/// Whether a certificate of the chain is of the key that was asked for, which the request has in it
/// as certificates do.
fn is_of(chain: &str, request: &[u8]) -> bool {
    let keys = pki::certificates_of_pem(chain).unwrap_or_default();
    let has = |key: &[u8]| request.windows(key.len()).any(|part| part == key);
    keys.iter().filter_map(|der| pki::certificate_spki(der)).any(has)
}

async fn revoked(scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
    need_handle(handle)?;
    let plot = Plot::of(scene.settings)?;
    let http = plot.server.open(scene.way)?;
    ended(&plot, &http, handle).await.map(|()| Vec::new())
}

/// Revokes a certificate. One that there is not, or that is revoked already, has ended.
async fn ended(plot: &Plot, http: &Http, handle: &str) -> Result<(), Fault> {
    let body = json!({
        "CertificateDN": plot.object(handle),
        "Reason": ENDED,
        "Comments": "its lease has ended",
        "Disable": true,
    });
    let reply = plot.ask(http, "revoke", body).await?;
    let said = reply.json().unwrap_or_default();
    let why = said.get("Error").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let gone = ["does not exist", "already revoked"].iter().any(|words| why.contains(words));
    if matches!(reply.status(), 400 | 404) && gone {
        return Ok(());
    }
    let reply = reply.done("revoking the certificate", &[plot.token.expose()])?;
    // Whatever stands in between can answer 200: only its own word counts.
    if said.get("Success").and_then(Value::as_bool) != Some(true) {
        let fault = Fault::conflict("the service does not say that the certificate is revoked");
        return Err(reply.heard(fault, &[plot.token.expose()]));
    }
    Ok(())
}

fn pem(der: &[u8]) -> String {
    let coded = STANDARD.encode(der);
    let lines = coded.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    let (begin, end) = ("-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----");
    format!("{begin}\n{}\n{end}\n", lines.join("\n"))
}
