//! Sub-claims: what an identity says about its bearer, name to values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The claim every token carries: the client's address.
pub const CLIENT_IP: &str = "client_ip";
/// The claim every token carries: who the bearer is within a shared auth method.
pub const CLIENT_UNIQUE_ID: &str = "client_unique_id";

/// Claim name to its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubClaims(pub BTreeMap<String, Vec<String>>);

impl SubClaims {
    /// Whether there is no claim at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of `name`; empty when the claim is absent.
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Sets `name` to one value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), vec![value.into()]);
    }
}
