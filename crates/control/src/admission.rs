//! From where and when an auth method may be used: asked at login and at every request after it.

use std::net::IpAddr;

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::account::Account;
use keysherd_domain::auth_method::{AuthMethod, IpNetwork};
use keysherd_plane::Client;

/// Whether the account and the method accept this client now.
///
/// Asked only after a credential or token was proven, so the texts may say what is wrong.
///
/// # Errors
/// [`Fault::unauthorized`] with what to do about it.
pub(crate) fn admits(
    account: &Account,
    method: &AuthMethod,
    client: &Client,
    now: Timestamp,
) -> Result<(), Fault> {
    if let Some(end) = method.shared.access_expires
        && now >= end
    {
        return Err(Fault::unauthorized(format!(
            "access by {} ended at {end}; ask an administrator to extend access-expires",
            method.access_id
        )));
    }
    let networks = [&account.settings.bound_ips, &method.shared.bound_ips];
    if !networks.into_iter().all(|networks| accepts_address(networks, client.address)) {
        return Err(Fault::unauthorized(format!(
            "access by {} is not accepted from address {}; connect from a network in bound-ips or \
             ask an administrator to add this one",
            method.access_id,
            client.address.to_canonical()
        )));
    }
    let kinds = [&account.settings.allowed_client_types, &method.shared.allowed_client_types];
    if !kinds.into_iter().all(|kinds| accepts_kind(kinds, &client.kind)) {
        return Err(Fault::unauthorized(format!(
            "access by {} is not accepted from client type '{}'; use one in allowed-client-type",
            method.access_id, client.kind
        )));
    }
    Ok(())
}

/// Whether `address` is in one of `networks`; none means any.
pub(crate) fn accepts_address(networks: &[IpNetwork], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(address))
}

fn accepts_kind(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty() || kinds.iter().any(|accepted| accepted.eq_ignore_ascii_case(kind))
}
