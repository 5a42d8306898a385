//! Credentials that are rotated: what is stored of them, and what people read.

use keysherd_base::{Fault, SecretBuffer, SecretBytes, SecretString};
use keysherd_wire::wipe;
use serde_json::{Map, Value};

/// Credentials, as V2 shows them under `value`. Wiped when dropped; never printed.
pub struct Credential(Map<String, Value>);

const USERNAME: &str = "username";
const PASSWORD: &str = "password";

impl Credential {
    /// A user and a password.
    pub fn of_user(username: &str, password: &SecretString) -> Self {
        let mut members = Map::new();
        members.insert(USERNAME.to_owned(), username.into());
        members.insert(PASSWORD.to_owned(), password.expose().as_str().into());
        Self(members)
    }

    /// Those with these texts as members.
    pub(crate) fn of_texts(texts: &[(&str, &str)]) -> Self {
        Self(texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect())
    }

    /// Those with these members, as [`Self::members`] gives them.
    pub fn of_members(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_json(json: &[u8]) -> Result<Self, Fault> {
        // The error's text could quote a value.
        serde_json::from_slice(json)
            .map(Self)
            .map_err(|_| Fault::internal("stored credentials cannot be read"))
    }

    /// As they are stored. Nothing of it is left in memory but what is returned.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretBytes, Fault> {
        let mut buffer = SecretBuffer::with_capacity(256);
        serde_json::to_writer(&mut buffer, &self.0).map_err(Fault::internal)?;
        Ok(buffer.finish())
    }

    /// The members that are read; wipe them with [`keysherd_wire::wipe`].
    pub fn members(&self) -> Map<String, Value> {
        self.0.clone()
    }

    /// The user.
    ///
    /// # Errors
    /// [`Fault::internal`] for credentials of another kind.
    pub fn username(&self) -> Result<&str, Fault> {
        self.text(USERNAME)
    }

    /// The password.
    ///
    /// # Errors
    /// As [`Self::username`].
    pub fn password(&self) -> Result<SecretString, Fault> {
        self.text(PASSWORD).map(|text| SecretString::new(text.to_owned()))
    }

    /// A member that is a text.
    ///
    /// # Errors
    /// As [`Self::username`].
    pub(crate) fn text(&self, name: &str) -> Result<&str, Fault> {
        let text = self.0.get(name).and_then(Value::as_str);
        text.ok_or_else(|| Fault::internal(format!("stored credentials have no {name}")))
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        wipe(Value::Object(std::mem::take(&mut self.0)));
    }
}
