//! Tokens of services that are driven over HTTP. What the services differ in is a table of each:
//! how one signs in, and three requests, which make a token, list tokens and remove one.
//!
//! Tokens are found again by the name that they were given, so one that was made and not heard of
//! is removed like any other.

use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_targets::http::{Call, Http, HttpServer};
use keysherd_wire::wipe;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::member::More;
use crate::name::{need_handle, username};
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Way, Wish};

#[cfg(test)]
mod tests;

/// Most pages of tokens that are looked at, and how many tokens a page has.
const PAGES_MAX: usize = 50;
const PAGE_TOKENS: usize = 100;

/// Who signs in, and where.
pub(crate) struct Account {
    pub(crate) server: HttpServer,
    /// Empty: a token needs no name.
    pub(crate) user: String,
    pub(crate) secret: SecretString,
}

/// How one signs in.
pub(crate) enum SignIn {
    /// The secret is a header of this name.
    Header(&'static str),
    /// Name and password (RFC 7617).
    Basic,
    /// A request with both gives a token (RFC 6750), which is this member of its answer.
    Login { path: &'static [&'static str], token: &'static str },
}

/// What requests are made of.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) settings: &'a Settings,
    /// The name of the token.
    pub(crate) name: &'a str,
    /// What the service knows it by; empty until it was looked for.
    pub(crate) id: &'a str,
    /// How long it lives, in seconds.
    pub(crate) seconds: i64,
    pub(crate) now: Timestamp,
}

/// A request.
pub(crate) struct Step {
    pub(crate) method: &'static str,
    pub(crate) path: fn(&Facts<'_>) -> Result<Vec<String>, Fault>,
    /// The names of the query's members that say how many tokens a page has, and which page.
    pub(crate) pages: Option<(&'static str, &'static str)>,
    /// An object: JSON, or a form's members.
    pub(crate) body: fn(&Facts<'_>) -> Result<Value, Fault>,
    pub(crate) is_form: bool,
}

/// Who signs in by the settings; without a way nobody will.
type AccountOf = fn(&Settings, Option<&TargetUse<'_>>, Option<&Way>) -> Result<Account, Fault>;

/// A service.
pub(crate) struct Service {
    pub(crate) kind: &'static Kind,
    pub(crate) account: AccountOf,
    /// What is the service's own to check; gives what authors should know.
    pub(crate) check: fn(&Settings) -> Result<Vec<String>, Fault>,
    pub(crate) sign_in: SignIn,
    pub(crate) make: Step,
    /// The member of the answer that is the token.
    pub(crate) token: &'static str,
    pub(crate) list: Step,
    /// Where in the answer the list is (a pointer of RFC 6901).
    pub(crate) entries: &'static str,
    /// What an entry's token is known by, if it has this name.
    pub(crate) known_by: fn(&Value, &str) -> Option<String>,
    pub(crate) remove: Step,
}

/// No body.
pub(crate) fn nothing(_: &Facts<'_>) -> Result<Value, Fault> {
    Ok(Value::Null)
}

/// Owned segments of a path.
pub(crate) fn segments(path: &[&str]) -> Result<Vec<String>, Fault> {
    Ok(path.iter().map(|segment| (*segment).to_owned()).collect())
}

impl Engine for Service {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn check(
        &self,
        settings: &Settings,
        target: Option<&TargetUse<'_>>,
    ) -> Result<Vec<String>, Fault> {
        self.kind.check(settings)?;
        let mut warnings = (self.check)(settings)?;
        warnings.extend((self.account)(settings, target, None)?.server.warning());
        Ok(warnings)
    }

    fn plan(&self, scene: &Scene<'_>, wish: &Wish<'_>) -> Result<Plan, Fault> {
        Ok(Plan {
            handle: username(scene.settings, wish, scene.way, self.kind.name_bytes_max)?,
            password: SecretString::new(String::new()),
            more: More(Map::from_iter([("seconds".to_owned(), wish.ttl_seconds.into())])),
        })
    }

    fn create<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Created, Fault>> {
        Box::pin(async move {
            let made = timeout(scene.way.timeout, self.created(scene, plan)).await;
            made.unwrap_or_else(|_| Err(late()))
        })
    }

    fn revoke<'a>(
        &'a self,
        scene: &'a Scene<'a>,
        handle: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            let removed = timeout(scene.way.timeout, self.removed(scene, handle)).await;
            removed.unwrap_or_else(|_| Err(late())).map(|()| Vec::new())
        })
    }
}

/// Somebody who signed in.
struct Session<'a> {
    service: &'a Service,
    http: Http,
    account: Account,
    /// What was lent for the password.
    token: Option<SecretString>,
}

impl Session<'_> {
    /// A request, signed in.
    fn call(&self, step: &Step, facts: &Facts<'_>, page: usize) -> Result<Call<'_>, Fault> {
        let path = (step.path)(facts)?;
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let (size, number) = (PAGE_TOKENS.to_string(), page.to_string());
        let query: Vec<_> = step
            .pages
            .iter()
            .flat_map(|(of, which)| [(*of, size.as_str()), (*which, number.as_str())])
            .collect();
        let call = self.http.ask(step.method, &path, &query)?;
        let call = match (&self.service.sign_in, &self.token) {
            (_, Some(token)) => call.bearer(token),
            (SignIn::Header(name), None) => call.header(name, self.account.secret.expose()),
            _ => call.basic(&self.account.user, &self.account.secret),
        };
        Ok(match (step.body)(facts)? {
            Value::Object(body) if step.is_form => call.form(body),
            Value::Null => call,
            body => call.json(body),
        })
    }

    fn secrets(&self) -> [&str; 2] {
        let lent = self.token.as_ref().map_or("", |token| token.expose());
        [self.account.secret.expose(), lent]
    }
}

impl Service {
    async fn session(&self, scene: &Scene<'_>) -> Result<Session<'_>, Fault> {
        let account = (self.account)(scene.settings, scene.target.as_ref(), Some(scene.way))?;
        let http = account.server.open(scene.way)?;
        let mut session = Session { service: self, http, account, token: None };
        if let SignIn::Login { path, token } = self.sign_in {
            let (user, secret) = (&session.account.user, session.account.secret.expose());
            let call = session.http.call("POST", path)?;
            let reply = call.json(json!({"username": user, "password": secret})).send().await?;
            let answer = reply.done("signing in", &[secret])?.json()?;
            session.token = Some(text_of(answer, token)?);
        }
        Ok(session)
    }

    async fn created(&self, scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
        need_handle(&plan.handle)?;
        let session = self.session(scene).await?;
        let seconds = plan.more.0.get("seconds").and_then(Value::as_i64).unwrap_or_default();
        let facts = Facts {
            settings: scene.settings,
            name: &plan.handle,
            id: "",
            seconds,
            now: scene.way.clock.now(),
        };
        let reply = session.call(&self.make, &facts, 1)?.send().await?;
        let answer = reply.done("making the token", &session.secrets())?.json()?;
        let token = text_of(answer, self.token)?;
        let mut value = Map::new();
        value.insert("token".to_owned(), token.expose().as_str().into());
        value.insert("user".to_owned(), plan.handle.as_str().into());
        Ok(Created { value, handle: None, ends: None, warnings: Vec::new() })
    }

    async fn removed(&self, scene: &Scene<'_>, handle: &str) -> Result<(), Fault> {
        need_handle(handle)?;
        let session = self.session(scene).await?;
        let facts = Facts {
            settings: scene.settings,
            name: handle,
            id: "",
            seconds: 0,
            now: scene.way.clock.now(),
        };
        for page in 1..=PAGES_MAX {
            let reply = session.call(&self.list, &facts, page)?.send().await?;
            let answer = reply.done("looking for the token", &session.secrets())?.json()?;
            let entries = answer.pointer(self.entries).and_then(Value::as_array);
            let entries = entries.ok_or_else(misspoken)?;
            let known_by = |entry: &Value| (self.known_by)(entry, handle);
            let ids: Vec<_> = entries.iter().filter_map(known_by).collect();
            for id in &ids {
                let facts = Facts { id, ..facts };
                let reply = session.call(&self.remove, &facts, 1)?.send().await?;
                if reply.status() != 404 {
                    reply.done("removing the token", &session.secrets())?;
                }
            }
            if !ids.is_empty() {
                // Names are of one lease, which makes one token.
                return Ok(());
            }
            if self.list.pages.is_none() || entries.len() < PAGE_TOKENS {
                return Ok(());
            }
        }
        Err(Fault::unavailable(
            "the account has more tokens than are looked through; remove some of them there",
        ))
    }
}

/// A member of an answer, the rest of which is wiped.
fn text_of(mut answer: Value, name: &str) -> Result<SecretString, Fault> {
    let found = answer.get_mut(name).map(Value::take);
    wipe(answer);
    match found {
        Some(Value::String(text)) if !text.is_empty() => Ok(SecretString::new(text)),
        other => {
            wipe(other.unwrap_or_default());
            Err(misspoken())
        }
    }
}

fn misspoken() -> Fault {
    Fault::unavailable("the service answers with something else; check its address")
}

fn late() -> Fault {
    Fault::unavailable("the service does not answer in time; try again later")
}
