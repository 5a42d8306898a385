//! Service accounts of Kubernetes clusters: tokens of one that is there, or accounts that are made
//! with the rights they get.
//!
//! A token of an account that stays is bound to a secret made for it, so that it ends when that is
//! removed. Everything that is made for one lease has one name, and stands in one namespace.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_targets::http::{Http, Reply};
use keysherd_targets::k8s::Cluster;
use keysherd_wire::{bad_setting, wipe};
use serde_json::{Map, Value, json};

use self::fields::{
    ACCOUNT, ACCOUNT_TYPE, ALLOWED, CLUSTER, KIND, NAMESPACE, ROLE_NAME, ROLE_TYPE, YAML_DATA,
    YAML_DEF,
};
use self::roles::{Rights, label, rights};
use crate::arguments::known_arguments;
use crate::exec;
use crate::fields::need_type;
use crate::member::More;
use crate::name::{marked, need_handle, unmarked, username};
use crate::{
    BoxFuture, ClusterFacts, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Wish,
};

mod fields;
mod roles;
#[cfg(test)]
mod tests;

/// The shortest life that clusters give a token, in seconds.
const TOKEN_SECONDS_MIN: i64 = 600;
/// How handles begin: of accounts that are made, and of tokens of those that stay.
const MADE: &str = "sa";
const TOKEN: &str = "token";
const RBAC: [&str; 3] = ["apis", "rbac.authorization.k8s.io", "v1"];

/// The member.
pub(super) struct K8s;

impl Engine for K8s {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        cluster(settings, target)?;
        KIND.check(settings)?;
        label(NAMESPACE.name(), namespace(settings))?;
        for allowed in allowed(settings).filter(|allowed| *allowed != "*") {
            label(ALLOWED.name(), allowed)?;
        }
        let mut warnings = Vec::new();
        if is_dynamic(settings)? {
            if let Rights::Predefined { name, .. } = &rights(settings)?
                && ["cluster-admin", "admin"].contains(name)
            {
                warnings.push(format!("the role {name} allows everything; name what is needed"));
            }
        } else {
            roles::subdomain(ACCOUNT.name(), settings.need(&ACCOUNT)?)?;
        }
        Ok(warnings)
    }

    fn takes_args(&self) -> bool {
        true
    }

    fn cluster(&self, scene: &Scene<'_>) -> Result<Option<ClusterFacts>, Fault> {
        let cluster = cluster(scene.settings, scene.target.as_ref())?;
        let namespace = scene.settings.text(&NAMESPACE).map(str::to_owned);
        Ok(Some(ClusterFacts { namespace, ..facts(&cluster) }))
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        let settings = scene.settings;
        let given = known_arguments(wish.args, &["namespace"])?;
        let given = given.get("namespace").and_then(Value::as_str);
        let dynamic = is_dynamic(settings)?;
        let place = chosen(settings, given, dynamic)?;
        let kind = if dynamic { MADE } else { TOKEN };
        let begin = username(settings, wish, scene.way, KIND.name_bytes_max)?;
        let begin = object_name(unmarked(&begin));
        let seconds = wish.ttl_seconds.max(TOKEN_SECONDS_MIN);
        let more = Map::from_iter([("seconds".to_owned(), seconds.into())]);
        Ok(Plan {
            handle: marked(&format!("{kind}.{place}.{begin}"), wish.lease),
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
            let session = Session::new(scene, &plan.handle)?;
            let made = match session.kind {
                MADE => session.account(scene.settings, plan).await,
                _ => session.token(scene.settings, plan).await,
            };
            let Err(fault) = made else { return made };
            // What is left all the same is removed when the lease ends.
            let left = session.remove().await.err();
            Err(left.map_or(fault.clone(), |left| fault.with_private(left)))
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move { Session::new(scene, handle)?.remove().await.map(|()| Vec::new()) })
    }
}

fn cluster(settings: &Settings, target: Option<&TargetUse<'_>>) -> Result<Cluster, Fault> {
    match target {
        Some(target) => {
            need_type(&KIND, target)?;
            Cluster::of(target.settings)
        }
        None => Cluster::by(settings, &CLUSTER),
    }
}

fn is_dynamic(settings: &Settings) -> Result<bool, Fault> {
    Ok(settings.choice(&ACCOUNT_TYPE, &["fixed", "dynamic"], "fixed")? == "dynamic")
}

fn namespace(settings: &Settings) -> &str {
    settings.text(&NAMESPACE).unwrap_or("default")
}

fn allowed(settings: &Settings) -> impl Iterator<Item = &str> {
    let text = settings.text(&ALLOWED).unwrap_or_default();
    text.split(',').map(str::trim).filter(|text| !text.is_empty())
}

/// The namespace that the caller chose, of those that the settings allow.
fn chosen<'a>(
    settings: &'a Settings,
    wanted: Option<&'a str>,
    dynamic: bool,
) -> Result<&'a str, Fault> {
    let usual = namespace(settings);
    let Some(wanted) = wanted.filter(|wanted| *wanted != usual) else { return Ok(usual) };
    label("args", wanted)?;
    let fits = dynamic && allowed(settings).any(|allowed| allowed == "*" || allowed == wanted);
    let why = "the dynamic secret does not allow that namespace";
    fits.then_some(wanted).ok_or_else(|| bad_setting("args", why))
}

/// A name as objects of a cluster have them (RFC 1123), without a dot.
fn object_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(plain).collect();
    match name.trim_matches('-') {
        "" => "tmp".to_owned(),
        name => name.to_owned(),
    }
}

/// Somebody who asks about what is made for one lease.
struct Session<'a> {
    cluster: Cluster,
    http: Http,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

/// What everybody may know of a cluster who gets credentials for it.
fn facts(cluster: &Cluster) -> ClusterFacts {
    ClusterFacts {
        name: cluster.name.clone(),
        endpoint: cluster.server.url().as_str().trim_end_matches('/').to_owned(),
        authority: STANDARD.encode(cluster.authority.as_deref().unwrap_or_default()),
        namespace: None,
    }
}

impl<'a> Session<'a> {
    fn new(scene: &Scene<'_>, handle: &'a str) -> Result<Self, Fault> {
        need_handle(handle)?;
        let unknown = || Fault::internal("a lease has a handle that no plan made");
        let (kind, rest) = handle.split_once('.').ok_or_else(unknown)?;
        let (namespace, name) = rest.split_once('.').ok_or_else(unknown)?;
        if ![MADE, TOKEN].contains(&kind) || label("", namespace).is_err() || !name.contains('.') {
            return Err(unknown());
        }
        let cluster = cluster(scene.settings, scene.target.as_ref())?;
        let http = cluster.open(scene.way)?;
        Ok(Self { cluster, http, kind, namespace, name })
    }

    async fn post(&self, path: &[&str], body: Value) -> Result<Reply, Fault> {
        self.cluster.call(&self.http, "POST", path)?.json(body).send().await
    }

    async fn make(&self, path: &[&str], body: Value, what: &str) -> Result<Reply, Fault> {
        self.post(path, body).await?.done(what, &[self.cluster.secret()])
    }

    fn core<'p>(&'p self, resource: &'p str) -> [&'p str; 5] {
        ["api", "v1", "namespaces", self.namespace, resource]
    }

    fn rights<'p>(&'p self, resource: &'p str) -> Vec<&'p str> {
        [&RBAC[..], &["namespaces", self.namespace, resource]].concat()
    }

    /// Makes an account with its rights, and a token of it.
    async fn account(&self, settings: &Settings, plan: &Plan) -> Result<Created, Fault> {
        let name = json!({"name": self.name});
        let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name});
        self.make(&self.core("serviceaccounts"), body, "making the service account").await?;
        let (role, binding) = rights(settings)?.objects(self.namespace, self.name);
        if let Some(role) = role {
            self.make(&self.rights("roles"), role, "making the role").await?;
        }
        let what = "giving the service account its role";
        self.make(&self.rights("rolebindings"), binding, what).await?;
        let spec = json!({"expirationSeconds": plan.more.0.get("seconds")});
        self.credential(self.name, spec, true).await
    }

    /// A token of an account that is there.
    async fn token(&self, settings: &Settings, plan: &Plan) -> Result<Created, Fault> {
        let account = settings.need(&ACCOUNT)?;
        let body = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": self.name},
        });
        let reply = self.post(&self.core("secrets"), body).await?;
        let mut spec = json!({"expirationSeconds": plan.more.0.get("seconds")});
        // Whoever may not make secrets gives tokens that end by themselves.
        if reply.status() == 403 {
            let mut created = self.credential(account, spec, false).await?;
            created.warnings.push(
                "the token ends by itself, and cannot be revoked before: the target's account may \
                 not make secrets that it could be bound to"
                    .to_owned(),
            );
            return Ok(created);
        }
        let made = reply.done("making the secret", &[self.cluster.secret()])?.json()?;
        let bound = json!({
            "apiVersion": "v1", "kind": "Secret", "name": self.name,
            "uid": made["metadata"]["uid"],
        });
        spec["boundObjectRef"] = bound;
        self.credential(account, spec, true).await
    }

    /// A token, as kubectl takes it (client.authentication.k8s.io/v1beta1).
    async fn credential(
        &self,
        account: &str,
        spec: Value,
        is_revocable: bool,
    ) -> Result<Created, Fault> {
        let path = [&self.core("serviceaccounts")[..], &[account, "token"]].concat();
        let body =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let mut answer = self.make(&path, body, "making the token").await?.json()?;
        let status = answer.get_mut("status").map(Value::take).unwrap_or_default();
        wipe(answer);
        let (token, ends) = (&status["token"], &status["expirationTimestamp"]);
        let ends_at = ends.as_str().and_then(Timestamp::parse_rfc3339);
        if token.as_str().is_none_or(str::is_empty) {
            wipe(status);
            return Err(Fault::unavailable("the cluster answers without a token; try again"));
        }
        let user = format!("{}/{account}", self.namespace);
        let value = exec::credential(
            token,
            ends,
            &exec::Cluster {
                name: &self.cluster.name,
                endpoint: self.cluster.server.url().as_str(),
                authority: self.cluster.authority.as_deref(),
                user: &user,
            },
        );
        wipe(status);
        let ends = if is_revocable { None } else { ends_at };
        Ok(Created { value, handle: None, ends, warnings: Vec::new() })
    }

    /// Removes what has the lease's name: what signs in first.
    async fn remove(&self) -> Result<(), Fault> {
        let core = |resource| self.core(resource).to_vec();
        let paths = match self.kind {
            TOKEN => vec![core("secrets")],
            _ => vec![core("serviceaccounts"), self.rights("rolebindings"), self.rights("roles")],
        };
        for mut path in paths {
            path.push(self.name);
            let reply = self.cluster.call(&self.http, "DELETE", &path)?.send().await?;
            // Tokens that were not bound to a secret have none; see `token`.
            let gone = reply.status() == 404 || (self.kind == TOKEN && reply.status() == 403);
            if !gone {
                reply.done("removing what was made", &[self.cluster.secret()])?;
            }
        }
        Ok(())
    }
}

/// Whether the settings say it in YAML, and where.
fn written(settings: &Settings) -> Result<Option<(&'static str, &str)>, Fault> {
    match (settings.text(&YAML_DEF), settings.text(&YAML_DATA)) {
        (Some(_), Some(_)) => {
            Err(bad_setting(YAML_DATA.name(), "k8s-rolebinding-yaml-def is there already"))
        }
        (Some(text), None) => Ok(Some((YAML_DEF.name(), text))),
        (None, Some(text)) => Ok(Some((YAML_DATA.name(), text))),
        (None, None) => Ok(None),
    }
}

fn predefined(settings: &Settings) -> Result<Option<(&str, &'static str)>, Fault> {
    let kind = settings.choice(&ROLE_TYPE, &["Role", "ClusterRole"], "Role")?;
    Ok(settings.text(&ROLE_NAME).map(|name| (name, kind)))
}
