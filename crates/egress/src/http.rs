//! The HTTP client that goes this way.

use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url, redirect};

use crate::connect::Target;
use crate::egress::{Egress, Reach};

/// How long the name of a receiver may take.
const NAME_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

impl Egress {
    /// A builder of clients that go this way, follow nothing elsewhere, and look at no variable of
    /// the environment. Callers bound time and size, and ask [`Egress::admits`] about each host:
    /// addresses are not resolved, so they are not looked at here.
    pub fn http(&self) -> ClientBuilder {
        let mut builder = Client::builder()
            .user_agent(concat!("keysherd/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(proxy) = self.proxy()
            && let Ok(address) = Url::parse(&format!("http://{}", proxy.place()))
        {
            let egress = self.clone();
            let chosen = reqwest::Proxy::custom(move |url| {
                let port = url.port_or_known_default()?;
                let asked = url.scheme() == "https" && {
                    egress.proxy_for(url.host_str()?, port).is_some()
                };
                asked.then(|| address.clone())
            });
            let (user, password) = (&proxy.user, &proxy.password);
            builder = builder.proxy(match (user, password) {
                (Some(user), Some(password)) => chosen.basic_auth(user, password.expose()),
                _ => chosen,
            });
        }
        if self.reach() != Reach::Everywhere {
            builder = builder.dns_resolver(Arc::new(Public(self.clone())));
        }
        builder
    }
}

/// Resolves names to public addresses, and the proxy's to what it is.
struct Public(Egress);

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            // 0 stands for the port of the URL.
            let target = Target::new(name.as_str(), 0);
            // The name comes from an address, where letters are small ones.
            let is = |host: &str| host.eq_ignore_ascii_case(name.as_str());
            let proxy = egress.proxy().is_some_and(|proxy| is(proxy.place().host()));
            let egress = if proxy { Egress::default() } else { egress };
            let found = egress.addresses(&target, NAME_PATIENCE).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
