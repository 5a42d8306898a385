//! Auth methods: the ways into an account. Credentials here are verifiers only, never secrets.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use keysherd_base::{AccessId, AccountId, ItemPath, Timestamp};
use serde::{Deserialize, Serialize};

/// An IP network in CIDR form.
///
/// A prefix longer than the address cannot be made: it would match too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl Serialize for IpNetwork {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a network in CIDR form"))
    }
}

impl IpNetwork {
    /// Parses `10.0.0.0/8`, or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits.trim().parse().ok().filter(|bits| *bits <= bits_max)?,
            None => bits_max,
        };
        Some(Self { address, prefix })
    }

    /// Any address of the network.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Length of the prefix in bits: at most 32 (IPv4) or 128 (IPv6).
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies in the network. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix);
                (u32::from(net) ^ u32::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix);
                (u128::from(net) ^ u128::from(ip)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What all auth methods have, whatever their kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodShared {
    /// Free text.
    pub description: String,
    /// When logins end; `None`: never.
    pub access_expires: Option<Timestamp>,
    /// Client networks a login may come from; empty: any.
    pub bound_ips: Vec<IpNetwork>,
    /// Gateways trusted to forward a client's address.
    pub gateway_bound_ips: Vec<IpNetwork>,
    /// Token lifetime in minutes; 0: the account's default.
    pub token_ttl_minutes: u32,
    /// Associations must carry sub-claims.
    pub force_sub_claims: bool,
    /// Claims copied into audit records.
    pub audit_claims: Vec<String>,
    /// Client types that may use it; empty: any.
    pub allowed_client_types: Vec<String>,
    /// Products it is meant for.
    pub product_types: Vec<String>,
    /// Refuses deletion while set.
    pub delete_protection: bool,
    /// Days before expiry at which events are raised.
    pub expiration_event_days: Vec<u32>,
    /// At these characters claim values are split, beside the comma.
    #[serde(default)]
    pub sub_claim_delimiters: Vec<String>,
}

/// What is specific to one kind: verifiers and bounds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MethodDetail {
    /// An access key; the key itself is the seed of this Ed25519 public key and is stored nowhere.
    ApiKey {
        /// The verifier.
        public_key: [u8; 32],
        /// When the key was made.
        key_created: Timestamp,
    },
    /// E-mail and password; the password is stretched to the seed of this public key by Argon2id.
    Email {
        /// The address, in lower case.
        email: String,
        /// The verifier.
        public_key: [u8; 32],
        /// Argon2id salt.
        salt: [u8; 16],
        /// Argon2id memory in KiB.
        memory_kib: u32,
        /// Argon2id passes.
        iterations: u32,
        /// Argon2id lanes.
        parallelism: u32,
        /// When the password was last set.
        password_set: Timestamp,
        /// What a login shows beside the password.
        #[serde(default)]
        second_factor: SecondFactor,
    },
    /// What somebody else made proves who the bearer is; a member of the family in `authn` knows
    /// how.
    Member {
        /// The member's `rules_type`.
        kind: String,
        /// Its settings: JSON in the member's own form, without secrets of bearers. On the way
        /// to control they may hold one of the member's own, such as that of an OpenID Connect
        /// client.
        settings: String,
    },
}

/// Whether a person shows a one-time code beside the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondFactor {
    /// The password is enough.
    #[default]
    None,
    /// The person set one up and may take it away.
    Chosen,
    /// An administrator demands one.
    Demanded,
}

impl MethodDetail {
    /// The `rules_type` of the V2 API.
    pub fn kind_name(&self) -> &str {
        match self {
            Self::ApiKey { .. } => "api_key",
            Self::Email { .. } => "email",
            Self::Member { kind, .. } => kind,
        }
    }

    /// The same, kept without copying where it is one of the built-in kinds: every audit record
    /// has it.
    pub fn kind_label(&self) -> Cow<'static, str> {
        match self {
            Self::ApiKey { .. } => "api_key".into(),
            Self::Email { .. } => "email".into(),
            Self::Member { kind, .. } => kind.clone().into(),
        }
    }

    /// The verifier of a credential that signs; `None` where something else is presented.
    pub const fn public_key(&self) -> Option<&[u8; 32]> {
        match self {
            Self::ApiKey { public_key, .. } | Self::Email { public_key, .. } => Some(public_key),
            Self::Member { .. } => None,
        }
    }

    /// The e-mail address that logins name, in lower case.
    pub fn email(&self) -> Option<&str> {
        match self {
            Self::Email { email, .. } => Some(email),
            Self::ApiKey { .. } | Self::Member { .. } => None,
        }
    }
}

impl fmt::Debug for MethodDetail {
    // By hand, because settings hold secrets of members, and passwords can be guessed at by a
    // verifier.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodDetail({})", self.kind_name())
    }
}

/// An auth method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// The integer id of the V2 API.
    pub id: i64,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its public name.
    pub access_id: AccessId,
    /// Its path; shown without the leading slash.
    pub path: ItemPath,
    /// What all kinds have.
    pub shared: MethodShared,
    /// What its kind has.
    pub detail: MethodDetail,
    /// Grows with each change of the credential; tokens of an older generation are dead.
    pub generation: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_text_shows_settings_or_verifiers() {
        let settings = "{\"client_secret\":\"canary\"}".to_owned();
        let member = MethodDetail::Member { kind: "oidc".to_owned(), settings };
        assert_eq!(format!("{member:?}"), "MethodDetail(oidc)");
        let key = MethodDetail::ApiKey { public_key: [217; 32], key_created: Timestamp(1) };
        assert_eq!(format!("{key:#?}"), "MethodDetail(api_key)");
    }

    #[test]
    fn networks_contain_what_they_should() {
        let net = IpNetwork::parse("10.1.0.0/16").unwrap();
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.0.9".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(IpNetwork::parse("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        assert!(IpNetwork::parse("::/0").unwrap().contains("::1".parse().unwrap()));
        assert!(!IpNetwork::parse("::/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        let stored: Result<IpNetwork, _> = serde_json::from_str("\"0.0.0.0/33\"");
        assert!(stored.is_err());
        for bad in ["", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(IpNetwork::parse(bad).is_none(), "{bad:?} was accepted");
        }
    }
}
