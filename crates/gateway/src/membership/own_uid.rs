//! A gateway's own universal identity: a token that lives by being rotated, kept in one file.
//!
//! Each gateway has a token of its own, a child of the one that operators hand out, so gateways of
//! a cluster never rotate under each other's feet. A kill or a power failure may come at any
//! moment; what is in the file is enough to go on:
//!
//! 1. The value in force is exchanged for a new one. Should the answer be lost, it rotates again.
//! 2. The new value is written beside the old one.
//! 3. The new value is used to sign in, which ends the old one.
//! 4. The old one is taken out of the file.
//!
//! A gateway that finds two values begins at step 3. Should the new one be refused there, it may
//! have been used and rotated without anything that could be kept, so it is rotated again. The old
//! one is not presented any more: had the new one been used, that would look like theft; had it
//! not, it would be good for longer than the old one. One whose token is not good any more, because
//! it was away for too long or a copy of its disk was used, makes another child.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keysherd_api::Ctx;
use keysherd_base::{Fault, FaultKind, SecretString, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_plane::auth::LoginReply;
use keysherd_plane::uid::{UidChild, UidLogin, UidRotate};

use self::file::{Kept, TokenFile};

mod file;

/// A value is not rotated again sooner: requests with the one before may be on their way.
const REST: Duration = Duration::from_secs(60);
/// No further child is made sooner, in milliseconds: ten minutes.
const AGAIN_MILLIS: i64 = 600_000;
/// The longest time between two rotations, unless told otherwise.
pub const ROTATE_EVERY: Duration = Duration::from_secs(600);

/// What a gateway signs in with whose identity is a universal one.
pub struct OwnUidSettings {
    /// Reads the token that operators handed out; asked again when another one is needed.
    pub initial: Box<dyn Fn() -> Result<SecretString, Fault> + Send + Sync>,
    /// Whether this gateway makes a child of that token for itself. If not, it rotates that very
    /// token, which no other gateway and no other program may do then.
    pub own_child: bool,
    /// The longest time between two rotations.
    pub rotate_every: Duration,
    /// The directory of the file.
    pub home: PathBuf,
    /// What the child is called in listings.
    pub comment: String,
}

/// Makes the context of a request under a token, given the name of its command.
pub type RequestsUnder<'a> = &'a (dyn Fn(&SecretString, &str) -> Result<Ctx, Fault> + Sync);

/// A gateway's own token, and its file.
pub struct OwnUid {
    settings: OwnUidSettings,
    file: TokenFile,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// When it was rotated last, as far as this process knows.
    rotated: Option<Timestamp>,
    /// A child that was made and is not in the file yet, as nothing could be written: the next
    /// attempt takes it instead of making another one.
    made: Option<Arc<SecretString>>,
    /// When the last child was made.
    begun: Option<Timestamp>,
}

impl OwnUid {
    /// What `settings` say; nothing is read or asked yet.
    pub fn new(settings: OwnUidSettings) -> Self {
        let file = TokenFile::new(settings.home.clone());
        Self { settings, file, state: tokio::sync::Mutex::default() }
    }

    /// Whether there is a token of its own already.
    pub fn is_kept(&self) -> bool {
        self.file.exists()
    }

    /// The longest time between two rotations.
    pub(super) fn rotate_every(&self) -> Duration {
        self.settings.rotate_every
    }

    /// Signs in, and rotates the token when it is time.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when neither the kept token nor a new one is good, others when
    /// control does not answer or the file cannot be read.
    pub async fn sign_in(
        &self,
        requests: RequestsUnder<'_>,
        now: Timestamp,
    ) -> Result<LoginReply, Fault> {
        let mut state = self.state.lock().await;
        if state.kept.is_none() {
            state.kept = self.file.read()?;
        }
        if state.kept.is_none() {
            return self.begin(&mut state, requests, now).await;
        }
        match self.go_on(&mut state, requests, now).await {
            Err(fault) if fault.kind() == FaultKind::Unauthorized => {
                self.begin_anew(&mut state, requests, now, fault).await
            }
            done => done,
        }
    }

    /// Signs in with what is kept.
    async fn go_on(
        &self,
        state: &mut State,
        requests: RequestsUnder<'_>,
        now: Timestamp,
    ) -> Result<LoginReply, Fault> {
        let Some(mut kept) = state.kept.clone() else {
            return Err(Fault::unauthorized("there is no universal-identity token"));
        };
        let mut is_refused = false;
        if let Some(next) = kept.next.take() {
            match log_in(requests, &next).await {
                Err(fault) if fault.kind() == FaultKind::Unauthorized => {
                    (kept.value, is_refused) = (next, true);
                }
                Ok(reply) => {
                    self.settle(state, Kept { value: next, ..kept });
                    return Ok(reply);
                }
                failed => return failed,
            }
        }
        let rests = state.rotated.is_some_and(|at| {
            let since = now.millis_since(at);
            (0..i64::try_from(REST.as_millis()).unwrap_or(i64::MAX)).contains(&since)
        });
        if rests && !is_refused {
            return log_in(requests, &kept.value).await;
        }
        let next = match rotate(requests, &kept.value).await {
            Ok(next) => next,
            // A token that cannot be rotated is good until its end.
            Err(fault) if fault.kind() == FaultKind::Forbidden => {
                return log_in(requests, &kept.value).await;
            }
            Err(fault) => return Err(fault),
        };
        state.rotated = Some(now);
        let both = Kept { next: Some(next.clone()), ..kept.clone() };
        if let Err(fault) = self.write(state, both) {
            // What is not safely kept is not used: using it would end what is kept.
            tracing::error!(?fault, "this gateway's rotated token cannot be kept; trying later");
            state.kept = Some(kept.clone());
            return log_in(requests, &kept.value).await;
        }
        let reply = log_in(requests, &next).await?;
        self.settle(state, Kept { value: next, ..kept });
        Ok(reply)
    }

    /// Makes the first token of this gateway, and signs in with it.
    async fn begin(
        &self,
        state: &mut State,
        requests: RequestsUnder<'_>,
        now: Timestamp,
    ) -> Result<LoginReply, Fault> {
        let initial = (self.settings.initial)()?;
        let from = fingerprint(&initial);
        let value = match (self.settings.own_child, state.made.clone()) {
            (false, _) => Arc::new(initial),
            (true, Some(made)) => made,
            (true, None) => {
                let made = child(requests, &initial, &self.settings.comment).await?;
                (state.made, state.begun) = (Some(made.clone()), Some(now));
                made
            }
        };
        self.write(state, Kept { from, value: value.clone(), next: None })?;
        state.made = None;
        state.rotated = Some(now);
        log_in(requests, &value).await
    }

    /// The kept token was refused: another one, unless that would give away the tree. The token
    /// that a gateway rotated itself was rotated out long ago, and using it looks like theft.
    async fn begin_anew(
        &self,
        state: &mut State,
        requests: RequestsUnder<'_>,
        now: Timestamp,
        refused: Fault,
    ) -> Result<LoginReply, Fault> {
        let known = state.kept.as_ref().map(|kept| kept.from.clone());
        let initial = (self.settings.initial)()?;
        if !self.settings.own_child && known.as_deref() == Some(&*fingerprint(&initial)) {
            return Err(refused);
        }
        // One that is refused each time must not fill its method's tree.
        if state.begun.is_some_and(|at| (0..AGAIN_MILLIS).contains(&now.millis_since(at))) {
            return Err(refused);
        }
        tracing::warn!(
            reason = refused.public(),
            "this gateway's own universal-identity token is refused; making another one"
        );
        self.begin(state, requests, now).await
    }

    fn write(&self, state: &mut State, kept: Kept) -> Result<(), Fault> {
        self.file.write(&kept)?;
        state.kept = Some(kept);
        Ok(())
    }

    /// Takes the value that was replaced out of the file. Should that fail, the file still has what
    /// is needed, and the next rotation writes it anew.
    fn settle(&self, state: &mut State, kept: Kept) {
        if let Err(fault) = self.file.write(&kept) {
            tracing::warn!(?fault, "the file with this gateway's own token cannot be written");
        }
        state.kept = Some(kept);
    }
}

/// What tells a token from others without telling it.
fn fingerprint(token: &SecretString) -> String {
    hex::encode(sha256(&[b"keysherd own uid v1\0", token.expose().as_bytes()]))
}

async fn log_in(requests: RequestsUnder<'_>, token: &SecretString) -> Result<LoginReply, Fault> {
    requests(token, "auth")?.ask(UidLogin).await
}

async fn rotate(
    requests: RequestsUnder<'_>,
    token: &SecretString,
) -> Result<Arc<SecretString>, Fault> {
    let reply = requests(token, "uid-rotate-token")?.ask(UidRotate { manual: false }).await?;
    Ok(Arc::new(SecretString::new(reply.token)))
}

/// A child that can be rotated and has no children.
async fn child(
    requests: RequestsUnder<'_>,
    token: &SecretString,
    comment: &str,
) -> Result<Arc<SecretString>, Fault> {
    let wish = UidChild {
        parent: None,
        ttl_minutes: None,
        deny_rotate: false,
        deny_inheritance: true,
        comment: comment.to_owned(),
    };
    let reply = requests(token, "uid-create-child-token")?.ask(wish).await?;
    Ok(Arc::new(SecretString::new(reply.token)))
}
