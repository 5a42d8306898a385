//! Keys that never leave a hardware token, over PKCS#11 2.40 or newer.
//!
//! The vendor's module is loaded when a token is opened; nothing is linked. A key is found by its
//! label, which must be unique among the keys of its class. Keys that are made here are stored on
//! the token, sensitive and not extractable.
//!
//! Every call blocks, some for as long as a network takes: call them off the event loop.

use std::sync::{Mutex, PoisonError};

use cryptoki::error::{Error as Raw, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use keysherd_base::SecretString;

mod error;
mod keys;
mod module;
mod uri;

pub use error::TokenError;
pub use keys::SEALED_BYTES_MAX;
pub use uri::{TokenName, TokenUri, URI_BYTES_MAX};

#[cfg(test)]
mod tests;

/// Longest PIN in bytes; tokens take far less.
pub const PIN_BYTES_MAX: usize = 256;
/// Longest label of a key in bytes.
pub const LABEL_BYTES_MAX: usize = 128;

/// An open token with a logged-in session. A session that is lost (a cable, a network, another
/// part of the program that logged out) is opened again once for each call.
///
/// Logging in holds for the whole process: once a token is open, a second opening of it does not
/// check its PIN.
pub struct Token {
    module: cryptoki::context::Pkcs11,
    slot: Slot,
    name: String,
    pin: SecretString,
    session: Mutex<Connection>,
}

/// The session of a token.
enum Connection {
    Open(Session),
    /// Lost; opened at the next call.
    Lost,
    /// The PIN was refused. It is not tried again: tokens lock themselves after a few times.
    PinRefused,
}

impl Token {
    /// Opens the token that `uri` names and logs in with `pin`.
    ///
    /// # Errors
    /// [`TokenError`]: the module does not load, no token or several have the name, the PIN is
    /// refused.
    pub fn open(uri: &TokenUri, pin: SecretString) -> Result<Self, TokenError> {
        if pin.expose().len() > PIN_BYTES_MAX {
            return Err(TokenError::PinTooLong);
        }
        let module = module::load(&uri.module)?;
        let (slot, name) = module::find_token(&module, &uri.token)?;
        let session = log_in(&module, slot, &name, &pin)?;
        Ok(Self { module, slot, name, pin, session: Mutex::new(Connection::Open(session)) })
    }

    /// The token's label, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `call` in the session; once more in a new one when the session turns out to be lost.
    fn run<T>(
        &self,
        what: &'static str,
        call: impl Fn(&Session) -> Result<T, Failure>,
    ) -> Result<T, TokenError> {
        // A panic of another thread leaves a session that works or that is found to be lost.
        let mut connection = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Connection::Open(session) = &*connection {
            match call(session) {
                Err(failure) if is_lost(session, &failure) => *connection = Connection::Lost,
                other => return other.map_err(|failure| failure.named(what)),
            }
        }
        if matches!(*connection, Connection::PinRefused) {
            return Err(TokenError::PinRefused { token: self.name.clone(), locked: false });
        }
        match log_in(&self.module, self.slot, &self.name, &self.pin) {
            Ok(session) => {
                let outcome = call(&session).map_err(|failure| failure.named(what));
                *connection = Connection::Open(session);
                outcome
            }
            Err(error) => {
                if matches!(error, TokenError::PinRefused { .. }) {
                    *connection = Connection::PinRefused;
                }
                Err(error)
            }
        }
    }

    #[cfg(test)]
    fn lose_login(&self) {
        if let Connection::Open(session) = &*self.session.lock().unwrap() {
            session.logout().unwrap();
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

/// A failure inside [`Token::run`], before the operation's name is known.
enum Failure {
    Raw(Raw),
    Token(TokenError),
}

impl Failure {
    fn named(self, what: &'static str) -> TokenError {
        match self {
            Self::Raw(error) => TokenError::operation(what, &error),
            Self::Token(error) => error,
        }
    }
}

impl From<Raw> for Failure {
    fn from(error: Raw) -> Self {
        Self::Raw(error)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

/// Whether the failure comes of a session that is gone or not logged in any more. Without a login
/// a token shows no private objects, which looks like an absent key.
fn is_lost(session: &Session, failure: &Failure) -> bool {
    match failure {
        Failure::Raw(Raw::Pkcs11(code, _)) => matches!(
            code,
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
        ),
        Failure::Token(TokenError::NoKey { .. }) => !session.get_session_info().is_ok_and(|info| {
            matches!(info.session_state(), SessionState::RwUser | SessionState::RoUser)
        }),
        _ => false,
    }
}

fn log_in(
    module: &cryptoki::context::Pkcs11,
    slot: Slot,
    name: &str,
    pin: &SecretString,
) -> Result<Session, TokenError> {
    let open = |error: &Raw| TokenError::operation("opening a session", error);
    let session = module.open_rw_session(slot).map_err(|error| open(&error))?;
    let pin = AuthPin::new(pin.expose().as_str().into());
    match session.login(UserType::User, Some(&pin)) {
        Ok(()) | Err(Raw::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(Raw::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(TokenError::PinRefused { token: name.to_owned(), locked: false })
        }
        Err(Raw::Pkcs11(RvError::PinLocked, _)) => {
            Err(TokenError::PinRefused { token: name.to_owned(), locked: true })
        }
        Err(error) => Err(TokenError::operation("logging in", &error)),
    }
}

/// What a key is looked for as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyClass {
    Private,
    Public,
    Secret,
}

impl KeyClass {
    const fn object_class(self) -> ObjectClass {
        match self {
            Self::Private => ObjectClass::PRIVATE_KEY,
            Self::Public => ObjectClass::PUBLIC_KEY,
            Self::Secret => ObjectClass::SECRET_KEY,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Private => "private key",
            Self::Public => "public key",
            Self::Secret => "secret key",
        }
    }
}

/// The one key of this class and label.
fn find(session: &Session, class: KeyClass, label: &str) -> Result<ObjectHandle, Failure> {
    let template = [
        Attribute::Token(true),
        Attribute::Class(class.object_class()),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    match session.find_objects(&template)?.as_slice() {
        [key] => Ok(*key),
        [] => Err(TokenError::no_key(class.noun(), label).into()),
        _ => Err(TokenError::several_keys(class.noun(), label).into()),
    }
}

/// Refuses a label that is taken, or that cannot be one.
fn demand_free(session: &Session, classes: &[KeyClass], label: &str) -> Result<(), Failure> {
    if label.is_empty() || label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
        return Err(TokenError::BadLabel.into());
    }
    for class in classes {
        match find(session, *class, label) {
            Err(Failure::Token(TokenError::NoKey { .. })) => {}
            Ok(_) | Err(Failure::Token(TokenError::SeveralKeys { .. })) => {
                return Err(TokenError::key_exists(class.noun(), label).into());
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// The public key in the token's form.
fn ec_point(session: &Session, key: ObjectHandle) -> Result<Vec<u8>, Failure> {
    let found = session.get_attributes(key, &[AttributeType::EcPoint])?;
    match found.into_iter().next() {
        Some(Attribute::EcPoint(point)) => Ok(point),
        _ => Err(TokenError::NotEd25519.into()),
    }
}
