//! What an operator says about the way out.

use std::net::IpAddr;
use std::sync::Arc;

use crate::bypass::NoProxy;
use crate::proxy::Proxy;
use crate::public::{is_elsewhere, is_public};

/// How far whoever names a target may have somebody sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere: the operator's own targets.
    #[default]
    Everywhere,
    /// To other machines: not to this one, nor to what only it can see, as clouds' metadata.
    Elsewhere,
    /// To the Internet.
    Public,
}

impl Reach {
    /// Whether `address` is within it.
    pub(crate) fn covers(self, address: IpAddr) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Elsewhere => is_elsewhere(address),
            Self::Public => is_public(address),
        }
    }
}

/// The way out. Cheap to clone. The default one has no proxy and goes everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    proxies: Option<Arc<Proxied>>,
    reach: Reach,
}

#[derive(Debug, PartialEq, Eq)]
struct Proxied {
    proxy: Proxy,
    bypass: NoProxy,
}

impl Egress {
    /// Through `proxy`, but for what `bypass` covers.
    pub fn through(proxy: Proxy, bypass: NoProxy) -> Self {
        Self { proxies: Some(Arc::new(Proxied { proxy, bypass })), reach: Reach::Everywhere }
    }

    /// The same for targets that tenants name: addresses of this machine and of the networks that
    /// it is inside of are not gone to. What a proxy reaches is the proxy's to say.
    #[must_use]
    pub fn public_only(&self) -> Self {
        Self { reach: Reach::Public, ..self.clone() }
    }

    /// The same for what may be in private networks, and not on this machine.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { reach: Reach::Elsewhere, ..self.clone() }
    }

    /// How far it goes.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The proxy, if there is one.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxies.as_deref().map(|proxied| &proxied.proxy)
    }

    /// The proxy that is asked for `host` at `port`.
    pub fn proxy_for(&self, host: &str, port: u16) -> Option<&Proxy> {
        let proxied = self.proxies.as_deref()?;
        (!proxied.bypass.covers(host, port)).then_some(&proxied.proxy)
    }

    /// Whether `host`, as it stands there, may be gone to; what a name stands for shows only when
    /// it is resolved.
    pub fn admits(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        let is = |name: &str| host.eq_ignore_ascii_case(name);
        let local = is("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
        let own = local || self.proxy().is_some_and(|proxy| is(proxy.place().host()));
        let inside = || host.parse::<IpAddr>().map_or(true, |address| self.reach.covers(address));
        self.reach == Reach::Everywhere || (!own && inside())
    }
}
