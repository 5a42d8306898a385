//! Clusters that nobody here connects to: callers are told where they are.

use keysherd_base::Fault;
use keysherd_wire::{Field, Settings, Text, bad_setting};

use crate::http::web_url;
use crate::pem::pem;

/// What callers are told of a cluster.
pub struct ClusterAt {
    /// The address of its API server.
    pub endpoint: String,
    /// What it is called; its address where nobody said.
    pub name: String,
    /// The authorities that vouch for it, as PEM.
    pub authority: Option<String>,
}

impl ClusterAt {
    /// The cluster that settings with these fields name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn by(
        settings: &Settings,
        [endpoint, authority, name]: [&Field<Text>; 3],
    ) -> Result<Self, Fault> {
        let url = web_url(endpoint.name(), settings.need(endpoint)?)?;
        if url.scheme() != "https" {
            return Err(bad_setting(endpoint.name(), "it must begin with https://"));
        }
        let given = settings.text(authority);
        let vouching = given.map(|text| pem(authority.name(), text)).transpose()?;
        let url = url.as_str().trim_end_matches('/').to_owned();
        let name = settings.text(name).map_or_else(|| url.clone(), str::to_owned);
        Ok(Self { endpoint: url, name, authority: vouching })
    }
}
