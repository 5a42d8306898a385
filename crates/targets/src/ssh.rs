//! Sessions with machines over SSH.
//!
//! Nobody's password or key is shown to a machine whose host key is not known: [`connect`] takes
//! the fingerprints that are, and [`host_key`] asks for the one that a machine shows, without
//! signing anybody in. What a command is told that is secret goes to its input, never into the
//! command, which everybody on the machine can read.

mod key;
mod sealed;
mod short;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keysherd_base::{Fault, FaultKind, SecretString};
use russh::client::AuthResult;
use russh::client::{Config, Handle, Handler, KeyboardInteractiveAuthResponse, connect_stream};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Disconnect, Error, MethodKind, MethodSet, Preferred, compression};
use tokio::time::timeout;

pub use self::key::{Key, KeyKind};
use self::key::{RsaSigner, Unsigned};
use crate::server::{Stream, WRONG_CREDENTIALS};
use crate::words::with_words;
use crate::{Server, Way};

/// Longest output of a command that is read, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Questions that a machine may ask before it lets somebody in.
const QUESTIONS_MAX: usize = 4;

/// What somebody signs in with.
pub enum Proof {
    /// A password.
    Password(SecretString),
    /// A private key.
    Key(Key),
}

/// Whoever looks at the host key.
struct Doorman {
    /// Fingerprints that are known.
    known: Vec<String>,
    /// The fingerprint that was shown.
    met: Met,
}

/// A fingerprint, once one was shown.
#[derive(Clone, Default)]
struct Met(Arc<Mutex<Option<String>>>);

impl Met {
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Doorman {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let is_known = self.known.contains(&fingerprint);
        *self.met.lock() = Some(fingerprint);
        Ok(is_known)
    }
}

/// The fingerprint of the host key that a machine shows, such as `SHA256:…`. Nobody signs in.
///
/// # Errors
/// A fault that says why there is none.
pub async fn host_key(server: &Server, way: &Way) -> Result<String, Fault> {
    let met = Met::default();
    let meeting = opened(server, &[], met.clone(), way);
    // No key is known, so it ends as soon as one was shown.
    let ended = timeout(way.timeout, meeting).await.map_err(|_| server.late())?;
    let shown = met.lock().take();
    shown.ok_or_else(|| ended.err().unwrap_or_else(|| unspoken(server)))
}

/// Signs somebody in at a machine that shows one of the `known` host keys.
///
/// # Errors
/// A fault that says where it stopped; of code [`WRONG_CREDENTIALS`] when the machine does not take
/// what was shown to it.
pub async fn connect(
    server: &Server,
    known: &[String],
    (user, proof): (&str, &Proof),
    way: &Way,
) -> Result<Session, Fault> {
    let connecting = async {
        let mut handle = opened(server, known, Met::default(), way).await?;
        signed_in(&mut handle, server, (user, proof)).await?;
        Ok(Session { handle, place: server.place().to_string() })
    };
    timeout(way.timeout, connecting).await.map_err(|_| server.late())?
}

async fn opened(
    server: &Server,
    known: &[String],
    met: Met,
    way: &Way,
) -> Result<Handle<Doorman>, Fault> {
    let tcp = server.tcp(way).await?;
    let stream: Stream = server.encrypt(tcp).await?;
    // What is said is bounded as it comes, so none of it may be more than it looks like.
    let preferred =
        Preferred { compression: Cow::Borrowed(&[compression::NONE]), ..Preferred::default() };
    let config = Config { inactivity_timeout: Some(way.timeout), preferred, ..Config::default() };
    let doorman = Doorman { known: known.to_vec(), met: met.clone() };
    let connected = connect_stream(Arc::new(config), stream, doorman).await;
    connected.map_err(|error| match (&error, met.lock().as_deref()) {
        (Error::UnknownKey, Some(shown)) => unknown(server, known, shown),
        _ => unspoken(server).with_private(format!("{error:?}")),
    })
}

fn unspoken(server: &Server) -> Fault {
    let place = server.place();
    Fault::unavailable(format!("{place} does not speak SSH with this gateway; check the port"))
}

fn unknown(server: &Server, known: &[String], shown: &str) -> Fault {
    let place = server.place();
    Fault::forbidden(match known {
        [] => format!(
            "{place} shows the host key {shown}, which nobody has confirmed, so nothing was sent; \
             compare it on the machine (ssh-keygen -l) and set host-key"
        ),
        _ => format!(
            "{place} shows the host key {shown}, which is not the one that is known, so nothing \
             was sent; if it was changed on purpose, set host-key"
        ),
    })
}

async fn signed_in(
    handle: &mut Handle<Doorman>,
    server: &Server,
    (user, proof): (&str, &Proof),
) -> Result<(), Fault> {
    let lost = |error: Error| unspoken(server).with_private(format!("{error:?}"));
    let answer = match proof {
        Proof::Password(password) => {
            let password = password.expose().as_str();
            let answer = handle.authenticate_password(user, password).await.map_err(lost)?;
            match &answer {
                AuthResult::Failure { remaining_methods, .. }
                    if !has(remaining_methods, MethodKind::Password)
                        && has(remaining_methods, MethodKind::KeyboardInteractive) =>
                {
                    asked(handle, user, password).await.map_err(lost)?
                }
                _ => answer,
            }
        }
        Proof::Key(key) => match key.signer() {
            Some((mut signer, public)) => {
                let hash = Some(RsaSigner::HASH);
                let asking = handle.authenticate_publickey_with(user, public, hash, &mut signer);
                asking.await.map_err(|unsigned| match unsigned {
                    Unsigned::Lost => unspoken(server),
                    Unsigned::Defect => Fault::internal("an RSA key does not sign"),
                })?
            }
            None => {
                let key = PrivateKeyWithHashAlg::new(key.plain(), None);
                handle.authenticate_publickey(user, key).await.map_err(lost)?
            }
        },
    };
    let place = server.place();
    let AuthResult::Failure { remaining_methods, partial_success } = answer else { return Ok(()) };
    if partial_success {
        let text =
            format!("{place} wants more than one proof of who signs in, which is not served");
        return Err(Fault::forbidden(text));
    }
    let takes = match proof {
        Proof::Password(_) => {
            has(&remaining_methods, MethodKind::Password)
                || has(&remaining_methods, MethodKind::KeyboardInteractive)
        }
        Proof::Key(_) => has(&remaining_methods, MethodKind::PublicKey),
    };
    if !takes {
        let what = if matches!(proof, Proof::Key(_)) { "keys" } else { "passwords" };
        return Err(Fault::forbidden(format!("{place} lets nobody in by {what}")));
    }
    let text = format!("signing in at {place} failed: the user, the password or the key is wrong");
    Err(Fault::forbidden(text).with_code(WRONG_CREDENTIALS))
}

fn has(methods: &MethodSet, wanted: MethodKind) -> bool {
    methods.contains(&wanted)
}

/// Signs in where the machine asks for a password in its own words.
async fn asked(
    handle: &mut Handle<Doorman>,
    user: &str,
    password: &str,
) -> Result<AuthResult, Error> {
    use KeyboardInteractiveAuthResponse as Answer;

    let mut answer = handle.authenticate_keyboard_interactive_start(user, None).await?;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match answer {
            Answer::Success => return Ok(AuthResult::Success),
            Answer::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            Answer::InfoRequest { prompts, .. } => prompts,
        };
        // What is shown while it is typed is no password.
        let said = prompts.iter().map(|prompt| if prompt.echo { "" } else { password });
        let said = said.take(1).chain(prompts.iter().skip(1).map(|_| "")).map(str::to_owned);
        answer = handle.authenticate_keyboard_interactive_respond(said.collect()).await?;
    }
    let remaining_methods = MethodSet::from([MethodKind::KeyboardInteractive].as_slice());
    Ok(AuthResult::Failure { remaining_methods, partial_success: false })
}

/// Somebody who has signed in. It ends with this value.
pub struct Session {
    handle: Handle<Doorman>,
    place: String,
}

/// How a command ended.
pub struct Ended {
    /// Its status; none: it was killed.
    pub status: Option<u32>,
    /// What it wrote, at most 64 KiB.
    pub output: String,
    complaint: String,
    place: String,
}

impl Session {
    /// Runs a command, which is no secret, and gives it this input. Callers bound its time.
    ///
    /// # Errors
    /// A fault when nobody knows how it ended.
    pub async fn run(&mut self, command: &str, input: &SecretString) -> Result<Ended, Fault> {
        let lost = |error: Error| {
            let text = format!("the connection to {} was lost", self.place);
            Fault::unavailable(text).with_private(format!("{error:?}"))
        };
        let mut channel = self.handle.channel_open_session().await.map_err(lost)?;
        channel.exec(true, command).await.map_err(lost)?;
        channel.data(input.expose().as_bytes()).await.map_err(lost)?;
        channel.eof().await.map_err(lost)?;
        let (mut output, mut complaint) = (Vec::new(), Vec::new());
        let (mut status, mut is_heard) = (None, false);
        while let Some(message) = channel.wait().await {
            let (place, data) = match message {
                ChannelMsg::Data { data } => (&mut output, data),
                ChannelMsg::ExtendedData { data, .. } => (&mut complaint, data),
                ChannelMsg::ExitStatus { exit_status } => {
                    (status, is_heard) = (Some(exit_status), true);
                    continue;
                }
                ChannelMsg::ExitSignal { .. } => {
                    is_heard = true;
                    continue;
                }
                ChannelMsg::Failure => {
                    let text = format!("{} does not let this user run commands", self.place);
                    return Err(Fault::forbidden(text));
                }
                _ => continue,
            };
            if place.len() + data.len() > OUTPUT_BYTES_MAX {
                return Err(Fault::unavailable(format!("{} says too much", self.place)));
            }
            place.extend_from_slice(&data);
        }
        if !is_heard {
            return Err(Fault::unavailable(format!("the connection to {} was lost", self.place)));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (output, complaint) = (text(&output), text(&complaint));
        Ok(Ended { status, output, complaint, place: self.place.clone() })
    }

    /// Says goodbye, so that the machine does not have to notice.
    pub async fn close(self) {
        let second = std::time::Duration::from_secs(1);
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(second, bye).await;
    }
}

impl Ended {
    /// That it ended well.
    ///
    /// # Errors
    /// A fault of `what` was being done, with the command's status. What it said is for the log,
    /// unless one of the `secrets` is in it.
    pub fn done(self, what: &str, secrets: &[&str]) -> Result<String, Fault> {
        let how = match self.status {
            Some(0) => return Ok(self.output),
            Some(status) => format!("the command ended with {status}"),
            None => "the command was killed".to_owned(),
        };
        let text = format!("{what} failed at {}: {how}; see the gateway's log", self.place);
        let fault = Fault::new(FaultKind::BadRequest, text);
        Err(with_words(fault, &self.complaint, secrets.iter().copied()))
    }
}
