//! The certificate for clients from an ACME authority: obtained, kept, and obtained anew after two
//! thirds of its life. While that fails clients see what they saw before.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use keysherd_acme::{AcmeAccount, Authority};
use keysherd_base::{ClockHandle, Fault, FaultKind, RngHandle, SecretString, Timestamp};
use keysherd_crypto::pki::{acme_challenge, certificate_validity, request};
use keysherd_egress::Egress;
use keysherd_http::TlsReload;

use super::certificate::Certificate;
use super::files::DataDir;
use crate::config::acme::AcmeSettings;
use crate::exit::Exit;

/// Key and chain, in one file so that they always fit.
pub(super) const PAIR_FILE: &str = "acme.pem";
/// The names it was obtained for, and from whom, one a line.
const WISH_FILE: &str = "acme.wish";
/// The account, with its key.
const ACCOUNT_FILE: &str = "acme.account";
/// Between two looks whether something is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pause after the first failure; it doubles with each further one.
const PAUSE_MIN_SECONDS: i64 = 60;
/// The longest pause: authorities count what fails.
const PAUSE_MAX_SECONDS: i64 = 6 * 3_600;
/// The pause after a success: a clock that is wrong must not have one certificate after the other
/// issued.
const PAUSE_ISSUED_SECONDS: i64 = 6 * 3_600;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How far proofs reach to both sides of now, in seconds.
const PROOF_SECONDS: i64 = 3_600;

/// What a certificate is obtained with.
pub(super) struct AcmeKeeper {
    pub(super) settings: AcmeSettings,
    /// The directory `tls`.
    pub(super) dir: DataDir,
    pub(super) egress: Egress,
    pub(super) clock: ClockHandle,
    pub(super) rng: RngHandle,
}

impl AcmeKeeper {
    /// Obtains what is due, until the certificate is gone.
    pub(super) async fn keep(self, certificate: Weak<Certificate>) {
        // Nobody else writes these files while the gateway runs.
        let mut kept = self.kept();
        let mut turns = tokio::time::interval(INTERVAL);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut failures, mut next) = (0_u32, self.clock.now());
        loop {
            turns.tick().await;
            let Some(held) = certificate.upgrade() else { return };
            let now = self.clock.now();
            if now < next || !is_due(kept, now) {
                continue;
            }
            let tls = held.tls();
            let obtaining = tokio::time::timeout(PATIENCE, self.obtain(&tls));
            let late = |_| Err(Fault::unavailable("the ACME authority takes too long"));
            let outcome = obtaining.await.unwrap_or_else(late);
            // Nobody has to see a proof any more.
            drop(tls.show_proofs(&[]));
            match outcome {
                Ok(()) => {
                    kept = self.kept();
                    (failures, next) = (0, now.plus_seconds(PAUSE_ISSUED_SECONDS));
                    held.obtained();
                }
                Err(fault) => {
                    if fault.kind() == FaultKind::NotFound {
                        // The authority has forgotten the account; it gets another one.
                        drop(self.dir.remove(ACCOUNT_FILE));
                    }
                    let pause = PAUSE_MIN_SECONDS << failures.min(16);
                    failures += 1;
                    let pause_seconds = pause.min(PAUSE_MAX_SECONDS);
                    next = now.plus_seconds(pause_seconds);
                    tracing::warn!(
                        %fault,
                        private = fault.private().unwrap_or_default(),
                        pause_seconds,
                        "no certificate from the ACME authority; clients see what they saw before"
                    );
                }
            }
        }
    }

    /// From when until when the certificate for the names is good, if there is one.
    fn kept(&self) -> Option<(Timestamp, Timestamp)> {
        let text = |name: &str| {
            let bytes = self.dir.read(name).ok().flatten()?;
            String::from_utf8(bytes).ok().map(SecretString::new)
        };
        text(WISH_FILE).filter(|wish| *wish.expose() == self.wish())?;
        certificate_validity(&chain_of(text(PAIR_FILE)?.expose()))
    }

    fn wish(&self) -> String {
        format!("{}\n{}", self.settings.directory, self.settings.names.join("\n"))
    }

    async fn obtain(&self, tls: &TlsReload) -> Result<(), Fault> {
        let account = self.account().await?;
        let names = &self.settings.names;
        let wanted = request(names).map_err(Fault::internal)?;
        let shown: Mutex<Vec<(String, String, SecretString)>> = Mutex::default();
        let show = |name: &str, digest: [u8; 32]| {
            let now = self.clock.now();
            let life = (now.plus_seconds(-PROOF_SECONDS), now.plus_seconds(PROOF_SECONDS));
            let proof = acme_challenge(name, &digest, life, &*self.rng).map_err(Fault::internal)?;
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.push((name.to_owned(), proof.cert_pem, proof.key_pem));
            tls.show_proofs(&shown)
        };
        let chain = account.obtain(names, &wanted.der, &show).await?;
        // What cannot be served with is not kept.
        tls.check_pem(chain.as_bytes(), wanted.key_pem.expose().as_bytes())?;
        let pair = SecretString::new(format!("{}\n{chain}", wanted.key_pem.expose()));
        self.write(PAIR_FILE, pair.expose())?;
        self.write(WISH_FILE, &self.wish())?;
        tracing::info!(names = names.join(", "), "the ACME authority issued a certificate");
        Ok(())
    }

    /// The account; one with another authority is left alone, and another one is made.
    async fn account(&self) -> Result<AcmeAccount, Fault> {
        let ca = self.settings.ca.as_ref().map(std::fs::read_to_string).transpose();
        let ca = ca.map_err(|error| Fault::bad_request(format!("acme-ca: {error}")))?;
        let AcmeSettings { directory, contact, .. } = self.settings.clone();
        let authority = Authority { directory, contact, ca };
        let unreadable = |exit: Exit| Fault::internal(exit);
        let kept = self.dir.read(ACCOUNT_FILE).map_err(unreadable)?;
        let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
        let kept = kept.filter(|text| text.contains(&authority.directory));
        let kept = kept.map(SecretString::new);
        let opened = AcmeAccount::open(&authority, &self.egress, kept.as_ref()).await;
        let (account, made) = opened?;
        if let Some(made) = made {
            self.write(ACCOUNT_FILE, made.expose())?;
        }
        Ok(account)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.dir.write(name, text.as_bytes()).map_err(Fault::internal)
    }
}

/// Whether there is no certificate that is good in this time, or two thirds of it are over.
fn is_due(life: Option<(Timestamp, Timestamp)>, now: Timestamp) -> bool {
    life.is_none_or(|(from, until)| {
        let whole = until.millis_since(from);
        now.millis_since(from) >= whole / 3 * 2
    })
}

/// The certificates of a pair, without its key.
pub(super) fn chain_of(pair: &str) -> String {
    let begin = pair.find("-----BEGIN CERTIFICATE-----");
    begin.and_then(|begin| pair.get(begin..)).unwrap_or_default().to_owned()
}

/// The key of a pair, without its certificates.
pub(super) fn key_of(pair: &str) -> SecretString {
    let end = pair.find("-----BEGIN CERTIFICATE-----").unwrap_or(0);
    SecretString::new(pair.get(..end).unwrap_or_default().to_owned())
}
