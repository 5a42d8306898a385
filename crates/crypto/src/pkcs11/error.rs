//! Why a token did not do what was asked.

use std::fmt;
use std::path::{Path, PathBuf};

use cryptoki::error::{Error as Raw, RvError};

/// A failure of a token, its module or its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// The address is not a PKCS#11 URI of this form; the text says what is wrong with it.
    Uri(String),
    /// The module cannot be loaded or started.
    Module {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        why: String,
    },
    /// No token has the name.
    NoToken {
        /// The name.
        wanted: String,
        /// The labels and serial numbers there are.
        present: Vec<String>,
    },
    /// Several tokens have the name.
    SeveralTokens {
        /// The name.
        wanted: String,
    },
    /// The PIN is longer than [`super::PIN_BYTES_MAX`].
    PinTooLong,
    /// The token refused the PIN.
    PinRefused {
        /// The token's label.
        token: String,
        /// Whether the token takes no PIN any more.
        locked: bool,
    },
    /// No key of the kind has the label.
    NoKey {
        /// What was looked for.
        kind: &'static str,
        /// The label.
        label: String,
    },
    /// Several keys of the kind have the label.
    SeveralKeys {
        /// What was looked for.
        kind: &'static str,
        /// The label.
        label: String,
    },
    /// A key of the kind has the label already.
    KeyExists {
        /// What was found.
        kind: &'static str,
        /// The label.
        label: String,
    },
    /// The label is empty, too long, or has control characters.
    BadLabel,
    /// The key with the label is not an Ed25519 key.
    NotEd25519,
    /// The sealed bytes do not open: wrong key, wrong context, or changed bytes.
    OpenFailed,
    /// The random source failed.
    Random,
    /// The token refused an operation.
    Operation {
        /// What was being done.
        what: &'static str,
        /// The token's code, by name.
        why: String,
        /// Whether the token does not know how to do it at all.
        unsupported: bool,
    },
}

impl TokenError {
    pub(super) fn module(path: &Path, error: &Raw) -> Self {
        let why = match error {
            Raw::LibraryLoading(error) => error.to_string(),
            other => code(other),
        };
        Self::Module { path: path.to_owned(), why }
    }

    pub(super) fn operation(what: &'static str, error: &Raw) -> Self {
        let unsupported = matches!(
            error,
            Raw::NotSupported
                | Raw::NullFunctionPointer
                | Raw::Pkcs11(
                    RvError::MechanismInvalid
                        | RvError::FunctionNotSupported
                        | RvError::CurveNotSupported,
                    _
                )
        );
        Self::Operation { what, why: code(error), unsupported }
    }

    pub(super) fn no_key(kind: &'static str, label: &str) -> Self {
        Self::NoKey { kind, label: label.to_owned() }
    }

    pub(super) fn several_keys(kind: &'static str, label: &str) -> Self {
        Self::SeveralKeys { kind, label: label.to_owned() }
    }

    pub(super) fn key_exists(kind: &'static str, label: &str) -> Self {
        Self::KeyExists { kind, label: label.to_owned() }
    }
}

/// The name of a token's code; the library's own texts are paragraphs of the standard.
fn code(error: &Raw) -> String {
    match error {
        Raw::Pkcs11(code, function) => format!("{function} returned {code:?}"),
        other => other.to_string(),
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(why) => write!(f, "this is no usable PKCS#11 URI: {why}"),
            Self::Module { path, why } => {
                write!(f, "the PKCS#11 module {} cannot be used: {why}", path.display())
            }
            Self::NoToken { wanted, present } if present.is_empty() => {
                write!(f, "there is no token with {wanted}; the module shows no token at all")
            }
            Self::NoToken { wanted, present } => {
                write!(f, "there is no token with {wanted}; there is {}", present.join(", "))
            }
            Self::SeveralTokens { wanted } => {
                write!(f, "several tokens have {wanted}; name one by serial=")
            }
            Self::PinTooLong => {
                write!(f, "the PIN is longer than {} bytes", super::PIN_BYTES_MAX)
            }
            Self::PinRefused { token, locked: false } => write!(
                f,
                "the token '{token}' refused the PIN; it is not tried again, because tokens lock \
                 themselves after a few wrong ones"
            ),
            Self::PinRefused { token, locked: true } => {
                write!(f, "the token '{token}' is locked; its security officer can unlock it")
            }
            Self::NoKey { kind, label } => {
                write!(f, "the token has no {kind} with the label '{label}'")
            }
            Self::SeveralKeys { kind, label } => {
                write!(f, "the token has several keys ({kind}) with the label '{label}'")
            }
            Self::KeyExists { kind, label } => write!(
                f,
                "the token has a {kind} with the label '{label}' already; choose another label"
            ),
            Self::BadLabel => write!(
                f,
                "a key's label has 1 to {} bytes and no control characters",
                super::LABEL_BYTES_MAX
            ),
            Self::NotEd25519 => f.write_str("the key with this label is not an Ed25519 key"),
            Self::OpenFailed => {
                f.write_str("what the token should open does not open with this key and context")
            }
            Self::Random => f.write_str("the random source failed"),
            Self::Operation { what, why, unsupported: true } => {
                write!(f, "the token cannot do this ({what}): {why}")
            }
            Self::Operation { what, why, unsupported: false } => {
                write!(f, "{what} failed on the token: {why}")
            }
        }
    }
}

impl std::error::Error for TokenError {}
