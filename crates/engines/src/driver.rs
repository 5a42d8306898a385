//! Credentials of services that are driven over HTTP. What the services differ in is a table of
//! each: how one signs in, the requests that make a credential, and how it ends.
//!
//! Credentials are found again by the name that they were given, so one that was made and not heard
//! of is removed like any other. Where a service knows no names, only whoever has a token can end
//! it: that one is sealed, and kept where the name would be (see [`sealed`]).

use keysherd_base::{Fault, SecretString, Timestamp};
use keysherd_targets::Lender;
use keysherd_targets::http::HttpServer;
use keysherd_wire::wipe;
use serde_json::{Map, Value};
use tokio::time::timeout;

use self::session::{Page, Session, late, misspoken};
use crate::member::{More, not_reached};
use crate::name::{need_handle, username};
use crate::password::Policy;
use crate::{BoxFuture, Created, Engine, Kind, Plan, Scene, Settings, TargetUse, Way, Wish};

mod sealed;
mod session;
#[cfg(test)]
mod tests;

/// Most pages of credentials that are looked at, and how many credentials a page has.
const PAGES_MAX: usize = 50;
const PAGE_ENTRIES: usize = 100;

/// Who signs in, and where.
pub(crate) struct Account {
    pub(crate) server: HttpServer,
    /// Empty: a token needs no name.
    pub(crate) user: String,
    pub(crate) secret: SecretString,
    /// Who lends a token for it.
    pub(crate) lender: Option<Box<dyn Lender>>,
    /// Who signs each request of it.
    pub(crate) signer: Option<Box<dyn Signer>>,
}

/// A request that is to be signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// As it is sent.
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

/// Who signs requests.
pub(crate) trait Signer: Send + Sync {
    /// The headers that say whose a request is.
    ///
    /// # Errors
    /// [`Fault::internal`] when the key does not sign.
    fn sign(&self, request: &Signed<'_>, now: Timestamp) -> Result<Vec<(String, String)>, Fault>;
}

/// How one signs in.
pub(crate) enum SignIn {
    /// The secret is a header of this name.
    Header(&'static str),
    /// Name and password (RFC 7617).
    Basic,
    /// The same, with a header that says that no browser was made to ask.
    BasicWith(&'static str, &'static str),
    /// The secret is a token (RFC 6750).
    Bearer,
    /// A request with both gives a token (RFC 6750), which is this member of its answer.
    Login { path: &'static [&'static str], token: &'static str },
    /// The account's lender gives a token (RFC 6750).
    Lent,
    /// The account's signer signs each request.
    Signed,
}

/// What requests are made of.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) account: &'a Account,
    /// The name of the credential.
    pub(crate) name: &'a str,
    /// The password that was drawn for it, where there is one.
    pub(crate) password: &'a str,
    /// What was found first (see [`Find`]).
    pub(crate) place: &'a str,
    /// What the service knows the credential by; empty until it was made or looked for.
    pub(crate) id: &'a str,
    /// How long it lives, in seconds.
    pub(crate) seconds: i64,
    pub(crate) now: Timestamp,
}

/// A request.
pub(crate) struct Step {
    method: &'static str,
    path: fn(&Facts<'_>) -> Result<Vec<String>, Fault>,
    pages: Pages,
    body: fn(&Facts<'_>) -> Result<Value, Fault>,
    is_form: bool,
}

impl Step {
    /// About what is at a path.
    pub(crate) const fn new(
        method: &'static str,
        path: fn(&Facts<'_>) -> Result<Vec<String>, Fault>,
    ) -> Self {
        let body = |_: &Facts<'_>| Ok(Value::Null);
        Self { method, path, pages: Pages::None, body, is_form: false }
    }

    /// With JSON.
    pub(crate) const fn json(self, body: fn(&Facts<'_>) -> Result<Value, Fault>) -> Self {
        Self { body, ..self }
    }

    /// With a form of an object's members.
    pub(crate) const fn form(self, body: fn(&Facts<'_>) -> Result<Value, Fault>) -> Self {
        Self { body, is_form: true, ..self }
    }

    /// Whether there is anything to do.
    fn applies(&self, facts: &Facts<'_>) -> bool {
        !(self.path)(facts).is_ok_and(|path| path.is_empty())
    }

    /// In pages: the names of the query's members that say how many entries a page has, and which
    /// page.
    pub(crate) const fn pages(self, size: &'static str, number: &'static str) -> Self {
        Self { pages: Pages::Numbered(size, number), ..self }
    }

    /// In pages that begin after an entry: the names of the query's members that say how many
    /// entries a page has and after which it begins, and where in an answer its last entry is named
    /// (a pointer of RFC 6901).
    pub(crate) const fn after(
        self,
        size: &'static str,
        after: &'static str,
        last: &'static str,
    ) -> Self {
        Self { pages: Pages::After(size, after, last), ..self }
    }
}

/// How a list is given in parts, by members of the query.
#[derive(Clone, Copy)]
enum Pages {
    /// All of it at once.
    None,
    /// How many entries a page has, and which page.
    Numbered(&'static str, &'static str),
    /// How many entries a page has, and the last one of the page before, which that page names
    /// here in its answer (a pointer of RFC 6901).
    After(&'static str, &'static str, &'static str),
}

/// What has to be known of the service before anything is made.
pub(crate) struct Find {
    /// What the settings say themselves; then nobody is asked.
    pub(crate) given: fn(&Settings) -> Result<Option<String>, Fault>,
    pub(crate) step: Step,
    /// Where it is in the answer (a pointer of RFC 6901).
    pub(crate) pointer: &'static str,
}

/// How a credential ends.
pub(crate) enum Ending {
    /// It is looked for by its name, and removed by what the service knows it by.
    Listed {
        list: Step,
        /// Where in the answer the list is (a pointer of RFC 6901).
        entries: &'static str,
        /// What an entry's credential is known by, if it has this name.
        known_by: fn(&Value, &str) -> Option<String>,
        remove: Step,
    },
    /// It is removed by its name.
    Named(Step),
    /// Whoever has it can end it, and nobody else: a request that it signs in to.
    Itself(Step),
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
    pub(crate) find: Option<Find>,
    pub(crate) make: Step,
    /// Whether a refusal with this status and answer says that the very thing is there already: it
    /// is somebody else's then, and stays.
    pub(crate) exists: fn(u16, &Value) -> bool,
    /// What is done with what was made, by what the service knows it by; an empty path: nothing.
    pub(crate) then: &'static [Step],
    /// What callers get of the answer; none: it is no answer of this service.
    pub(crate) gives: fn(&Facts<'_>, &Value) -> Option<Map<String, Value>>,
    pub(crate) ending: Ending,
}

/// What most services say of what is there already (RFC 9110 section 15.5.10).
pub(crate) fn conflict(status: u16, _: &Value) -> bool {
    status == 409
}

/// Owned segments of a path.
pub(crate) fn segments(path: &[&str]) -> Result<Vec<String>, Fault> {
    Ok(path.iter().map(|segment| (*segment).to_owned()).collect())
}

/// A text of an answer that is not empty.
pub(crate) fn text<'a>(answer: &'a Value, pointer: &str) -> Option<&'a str> {
    answer.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// What callers get where it is a token and the name that it was given.
pub(crate) fn token(
    facts: &Facts<'_>,
    answer: &Value,
    pointer: &str,
) -> Option<Map<String, Value>> {
    let token = text(answer, pointer)?;
    Some(Map::from_iter([
        ("token".to_owned(), token.into()),
        ("user".to_owned(), facts.name.into()),
    ]))
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
            password: Policy::of(scene.settings)?.draw(scene.way.rng.as_ref())?,
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
            removed.unwrap_or_else(|_| Err(late()))
        })
    }
}

impl Service {
    async fn created(&self, scene: &Scene<'_>, plan: &Plan) -> Result<Created, Fault> {
        need_handle(&plan.handle)?;
        let session = Session::open(self, scene).await.map_err(not_reached)?;
        let place = session.place(scene, &plan.handle).await.map_err(not_reached)?;
        let seconds = plan.more.0.get("seconds").and_then(Value::as_i64).unwrap_or_default();
        let password = plan.password.expose();
        let facts = Facts { seconds, password, ..session.facts(scene, &plan.handle, &place) };
        let reply = session.call(&self.make, &facts, Page::ONLY)?.send().await?;
        let secrets = [session.secrets().as_slice(), &[password.as_str()]].concat();
        if reply.status() >= 400 && (self.exists)(reply.status(), &reply.json().unwrap_or_default())
        {
            let fault =
                reply.heard(Fault::conflict("what is to be made is there already"), &secrets);
            return Err(not_reached(fault));
        }
        let answer = reply.done("making the credential", &secrets)?.body_json()?;
        let (value, id) = ((self.gives)(&facts, &answer), text(&answer, "/id").map(str::to_owned));
        wipe(answer);
        let facts = Facts { id: id.as_deref().unwrap_or_default(), ..facts };
        for step in self.then.iter().filter(|step| step.applies(&facts)) {
            let reply = session.call(step, &facts, Page::ONLY)?.send().await?;
            reply.done("giving it its rights", &secrets)?;
        }
        let mut created = Created {
            value: value.ok_or_else(misspoken)?,
            handle: None,
            ends: None,
            warnings: Vec::new(),
        };
        if let Ending::Itself(_) = self.ending {
            created.handle = sealed::handle(&session, scene, &plan.handle, &created.value)?;
        }
        Ok(created)
    }

    async fn removed(&self, scene: &Scene<'_>, handle: &str) -> Result<Vec<String>, Fault> {
        need_handle(handle)?;
        match &self.ending {
            Ending::Listed { list, entries, known_by, remove } => {
                let session = Session::open(self, scene).await?;
                session.remove_listed(scene, handle, (list, entries, *known_by, remove)).await?;
                Ok(Vec::new())
            }
            Ending::Named(step) => {
                let session = Session::open(self, scene).await?;
                session.remove_named(scene, handle, step).await?;
                Ok(Vec::new())
            }
            Ending::Itself(step) => sealed::end(self, scene, handle, step).await,
        }
    }
}
