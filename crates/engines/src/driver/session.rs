//! Somebody who signed in to a service.

use keysherd_base::{Fault, SecretBuffer, SecretString};
use keysherd_targets::http::{Call, Http};
use keysherd_wire::wipe;
use serde_json::{Value, json};

use super::{
    Account, Facts, Find, PAGE_ENTRIES, PAGES_MAX, Pages, Service, SignIn, Signed, Signer, Step,
};
use crate::Scene;

/// How a list is looked through: the request, where its entries are, what an entry is known by if
/// it has a name, and the request that removes it.
pub(super) type Listing<'a> = (&'a Step, &'a str, fn(&Value, &str) -> Option<String>, &'a Step);

/// Which part of a list.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    number: usize,
    /// The last entry of the page before; empty: there was none.
    after: &'a str,
}

impl Page<'_> {
    /// Of what has one part.
    pub(super) const ONLY: Page<'static> = Page { number: 1, after: "" };
}

/// Somebody who signed in.
pub(super) struct Session<'a> {
    service: &'a Service,
    pub(super) http: Http,
    pub(super) account: Account,
    /// What was lent for the password.
    token: Option<SecretString>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(service: &'a Service, scene: &Scene<'_>) -> Result<Self, Fault> {
        let account = (service.account)(scene.settings, scene.target.as_ref(), Some(scene.way))?;
        let http = account.server.open(scene.way)?;
        let mut session = Session { service, http, account, token: None };
        session.token = match (&service.sign_in, &session.account.lender) {
            (SignIn::Login { path, token }, _) => {
                let (user, secret) = (&session.account.user, session.account.secret.expose());
                let call = session.http.call("POST", path)?;
                let reply = call.json(json!({"username": user, "password": secret})).send().await?;
                let answer = reply.done("signing in", &[secret])?.json()?;
                Some(text_of(answer, token)?)
            }
            (SignIn::Lent, Some(lender)) => Some(lender.lend(scene.way).await?.token),
            _ => None,
        };
        Ok(session)
    }

    /// A request, signed in.
    pub(super) fn call(
        &self,
        step: &Step,
        facts: &Facts<'_>,
        page: Page<'_>,
    ) -> Result<Call<'_>, Fault> {
        if let Some(signer) = &self.account.signer {
            return self.signed(signer.as_ref(), step, facts);
        }
        let call = written(&self.http, step, facts, page)?;
        Ok(match (&self.service.sign_in, &self.token) {
            (_, Some(token)) => call.bearer(token),
            (SignIn::Bearer, None) => call.bearer(&self.account.secret),
            (SignIn::BasicWith(name, value), None) => {
                call.basic(&self.account.user, &self.account.secret).header(name, value)
            }
            (SignIn::Header(name), None) => call.header(name, self.account.secret.expose()),
            _ => call.basic(&self.account.user, &self.account.secret),
        })
    }

    /// A request that is signed as it is.
    fn signed(
        &self,
        signer: &dyn Signer,
        step: &Step,
        facts: &Facts<'_>,
    ) -> Result<Call<'_>, Fault> {
        let path = (step.path)(facts)?;
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let body = (step.body)(facts)?;
        let mut bytes = SecretBuffer::with_capacity(512);
        if !body.is_null() {
            // Writing into memory does not fail, and a value's keys are texts.
            let _ = serde_json::to_writer(&mut bytes, &body);
        }
        wipe(body);
        let (bytes, url) = (bytes.finish(), self.http.url_of(&path)?);
        let request = Signed { method: step.method, path: url.path(), body: bytes.expose() };
        let headers = signer.sign(&request, facts.now)?;
        let mut call = self.http.call(step.method, &path)?;
        for (name, value) in &headers {
            call = call.header(name, value);
        }
        let is_empty = bytes.expose().is_empty();
        Ok(if is_empty { call } else { call.body("application/json", bytes) })
    }

    /// What is kept out of the log.
    pub(super) fn secrets(&self) -> [&str; 2] {
        let lent = self.token.as_ref().map_or("", |token| token.expose());
        [self.account.secret.expose(), lent]
    }

    /// What is known of a credential by its name.
    pub(super) fn facts<'f>(
        &'f self,
        scene: &'f Scene<'_>,
        name: &'f str,
        place: &'f str,
    ) -> Facts<'f> {
        facts(&self.account, scene, name, place)
    }

    /// What has to be known before anything is made.
    pub(super) async fn place(&self, scene: &Scene<'_>, name: &str) -> Result<String, Fault> {
        let gone = || Fault::bad_request("the service does not know what the settings name");
        self.place_left(scene, name).await?.ok_or_else(gone)
    }

    /// The same; `None`: it is not there.
    async fn place_left(&self, scene: &Scene<'_>, name: &str) -> Result<Option<String>, Fault> {
        let Some(Find { given, step, pointer }) = &self.service.find else {
            return Ok(Some(String::new()));
        };
        if let Some(place) = given(scene.settings)? {
            return Ok(Some(place));
        }
        let reply = self.call(step, &self.facts(scene, name, ""), Page::ONLY)?.send().await?;
        if reply.status() == 404 {
            return Ok(None);
        }
        let answer = reply.done("looking for it", &self.secrets())?.json()?;
        let found = match answer.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => number.as_i64().map(|number| number.to_string()),
            _ => None,
        };
        found.map(Some).ok_or_else(misspoken)
    }

    /// Removes what has this name.
    pub(super) async fn remove_named(
        &self,
        scene: &Scene<'_>,
        name: &str,
        step: &Step,
    ) -> Result<(), Fault> {
        let Some(place) = self.place_left(scene, name).await? else { return Ok(()) };
        let reply = self.call(step, &self.facts(scene, name, &place), Page::ONLY)?.send().await?;
        if reply.status() != 404 {
            reply.done("removing the credential", &self.secrets())?;
        }
        Ok(())
    }

    /// Removes what a list has under this name.
    pub(super) async fn remove_listed(
        &self,
        scene: &Scene<'_>,
        name: &str,
        (list, entries, known_by, remove): Listing<'_>,
    ) -> Result<(), Fault> {
        let place = self.place(scene, name).await?;
        let facts = self.facts(scene, name, &place);
        let mut after = String::new();
        for number in 1..=PAGES_MAX {
            let page = Page { number, after: &after };
            let reply = self.call(list, &facts, page)?.send().await?;
            let answer = reply.done("looking for the credential", &self.secrets())?.json()?;
            let found = answer.pointer(entries).and_then(Value::as_array);
            let found = found.ok_or_else(misspoken)?;
            let ids: Vec<_> = found.iter().filter_map(|entry| known_by(entry, name)).collect();
            for id in &ids {
                let facts = Facts { id, ..facts };
                let reply = self.call(remove, &facts, Page::ONLY)?.send().await?;
                if reply.status() != 404 {
                    reply.done("removing the credential", &self.secrets())?;
                }
            }
            let more = found.len() >= PAGE_ENTRIES && !matches!(list.pages, Pages::None);
            // Names are of one lease, which makes one credential.
            if !ids.is_empty() || !more {
                return Ok(());
            }
            if let Pages::After(_, _, last) = list.pages {
                let last = answer.pointer(last).and_then(Value::as_str);
                last.ok_or_else(misspoken)?.clone_into(&mut after);
            }
        }
        Err(Fault::unavailable(
            "the account has more credentials than are looked through; remove some of them there",
        ))
    }
}

/// What is known of a credential by its name.
pub(super) fn facts<'f>(
    account: &'f Account,
    scene: &'f Scene<'_>,
    name: &'f str,
    place: &'f str,
) -> Facts<'f> {
    let (settings, now) = (scene.settings, scene.way.clock.now());
    Facts { settings, account, name, password: "", place, id: "", seconds: 0, now }
}

/// A request that nobody signed yet.
pub(super) fn written<'h>(
    http: &'h Http,
    step: &Step,
    facts: &Facts<'_>,
    page: Page<'_>,
) -> Result<Call<'h>, Fault> {
    let path = (step.path)(facts)?;
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let (size, number) = (PAGE_ENTRIES.to_string(), page.number.to_string());
    let query = match step.pages {
        Pages::None => Vec::new(),
        Pages::Numbered(of, which) => vec![(of, size.as_str()), (which, number.as_str())],
        Pages::After(of, _, _) if page.after.is_empty() => vec![(of, size.as_str())],
        Pages::After(of, after, _) => vec![(of, size.as_str()), (after, page.after)],
    };
    let call = http.ask(step.method, &path, &query)?;
    Ok(match (step.body)(facts)? {
        Value::Object(body) if step.is_form => call.form(body),
        Value::Null => call,
        body => call.json(body),
    })
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

pub(super) fn misspoken() -> Fault {
    Fault::unavailable("the service answers with something else; check its address")
}

pub(super) fn late() -> Fault {
    Fault::unavailable("the service does not answer in time; try again later")
}
