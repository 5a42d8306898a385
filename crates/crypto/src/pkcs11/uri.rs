//! The address of a token as a PKCS#11 URI (RFC 7512), as far as it is needed:
//! `pkcs11:token=LABEL;object=KEY?module-path=FILE`, with `serial=` instead of `token=` where
//! labels are not unique.
//!
//! A PIN never stands in it (`pin-value` is refused), because addresses are shown and logged.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{LABEL_BYTES_MAX, TokenError};

/// Longest URI in bytes.
pub const URI_BYTES_MAX: usize = 2_048;

/// A token and, where one is meant, a key on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUri {
    /// The vendor's module.
    pub module: PathBuf,
    /// Which token.
    pub token: TokenName,
    /// The label of a key on it.
    pub object: Option<String>,
}

/// What a token is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenName {
    /// Its label.
    Label(String),
    /// Its serial number.
    Serial(String),
}

impl TokenUri {
    /// The label of the key.
    ///
    /// # Errors
    /// [`TokenError::Uri`] when the URI names none.
    pub fn key_label(&self) -> Result<&str, TokenError> {
        self.object.as_deref().ok_or_else(|| {
            TokenError::Uri("it names no key; add object= and the key's label".to_owned())
        })
    }
}

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let wrong = |why: String| TokenError::Uri(why);
        if text.len() > URI_BYTES_MAX {
            return Err(wrong(format!("it is longer than {URI_BYTES_MAX} bytes")));
        }
        let rest = text
            .strip_prefix("pkcs11:")
            .ok_or_else(|| wrong("it does not begin with pkcs11:".to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut label, mut serial, mut object, mut module) = (None, None, None, None);
        let path_fields = path.split(';').filter(|field| !field.is_empty());
        let query_fields = query.split('&').filter(|field| !field.is_empty());
        for (field, in_query) in
            path_fields.map(|field| (field, false)).chain(query_fields.map(|field| (field, true)))
        {
            let (name, value) = field
                .split_once('=')
                .ok_or_else(|| wrong(format!("'{field}' is not name=value")))?;
            let slot = match (name, in_query) {
                ("token", false) => &mut label,
                ("serial", false) => &mut serial,
                ("object", false) => &mut object,
                ("module-path", true) => &mut module,
                ("pin-value", _) => {
                    return Err(wrong("a PIN does not belong into it; use a PIN file".to_owned()));
                }
                _ => return Err(wrong(format!("'{name}' is not known here"))),
            };
            let value = decode(value).ok_or_else(|| wrong(format!("the value of {name}")))?;
            if slot.replace(value).is_some() {
                return Err(wrong(format!("'{name}' occurs twice")));
            }
        }
        let token = match (label, serial) {
            (Some(label), None) => TokenName::Label(label),
            (None, Some(serial)) => TokenName::Serial(serial),
            _ => return Err(wrong("it must have one of token= and serial=".to_owned())),
        };
        let module =
            module.ok_or_else(|| wrong("it has no ?module-path= and the module".to_owned()))?;
        if object.as_ref().is_some_and(|label| label.len() > LABEL_BYTES_MAX) {
            return Err(TokenError::BadLabel);
        }
        Ok(Self { module: PathBuf::from(module), token, object })
    }
}

/// Percent-decoded text that is not empty and has no control characters.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// The text with everything escaped that could mean something in a URI.
fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@+".contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match &self.token {
            TokenName::Label(label) => ("token", label),
            TokenName::Serial(serial) => ("serial", serial),
        };
        write!(f, "pkcs11:{name}=")?;
        encode(value, f)?;
        if let Some(object) = &self.object {
            f.write_str(";object=")?;
            encode(object, f)?;
        }
        f.write_str("?module-path=")?;
        encode(&self.module.to_string_lossy(), f)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "the label '{label}'"),
            Self::Serial(serial) => write!(f, "the serial number '{serial}'"),
        }
    }
}
