//! Trying what a gateway needs, each with what to do when it fails.

use std::time::Duration;

use keysherd_base::Timestamp;
use keysherd_crypto::pki::certificate_validity_der;
use keysherd_egress::{DialStep, Egress, Target};
use keysherd_link::{Channel, ChannelLimits, ProbeStep, Probed};
use serde::Serialize;

use super::endpoints::{Endpoint, Known, Linked};
use super::sign_in;
use crate::exit::Exit;
use crate::roles::certificate::Shown;
use crate::roles::{clock_watch, parties};

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Less free space than this is told, in bytes.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// A certificate with fewer days left is told.
const DAYS_MIN: i64 = 14;
const DAY_SECONDS: i64 = 86_400;
/// What is said of everybody who answers.
const REACHED: &str = "can be connected to";

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Unreachable,
    Refused,
    Files,
}

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) fix: String,
}

impl Check {
    pub(super) fn new(name: &str, verdict: Verdict, detail: impl Into<String>, fix: &str) -> Self {
        Self { name: name.to_owned(), verdict, detail: detail.into(), fix: fix.to_owned() }
    }

    /// That the data directory cannot be used.
    pub(super) fn of_directory(exit: &Exit) -> Self {
        let fix = "mend what is named; the gateway does not start before";
        Self::new("data directory", Verdict::Files, exit.to_string(), fix)
    }

    /// How the doctor ends when this is the first that failed.
    pub(super) fn failure(&self) -> Option<Exit> {
        let text = format!("{}: {}", self.name, self.detail);
        match self.verdict {
            Verdict::Ok | Verdict::Warning => None,
            Verdict::Unreachable => Some(Exit::Unreachable(text)),
            Verdict::Refused => Some(Exit::Refused(text)),
            Verdict::Files => Some(Exit::Files(text)),
        }
    }
}

/// Tries everything.
pub(super) async fn all(known: &Known) -> Vec<Check> {
    let mut checks = vec![directory(known), identity(known)];
    checks.extend(certificate(known));
    if let Some(proxy) = known.settings.serving.egress.egress.proxy() {
        let name = format!("proxy {}", proxy.place());
        checks.push(dialed(&name, proxy.place(), &Egress::default()).await);
    }
    let mut control = None;
    for linked in known.linked() {
        let (is_control, channel) = (linked.control, channel(known, &linked));
        let (found, reached) = link(known, linked, channel.as_ref()).await;
        control = control.or(channel.filter(|_| is_control && reached));
        checks.extend(found);
    }
    checks.extend(sign_in::check(known, control).await);
    for endpoint in known.configured() {
        checks.push(configured(known, endpoint).await);
    }
    checks
}

fn directory(known: &Known) -> Check {
    let (name, shown) = ("data directory", known.settings.data_dir.display());
    if known.dir.is_none() {
        let fix = "make the identity: keysherd gateway enroll";
        return Check::new(name, Verdict::Warning, format!("{shown} does not exist yet"), fix);
    }
    let free = rustix::fs::statvfs(&known.settings.data_dir);
    let free = free.map(|volume| volume.f_bavail.saturating_mul(volume.f_frsize));
    match free {
        Err(error) => Check::new(name, Verdict::Files, format!("{shown}: {error}"), ""),
        Ok(free) if free < FREE_BYTES_MIN => {
            let detail = format!("{shown} has {} MiB left", free >> 20);
            let fix = "free space: values that wait for a manager, places in logs and \
                       configurations are kept there";
            Check::new(name, Verdict::Warning, detail, fix)
        }
        Ok(free) => Check::new(name, Verdict::Ok, format!("{shown}, {} MiB left", free >> 20), ""),
    }
}

fn identity(known: &Known) -> Check {
    let name = "identity";
    let Some(spki) = known.spki else {
        let fix = "keysherd gateway enroll, and have the owner add the request";
        return Check::new(name, Verdict::Warning, "there is none yet", fix);
    };
    let Some(bundle) = &known.bundle else {
        let fix = "have the owner add this gateway; control hands the bundle out";
        return Check::new(name, Verdict::Warning, "there is no trust bundle yet", fix);
    };
    let version = bundle.version();
    if parties::is_gateway(bundle, &spki, &known.clock) {
        return Check::new(name, Verdict::Ok, format!("named by trust bundle {version}"), "");
    }
    let detail = format!("trust bundle {version} does not name this gateway's key");
    Check::new(name, Verdict::Refused, detail, "keysherd owner add, then control accept-bundle")
}

/// The certificate that clients are shown.
fn certificate(known: &Known) -> Option<Check> {
    let name = "certificate for clients";
    let pairs = known.dir.as_ref().filter(|dir| dir.join("tls").is_dir());
    let pairs = pairs.and_then(|dir| dir.subdir("tls").ok());
    let serving = &known.settings.serving;
    match Shown::look(&serving.tls, serving.cluster.as_ref(), pairs) {
        Ok(shown) => {
            let Shown { from, life, fix } = shown?;
            let check = dated(name, life, known.clock.now(), fix);
            Some(Check { detail: format!("{}, from {from}", check.detail), ..check })
        }
        Err(why) => {
            let fix = "check --tls-cert and --tls-key: the chain, leaf first, and its key";
            Some(Check::new(name, Verdict::Files, why, fix))
        }
    }
}

/// How a certificate with this life is at `now`. One that is over is served on, and refused by
/// clients.
fn dated(name: &str, life: (Timestamp, Timestamp), now: Timestamp, fix: &str) -> Check {
    let (from, ends) = life;
    let days = ends.millis_since(now).div_euclid(1_000 * DAY_SECONDS);
    if now < from {
        let detail = format!("it is not valid before {}", from.rfc3339());
        return Check::new(name, Verdict::Refused, detail, "look at this machine's clock");
    }
    if now > ends {
        let detail = format!("it expired at {}", ends.rfc3339());
        return Check::new(name, Verdict::Refused, detail, fix);
    }
    let detail = format!("good until {}", ends.rfc3339());
    match days >= DAYS_MIN {
        true => Check::new(name, Verdict::Ok, detail, ""),
        false => Check::new(name, Verdict::Warning, detail, fix),
    }
}

/// The way to a role, once this gateway has an identity to show.
fn channel(known: &Known, linked: &Linked) -> Option<Channel> {
    let limits = ChannelLimits { connect_timeout: PATIENCE, ..ChannelLimits::default() };
    let (trust, routes) = (linked.trust.clone(), vec![linked.route.clone()]);
    Some(Channel::new(known.identity.clone()?, trust, routes, limits))
}

/// What is found of a role, and whether it is reached and lets this gateway in.
async fn link(known: &Known, linked: Linked, channel: Option<&Channel>) -> (Vec<Check>, bool) {
    let Linked { endpoint, control, .. } = linked;
    let Some(channel) = channel else {
        return (vec![configured(known, &endpoint).await], false);
    };
    let name = shown(&endpoint);
    let failed = match channel.probe().await {
        Ok(probed) => return (reached(&name, control, &probed), true),
        Err(failed) => failed,
    };
    let (verdict, fix) = match failed.step {
        ProbeStep::Name => (Verdict::Unreachable, "check the name and this machine's DNS"),
        ProbeStep::Tcp => (Verdict::Unreachable, "let this machine connect to that address"),
        ProbeStep::Proxy => (Verdict::Unreachable, "check --proxy, --no-proxy and the proxy"),
        ProbeStep::Tls => (
            Verdict::Refused,
            "whoever answers has not the key of the trust bundle, or clocks differ by more than a \
             quarter of an hour: check the address, that nothing opens TLS on the way, and both \
             clocks",
        ),
        ProbeStep::Admission => (
            Verdict::Refused,
            "it does not know this gateway: have the owner add it, and wait for the bundle; or \
             clocks differ by more than a quarter of an hour: look at both clocks",
        ),
    };
    (vec![Check::new(&name, verdict, failed.why, fix)], false)
}

fn reached(name: &str, control: bool, probed: &Probed) -> Vec<Check> {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let detail = format!(
        "connected in {:.1} ms, round trip {:.1} ms",
        millis(probed.connected),
        millis(probed.round_trip)
    );
    let mut checks = vec![Check::new(name, Verdict::Ok, detail, "")];
    if let Some(skew) = probed.skew_millis.filter(|_| control) {
        let ahead = skew.saturating_neg();
        let detail = clock_watch::shown(ahead);
        checks.push(match clock_watch::is_good(ahead) {
            true => Check::new("clock", Verdict::Ok, detail, ""),
            false => {
                let fix = "set the clock of this machine: logins are refused beyond a minute, and \
                           links fail beyond a quarter of an hour";
                Check::new("clock", Verdict::Warning, detail, fix)
            }
        });
    }
    checks
}

async fn configured(known: &Known, endpoint: &Endpoint) -> Check {
    let target = Target::new(&endpoint.host, endpoint.port);
    let egress = match &endpoint.proxy {
        Some(_) => known.settings.serving.egress.egress.clone(),
        None => Egress::default(),
    };
    if endpoint.protocol == "udp" {
        let detail = "datagrams have no receipt, so nothing is tried but the name";
        return match egress.addresses(&target, PATIENCE).await {
            Ok(_) => Check::new(&shown(endpoint), Verdict::Ok, detail, ""),
            Err(error) => {
                let fix = "check the name and this machine's DNS";
                Check::new(&shown(endpoint), Verdict::Unreachable, error.why, fix)
            }
        };
    }
    let check = dialed(&shown(endpoint), &target, &egress).await;
    let speaks_tls = ["https", "ldaps", "tls"].contains(&endpoint.protocol.as_str());
    if !speaks_tls || check.verdict != Verdict::Ok {
        return check;
    }
    certified(&check.name, &target, &egress, known.clock.now()).await
}

/// What somebody shows with TLS. Which authorities are believed is the configuration's to say.
async fn certified(name: &str, target: &Target, egress: &Egress, now: Timestamp) -> Check {
    let connected = egress.connect(target, PATIENCE).await.map_err(|error| error.why);
    let seen = match connected {
        Ok(stream) => keysherd_http::look(stream, target.host(), PATIENCE).await,
        Err(why) => Err(why),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            let fix = "check the port, and that TLS is spoken there";
            return Check::new(name, Verdict::Refused, why, fix);
        }
    };
    if !seen.names_fit {
        let detail = format!("{REACHED}, but its certificate is not for {}", target.host());
        let fix = "use the name that is in its certificate";
        return Check::new(name, Verdict::Warning, detail, fix);
    }
    let Some(life) = certificate_validity_der(&seen.leaf) else {
        return Check::new(name, Verdict::Refused, "its certificate cannot be read", "");
    };
    let mut check = dated(name, life, now, "have its operator renew its certificate");
    check.detail = format!("{REACHED}; its certificate: {}", check.detail);
    check
}

/// Whether somebody can be connected to. What they are shows only to who speaks their protocol.
async fn dialed(name: &str, target: &Target, egress: &Egress) -> Check {
    match egress.connect(target, PATIENCE).await {
        Ok(_) => Check::new(name, Verdict::Ok, REACHED, ""),
        Err(error) => {
            let fix = match error.step {
                DialStep::Name => "check the name and this machine's DNS",
                DialStep::Tcp => "let this machine connect to that address",
                DialStep::Proxy => "check --proxy, --no-proxy and the proxy",
            };
            Check::new(name, Verdict::Unreachable, error.why, fix)
        }
    }
}

fn shown(endpoint: &Endpoint) -> String {
    format!("{} at {}:{}", endpoint.name, endpoint.host, endpoint.port)
}
