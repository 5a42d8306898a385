//! The logins under way: bounded memory in which each secret counts once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use keysherd_authn::{Browser, Method};
use keysherd_base::{AccessId, Fault, FaultKind, RngHandle, Timestamp, Uid, client_network};
use keysherd_crypto::hash::sha256;
use keysherd_plane::Client;
use keysherd_plane::auth::LoginReply;
use tokio::sync::watch;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// How long a login may take, in seconds.
pub(super) const LIFE_SECONDS: i64 = 600;
/// Most logins under way.
const LOGINS_MAX: usize = 4_096;
/// Most of one client's network.
const LOGINS_PER_NETWORK_MAX: usize = 64;
/// Letters of the short code: no vowels, so that no words come about (RFC 8628 section 6.1).
const CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const CODE_LEN: usize = 8;
/// What provisional tokens begin with.
const TOKEN_PREFIX: &str = "l-";

type Hash = [u8; 32];

/// What does not change while a login is under way.
pub(crate) struct Login {
    pub(super) id: Uid,
    pub(super) member: &'static dyn Method,
    pub(super) access_id: AccessId,
    /// Who asked for the token: bounds and the record are about them.
    pub(super) client: Client,
    pub(super) code: String,
    pub(super) callback: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) state: String,
    pub(super) url: String,
    secret: Hash,
    begun: Timestamp,
    ended: watch::Sender<bool>,
}

/// What a login is made of.
pub(super) struct NewLogin {
    pub(super) member: &'static dyn Method,
    pub(super) access_id: AccessId,
    pub(super) client: Client,
    pub(super) secrets: Secrets,
    pub(super) callback: String,
    pub(super) url: String,
    pub(super) now: Timestamp,
}

/// The random parts of a login.
pub(super) struct Secrets {
    pub(super) id: Uid,
    /// The program's part.
    pub(super) secret: String,
    pub(super) code: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// What a program is told when a login begins.
pub(crate) struct Begun {
    /// The provisional token.
    pub(crate) token: String,
    /// The link for the browser.
    pub(crate) link: String,
    /// When the login has to be over.
    pub(crate) expires: Timestamp,
}

/// What waiting for a login came to.
pub(crate) enum Waited {
    /// The token, given out once.
    Done(LoginReply),
    /// The browser is not back yet.
    NotYet,
}

enum Stage {
    /// No browser has opened the link.
    Begun,
    /// A browser sees the question.
    Asked { cookie: Hash, form: Hash },
    /// It is at the provider.
    Away { cookie: Hash },
    /// What it brought is being checked.
    Back,
    /// It is over; `None` after the outcome was given out.
    Over(Result<LoginReply, Fault>),
}

struct Held {
    login: Arc<Login>,
    stage: Stage,
}

/// The logins under way at one gateway.
#[derive(Default)]
pub struct BrowserLogins {
    public_url: OnceLock<String>,
    held: Mutex<HashMap<Uid, Held>>,
}

/// Why a browser that came back is not let in.
pub(super) struct Turned {
    /// The login, when the state leads to one.
    pub(super) login: Option<Arc<Login>>,
    /// For the record.
    pub(super) why: &'static str,
}

impl Secrets {
    /// Fresh ones.
    ///
    /// # Errors
    /// When the random source fails.
    pub(super) fn draw(rng: &RngHandle) -> Result<Self, Fault> {
        let draw = || Ok::<_, Fault>(Uid::random(&**rng)?.to_string());
        let id = Uid::random(&**rng)?;
        let verifier: [u8; 32] = rng.array()?;
        Ok(Self {
            id,
            secret: draw()? + &draw()?,
            code: code(rng)?,
            state: format!("{id}.{}", draw()?),
            nonce: draw()?,
            verifier: super::trip::base64url(&verifier),
        })
    }
}

fn code(rng: &RngHandle) -> Result<String, Fault> {
    let mut code = String::with_capacity(CODE_LEN);
    while code.len() < CODE_LEN {
        let [byte] = rng.array()?;
        // Above the last whole multiple some letters would come more often.
        if byte < 240 {
            code.push(char::from(CODE_LETTERS[usize::from(byte % 20)]));
        }
    }
    Ok(code)
}

/// The code as people compare it.
pub(super) fn spelled(code: &str) -> String {
    let (left, right) = code.split_at(code.len() / 2);
    format!("{left}-{right}")
}

fn hash(secret: &str) -> Hash {
    sha256(&[secret.as_bytes()])
}

fn unknown() -> Fault {
    Fault::unauthorized("this login is not known or over; start it again in your program")
}

impl BrowserLogins {
    /// Tells where browsers find this gateway, without a slash at the end. Once; until then no
    /// login can begin.
    pub fn announce(&self, public_url: String) {
        // A second word would come from a second edge over the same services; the first stays.
        let _ = self.public_url.set(public_url);
    }

    /// The address of `path` for browsers.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the gateway is not serving yet.
    pub(super) fn url(&self, path: &str) -> Result<String, Fault> {
        let base = self.public_url.get();
        let base = base.ok_or_else(|| {
            Fault::unavailable("this gateway has no address for browsers yet; try again")
        })?;
        Ok(format!("{base}/{path}"))
    }

    /// Remembers a login.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`] when the client's network, or everybody, has too many under way.
    pub(super) fn begin(&self, new: NewLogin) -> Result<Begun, Fault> {
        let NewLogin { member, access_id, client, secrets, callback, url, now } = new;
        let Secrets { id, secret, code, state, nonce, verifier } = secrets;
        let begun = Begun {
            token: format!("{TOKEN_PREFIX}{code}{id}{secret}"),
            link: self.url(&format!("{}?login={id}", super::pages::START))?,
            expires: now.plus_seconds(LIFE_SECONDS),
        };
        let login = Arc::new(Login {
            id,
            member,
            access_id,
            client,
            code,
            callback,
            nonce,
            verifier,
            state,
            url,
            secret: hash(&secret),
            begun: now,
            ended: watch::Sender::new(false),
        });
        let mut held = self.lock();
        make_room(&mut held, login.client.address, now)?;
        held.insert(id, Held { login, stage: Stage::Begun });
        Ok(begun)
    }

    /// Demands room for one more login, before anybody works for it.
    ///
    /// # Errors
    /// As [`BrowserLogins::begin`].
    pub(super) fn check_room(&self, client: IpAddr, now: Timestamp) -> Result<(), Fault> {
        make_room(&mut self.lock(), client, now)
    }

    /// A browser opened the link: from now on only it goes on, and only with this form. Opening
    /// the link again, in whatever browser, starts over, unless a browser came back already.
    pub(super) fn ask(
        &self,
        id: &str,
        cookie: &str,
        form: &str,
        now: Timestamp,
    ) -> Result<Arc<Login>, Fault> {
        self.change(id, now, |held| match held.stage {
            Stage::Begun | Stage::Asked { .. } | Stage::Away { .. } => {
                held.stage = Stage::Asked { cookie: hash(cookie), form: hash(form) };
                Ok(held.login.clone())
            }
            Stage::Back | Stage::Over(_) => Err(unknown()),
        })
    }

    /// The person agreed, and the browser leaves.
    pub(super) fn leave(
        &self,
        id: &str,
        cookie: &str,
        form: &str,
        now: Timestamp,
    ) -> Result<Arc<Login>, Fault> {
        self.change(id, now, |held| match held.stage {
            Stage::Asked { cookie: own, form: shown }
                if own == hash(cookie) && shown == hash(form) =>
            {
                held.stage = Stage::Away { cookie: own };
                Ok(held.login.clone())
            }
            _ => Err(Fault::unauthorized(
                "this is not the browser, or not the page, that the login was opened in; open the \
                 link of your program again",
            )),
        })
    }

    /// The name of the login that a state belongs to: its first half.
    pub(super) fn named_by(state: &str) -> &str {
        state.split('.').next().unwrap_or_default()
    }

    /// A browser came back to the callback of `member`. Whoever is let in is let in once.
    pub(super) fn come_back(
        &self,
        member: &'static dyn Method,
        state: &str,
        cookie: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Login>, Turned> {
        let turned = |login: Option<&Arc<Login>>, why| Turned { login: login.cloned(), why };
        let mut held = self.lock();
        let held = Uid::parse(Self::named_by(state)).ok().and_then(|id| held.get_mut(&id));
        let held = held.filter(|held| !held.login.is_late(now));
        let Some(held) = held else { return Err(turned(None, "the login is not known or over")) };
        let login = Some(&held.login);
        let cookie = cookie.map(hash);
        if hash(state) != hash(&held.login.state) {
            return Err(turned(login, "the state is not the one the browser left with"));
        }
        if held.login.member.kind().name != member.kind().name {
            return Err(turned(login, "the browser came back to another kind's address"));
        }
        match held.stage {
            Stage::Away { cookie: own } if Some(own) == cookie => {
                held.stage = Stage::Back;
                Ok(held.login.clone())
            }
            Stage::Away { .. } => Err(turned(login, "it is not the browser that left")),
            Stage::Back | Stage::Over(_) => Err(turned(login, "a browser came back already")),
            Stage::Begun | Stage::Asked { .. } => Err(turned(login, "no browser has left")),
        }
    }

    /// Says how a login ended.
    pub(super) fn end(&self, login: &Login, outcome: Result<LoginReply, Fault>) {
        if let Some(held) = self.lock().get_mut(&login.id) {
            held.stage = Stage::Over(outcome);
        }
        login.ended.send_replace(true);
    }

    /// Waits for the end of the login that `token` stands for, at most for `wait`.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] for a token that is not known, was used, or whose login failed.
    pub(crate) async fn wait(
        &self,
        token: &str,
        wait: Duration,
        now: Timestamp,
    ) -> Result<Waited, Fault> {
        let (id, secret) = parse_token(token).ok_or_else(unknown)?;
        let mut ended = {
            let held = self.lock();
            let held = held.get(&id).filter(|held| !held.login.is_late(now));
            let held = held.filter(|held| held.login.secret == hash(secret));
            held.ok_or_else(unknown)?.login.ended.subscribe()
        };
        // An error means that the login was dropped, which the next lines find out.
        let _ = timeout(wait, ended.wait_for(|over| *over)).await;
        let mut logins = self.lock();
        match logins.get(&id).map(|held| &held.stage) {
            Some(Stage::Over(_)) => match logins.remove(&id).map(|held| held.stage) {
                Some(Stage::Over(outcome)) => outcome.map(Waited::Done),
                _ => Err(unknown()),
            },
            Some(_) => Ok(Waited::NotYet),
            None => Err(unknown()),
        }
    }

    fn change<T>(
        &self,
        id: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Held) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let id = Uid::parse(id).map_err(|_| unknown())?;
        let mut held = self.lock();
        let held = held.get_mut(&id).filter(|held| !held.login.is_late(now));
        change(held.ok_or_else(unknown)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uid, Held>> {
        // The data is consistent between any two statements, so a poisoned lock is usable.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    fn is_late(&self, now: Timestamp) -> bool {
        now >= self.begun.plus_seconds(LIFE_SECONDS)
    }

    /// The member's way through the browser.
    pub(super) fn browser(&self) -> Result<&'static dyn Browser, Fault> {
        self.member.browser().ok_or_else(|| Fault::internal("a login without its browser's way"))
    }
}

fn parse_token(token: &str) -> Option<(Uid, &str)> {
    let rest = token.strip_prefix(TOKEN_PREFIX)?;
    let (_, rest) = rest.split_at_checked(CODE_LEN)?;
    let (id, secret) = rest.split_at_checked(32)?;
    Some((Uid::parse(id).ok()?, secret))
}

/// Forgets what is over, and when all is full the oldest login that no browser ever opened: filling
/// the memory must take more than calling `auth`.
fn make_room(held: &mut HashMap<Uid, Held>, client: IpAddr, now: Timestamp) -> Result<(), Fault> {
    held.retain(|_, held| !held.login.is_late(now));
    let client = client_network(client);
    let same = |held: &&Held| client_network(held.login.client.address) == client;
    let own = held.values().filter(same).count();
    let full = |most: usize, whose: &str| {
        Fault::new(
            FaultKind::RateLimited,
            format!("{most} browser logins {whose} are under way, which is the most; try later"),
        )
    };
    if own >= LOGINS_PER_NETWORK_MAX {
        return Err(full(LOGINS_PER_NETWORK_MAX, "from this address"));
    }
    if held.len() >= LOGINS_MAX {
        let unopened = held.iter().filter(|(_, held)| matches!(held.stage, Stage::Begun));
        let oldest = unopened.min_by_key(|(_, held)| held.login.begun).map(|(id, _)| *id);
        held.remove(&oldest.ok_or_else(|| full(LOGINS_MAX, "at this gateway"))?);
    }
    Ok(())
}
