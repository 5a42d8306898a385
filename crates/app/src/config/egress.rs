//! The way out: the proxy that is asked, and whom tenants may have something sent to.

use clap::Command;
use keysherd_egress::{Egress, NoProxy, Proxy};

use super::settings::{Settings, option, switch};
use crate::exit::Exit;
use crate::passphrase::PassphraseSource;

/// Name of the systemd credential with the proxy's password.
const CREDENTIAL: &str = "proxy-password";
/// Says that there is no proxy, whatever the environment says.
const NONE: &str = "none";

/// How a gateway gets out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EgressSettings {
    /// The way that the operator's own targets are reached.
    pub(crate) egress: Egress,
    /// Whether log targets may be on this machine and in private networks.
    pub(crate) private_receivers: bool,
    /// Whether targets of dynamic and rotated secrets may be on this machine.
    pub(crate) local_targets: bool,
}

impl EgressSettings {
    /// The way to whom tenants name.
    pub(crate) fn receivers(&self) -> Egress {
        match self.private_receivers {
            true => self.egress.clone(),
            false => self.egress.public_only(),
        }
    }

    /// The way to targets, which tenants name as well: databases are in private networks, and what
    /// trusts everybody on this machine must not take a tenant for one of them.
    pub(crate) fn targets(&self) -> Egress {
        match self.local_targets {
            true => self.egress.clone(),
            false => self.egress.elsewhere(),
        }
    }
}

/// The options of roles that connect to others.
pub(super) fn proxied(command: Command) -> Command {
    command
        .arg(option(
            "proxy",
            "URL",
            "KEYSHERD_PROXY",
            "HTTP proxy for what leaves over TLS, http://host:port, or none \
             [default: HTTPS_PROXY, ALL_PROXY]",
        ))
        .arg(option(
            "no-proxy",
            "LIST",
            "KEYSHERD_NO_PROXY",
            "Reached without the proxy: hosts, .suffixes, addresses, networks, each also with \
             :port, or * [default: NO_PROXY]",
        ))
        .arg(option("proxy-user", "NAME", "KEYSHERD_PROXY_USER", "Who signs in to the proxy"))
        .arg(option(
            "proxy-password-file",
            "FILE",
            "KEYSHERD_PROXY_PASSWORD_FILE",
            "File with that user's password; mode 0600",
        ))
}

/// The options of roles that go to where tenants say.
pub(super) fn sending(command: Command) -> Command {
    proxied(command)
        .arg(
            switch(
                "allow-private-receivers",
                "Let log targets be on this machine and in private networks",
            )
            .env("KEYSHERD_ALLOW_PRIVATE_RECEIVERS"),
        )
        .arg(
            switch(
                "allow-local-targets",
                "Let targets of dynamic and rotated secrets be on this machine",
            )
            .env("KEYSHERD_ALLOW_LOCAL_TARGETS"),
        )
}

/// Reads the settings of [`sending`].
///
/// # Errors
/// As [`load`].
pub(super) fn load_sending(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<EgressSettings, Exit> {
    Ok(EgressSettings {
        egress: load(settings, env)?,
        private_receivers: settings.is_set("allow-private-receivers")?,
        local_targets: settings.is_set("allow-local-targets")?,
    })
}

/// Reads the settings of [`proxied`], and the usual variables where those say nothing.
///
/// # Errors
/// [`Exit::Configuration`] names the setting and what is wrong with it, without the password.
pub(super) fn load(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Egress, Exit> {
    let password = PassphraseSource::file_or_credential(
        settings.text("proxy-password-file")?,
        CREDENTIAL,
        env,
    );
    let Some((name, text)) = chosen(settings, env)? else {
        if env("HTTP_PROXY").or_else(|| env("http_proxy")).is_some_and(|text| !text.is_empty()) {
            tracing::warn!("HTTP_PROXY has no effect: everything leaves over TLS; see --proxy");
        }
        for name in ["proxy-user", "proxy-password-file"] {
            if settings.text(name)?.is_some() {
                return Err(wrong(name, "it is set, and there is no proxy"));
            }
        }
        return Ok(Egress::default());
    };
    // What stands on a command line, everybody on the machine can read.
    let seen = settings.flags.value_source("proxy") == Some(clap::parser::ValueSource::CommandLine);
    let mut proxy = Proxy::parse(&text, !seen).map_err(|why| wrong(&name, &why))?;
    match (settings.text("proxy-user")?, password) {
        (Some(user), Some(source)) => {
            let signed_in = proxy.signed_in(user, source.read(env)?);
            proxy = signed_in.map_err(|why| wrong("proxy-user", &why))?;
        }
        (Some(_), None) => {
            return Err(wrong("proxy-user", "it goes together with --proxy-password-file"));
        }
        (None, Some(PassphraseSource::File(_))) => {
            return Err(wrong("proxy-password-file", "it goes together with --proxy-user"));
        }
        (None, _) => {}
    }
    let bypass = settings.text("no-proxy")?.map(|text| ("no-proxy".to_owned(), text));
    let bypass = bypass.or_else(|| usual(env, &["NO_PROXY"]));
    let bypass = match bypass {
        None => NoProxy::default(),
        Some((name, text)) => NoProxy::parse(&text).map_err(|why| wrong(&name, &why))?,
    };
    Ok(Egress::through(proxy, bypass))
}

/// The proxy that is set, and where.
fn chosen(
    settings: &Settings<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(String, String)>, Exit> {
    let found = match settings.text("proxy")? {
        Some(text) => Some(("proxy".to_owned(), text)),
        None => usual(env, &["HTTPS_PROXY", "ALL_PROXY"]),
    };
    Ok(found.filter(|(_, text)| text != NONE))
}

/// The first of these variables that is set, in capitals or not, as most programs have them.
fn usual(env: &dyn Fn(&str) -> Option<String>, names: &[&str]) -> Option<(String, String)> {
    let spelled = names.iter().flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()]);
    let mut set = spelled.filter_map(|name| Some((env(&name)?, name)));
    set.find(|(text, _)| !text.is_empty()).map(|(text, name)| (name, text))
}

fn wrong(name: &str, why: &str) -> Exit {
    Exit::Configuration(format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(args: &[&str], vars: &[(&str, &str)]) -> Result<EgressSettings, String> {
        let command = || sending(super::super::settings::common(Command::new("test")));
        let flags = command().try_get_matches_from(["test"].iter().chain(args)).unwrap();
        let settings = Settings::load(&command(), &flags).map_err(|exit| exit.to_string())?;
        let env = |name: &str| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        load_sending(&settings, &env).map_err(|exit| exit.to_string())
    }

    fn proxy_of(args: &[&str], vars: &[(&str, &str)]) -> Option<String> {
        let found = loaded(args, vars).unwrap();
        found.egress.proxy_for("control.example", 8400).map(|proxy| proxy.place().to_string())
    }

    #[test]
    fn flags_win_over_the_usual_variables() {
        let vars = [("HTTPS_PROXY", "http://u:p@env.example:1"), ("NO_PROXY", "x.example")];
        assert_eq!(proxy_of(&[], &vars).as_deref(), Some("env.example:1"));
        assert_eq!(proxy_of(&["--proxy", "flag.example:2"], &vars).unwrap(), "flag.example:2");
        assert_eq!(proxy_of(&["--proxy", "none"], &vars), None);
        assert_eq!(proxy_of(&["--no-proxy", "*.example"], &vars), None);
        assert_eq!(proxy_of(&[], &[("https_proxy", "e.example:1")]).unwrap(), "e.example:1");
        assert_eq!(proxy_of(&[], &[("all_proxy", "e.example:1")]).unwrap(), "e.example:1");
        assert_eq!(proxy_of(&[], &[("HTTP_PROXY", "e.example:1")]), None);
        assert_eq!(proxy_of(&[], &[("HTTPS_PROXY", "")]), None);
        let vars = [("HTTPS_PROXY", "env.example:1"), ("no_proxy", "control.example:8400")];
        assert_eq!(proxy_of(&[], &vars), None);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_shown() {
        for (args, vars, told) in [
            (&["--proxy", "http://u:hunter2@p.example:1"][..], &[][..], "--proxy-password-file"),
            (&["--proxy", "socks5://p.example"], &[], "proxy: 'socks5'"),
            (&[], &[("HTTPS_PROXY", "https://u:hunter2@p.example")], "HTTPS_PROXY: 'https'"),
            (&["--proxy", "p.example", "--no-proxy", "10.0.0.0/99"], &[], "10.0.0.0/99"),
            (&[], &[("ALL_PROXY", "p.example"), ("NO_PROXY", "a/b")], "NO_PROXY: 'a/b'"),
            (&["--proxy", "p.example", "--proxy-user", "u"], &[], "--proxy-password-file"),
            (&["--proxy-user", "u"], &[], "there is no proxy"),
            (&["--proxy", "p.example", "--proxy-password-file", "/x"], &[], "--proxy-user"),
        ] {
            let text = loaded(args, vars).unwrap_err();
            assert!(text.contains(told) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn targets_are_on_other_machines_unless_the_operator_says_otherwise() {
        let targets = |args: &[&str]| loaded(args, &[]).unwrap().targets();
        for here in ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"] {
            assert!(!targets(&[]).admits(here), "{here}");
            assert!(!targets(&["--allow-private-receivers"]).admits(here), "{here}");
            assert!(targets(&["--allow-local-targets"]).admits(here), "{here}");
        }
        assert!(targets(&[]).admits("10.255.254.253"), "databases are in private networks");
    }

    #[test]
    fn receivers_are_public_unless_the_operator_says_otherwise() {
        let receivers = |args: &[&str]| loaded(args, &[]).unwrap().receivers();
        assert!(!receivers(&[]).admits("127.0.0.1"));
        assert!(receivers(&["--allow-private-receivers"]).admits("127.0.0.1"));
    }
}
