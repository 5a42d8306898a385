//! Trying what a gateway needs, each with what to do when it fails.

use std::time::Duration;

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pki::certificate_validity;
use keysherd_egress::{DialStep, Egress, Target};
use keysherd_link::{Channel, ChannelLimits, ProbeStep, Probed};
use serde::Serialize;

use super::endpoints::{Endpoint, Known, Linked};
use crate::exit::Exit;
use crate::roles::parties;

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far clocks may differ before that is told, and before links fail, in seconds.
const SKEW_TOLD_SECONDS: i64 = 30;
/// Less free space than this is told, in bytes.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// A certificate with fewer days left is told.
const DAYS_MIN: i64 = 14;
const DAY_SECONDS: i64 = 86_400;

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
    fn new(name: &str, verdict: Verdict, detail: impl Into<String>, fix: &str) -> Self {
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
    checks.extend(credential(known));
    if let Some(proxy) = known.settings.serving.egress.egress.proxy() {
        let name = format!("proxy {}", proxy.place());
        checks.push(dialed(&name, proxy.place(), &Egress::default()).await);
    }
    for linked in known.linked() {
        checks.extend(link(known, linked).await);
    }
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

/// The certificate for clients that the gateway made itself.
fn certificate(known: &Known) -> Option<Check> {
    let pem = known.dir.as_ref()?.read("tls/server.pem").ok()??;
    let (_, ends) = certificate_validity(std::str::from_utf8(&pem).ok()?)?;
    let days = ends.millis_since(SystemClock.now()) / 1_000 / DAY_SECONDS;
    let (name, detail) = ("certificate for clients", format!("good until {}", ends.rfc3339()));
    Some(match days >= DAYS_MIN {
        true => Check::new(name, Verdict::Ok, detail, ""),
        false => {
            let fix = "a running gateway renews its own; look at its log";
            Check::new(name, Verdict::Warning, detail, fix)
        }
    })
}

fn credential(known: &Known) -> Option<Check> {
    let cluster = known.settings.serving.cluster.as_ref()?;
    let name = "credential of the cluster";
    Some(match cluster.proof.read(&known.settings.data_dir, &cluster.host) {
        Ok(_) => Check::new(name, Verdict::Ok, format!("that of {}", cluster.access_id), ""),
        Err(exit) => {
            let fix = "see --gateway-access-key-file";
            Check::new(name, Verdict::Files, exit.to_string(), fix)
        }
    })
}

async fn link(known: &Known, linked: Linked) -> Vec<Check> {
    let Linked { endpoint, route, trust, control } = linked;
    let Some(identity) = known.identity.clone() else {
        return vec![configured(known, &endpoint).await];
    };
    let limits = ChannelLimits { connect_timeout: PATIENCE, ..ChannelLimits::default() };
    let channel = Channel::new(identity, trust, vec![route], limits);
    let name = shown(&endpoint);
    let failed = match channel.probe().await {
        Ok(probed) => return reached(&name, control, &probed),
        Err(failed) => failed,
    };
    let (verdict, fix) = match failed.step {
        ProbeStep::Name => (Verdict::Unreachable, "check the name and this machine's DNS"),
        ProbeStep::Tcp => (Verdict::Unreachable, "let this machine connect to that address"),
        ProbeStep::Proxy => (Verdict::Unreachable, "check --proxy, --no-proxy and the proxy"),
        ProbeStep::Tls => (
            Verdict::Refused,
            "whoever answers has not the key of the trust bundle, or clocks differ by more than \
             five minutes: check the address, that nothing opens TLS on the way, and both clocks",
        ),
        ProbeStep::Admission => (
            Verdict::Refused,
            "it does not know this gateway: have the owner add it, and wait for the bundle",
        ),
    };
    vec![Check::new(&name, verdict, failed.why, fix)]
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
        let detail = format!(
            "differs from control's by {:.1} s",
            Duration::from_millis(skew.unsigned_abs()).as_secs_f64()
        );
        checks.push(match skew.abs() <= SKEW_TOLD_SECONDS * 1_000 {
            true => Check::new("clock", Verdict::Ok, detail, ""),
            false => {
                let fix = "set the clock of this machine: permits live for 60 seconds, and links \
                           fail beyond five minutes";
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
    dialed(&shown(endpoint), &target, &egress).await
}

/// Whether somebody can be connected to. What they are shows only to who speaks their protocol.
async fn dialed(name: &str, target: &Target, egress: &Egress) -> Check {
    match egress.connect(target, PATIENCE).await {
        Ok(_) => Check::new(name, Verdict::Ok, "can be connected to", ""),
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
