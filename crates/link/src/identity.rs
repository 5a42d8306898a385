//! What a role shows of itself: a short-lived certificate that it makes over its own key.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::{ClockHandle, Fault, RngHandle, Timestamp};
use keysherd_crypto::pki;
use keysherd_crypto::sign::SigningKey;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// How long a certificate is valid, in seconds.
const LIFETIME_SECONDS: i64 = 24 * 60 * 60;
/// How far a certificate reaches into the past, in seconds: clocks differ.
const BACKDATED_SECONDS: i64 = 10 * 60;

/// A role's identity on every connection it makes or takes. Clones are handles to the same one.
///
/// The certificate is valid for 24 hours and is made anew, in memory, at the first handshake after
/// half of that time. Its key stays: trust is in the key.
#[derive(Clone)]
pub struct Identity {
    shared: Arc<Shared>,
}

struct Shared {
    key: SigningKey,
    tls_key: Arc<dyn rustls::sign::SigningKey>,
    name: String,
    clock: ClockHandle,
    rng: RngHandle,
    current: Mutex<Shown>,
}

/// The certificate in use.
#[derive(Clone)]
struct Shown {
    certified: Arc<CertifiedKey>,
    valid_from: Timestamp,
    renew_at: Timestamp,
}

impl Identity {
    /// The identity with `key`; `name` (a role's name, 1 to 63 letters, digits and hyphens) is for
    /// people who look at the certificate and proves nothing.
    ///
    /// # Errors
    /// [`Fault::internal`] when a certificate cannot be made: no randomness, or a clock before
    /// 1970.
    pub fn new(
        key: &SigningKey,
        name: &str,
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Self, Fault> {
        let key = SigningKey::from_seed(key.seed());
        let pem = key.pkcs8_pem();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|error| Fault::internal(format!("the identity key is not PKCS#8: {error}")))?;
        let tls_key = any_eddsa_type(&der)
            .map_err(|error| Fault::internal(format!("the identity key is of no use: {error}")))?;
        let name = name.to_owned();
        let first = issue(&key, &tls_key, &name, clock.now(), &rng)?;
        let shared = Shared { key, tls_key, name, clock, rng, current: Mutex::new(first) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The SPKI hash of the key: what the owner's bundle names.
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.shared.key.public().spki_sha256()
    }

    /// The clock that certificates are judged by.
    pub(crate) fn clock(&self) -> &ClockHandle {
        &self.shared.clock
    }

    /// A random byte for what is no secret; 0 when there is none.
    pub(crate) fn random_byte(&self) -> u8 {
        self.shared.rng.array::<1>().map_or(0, |[byte]| byte)
    }

    /// The certificate to show now, renewed when half of its life is over.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let mut current = shared.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Also when the clock was set back: a certificate of the future would be refused.
        let is_fresh = (current.valid_from..current.renew_at).contains(&now);
        if !is_fresh {
            match issue(&shared.key, &shared.tls_key, &shared.name, now, &shared.rng) {
                Ok(renewed) => *current = renewed,
                // The old one has half a day left; the next handshake tries again.
                Err(fault) => tracing::error!(?fault, "cannot renew the link certificate"),
            }
        }
        current.certified.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} {})", self.shared.name, self.shared.key.public())
    }
}

fn issue(
    key: &SigningKey,
    tls_key: &Arc<dyn rustls::sign::SigningKey>,
    name: &str,
    now: Timestamp,
    rng: &RngHandle,
) -> Result<Shown, Fault> {
    let failed = |why: &dyn fmt::Display| {
        Fault::internal(format!("cannot make a link certificate for {name:?}: {why}"))
    };
    let from = now.plus_seconds(-BACKDATED_SECONDS);
    let until = now.plus_seconds(LIFETIME_SECONDS);
    let issued = pki::self_signed(key, name, &[name.to_owned()], from, until, &**rng)
        .map_err(|error| failed(&error))?;
    let certificate = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes())
        .map_err(|error| failed(&error))?;
    let certified = CertifiedKey::new(vec![certificate], tls_key.clone());
    let renew_at = now.plus_seconds(LIFETIME_SECONDS / 2);
    Ok(Shown { certified: Arc::new(certified), valid_from: from, renew_at })
}
