//! Encrypting and decrypting messages with a key: by window keys (GCM), by sealed material (SIV,
//! CBC). Control authorizes and records every call; only the derivation is saved by the caches.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use keysherd_api::{Ctx, Recorded, TransitMessage, TransitResult};
use keysherd_base::{ClockHandle, Fault, KeyId, RngHandle, Secret, SecretBytes, Timestamp, Uid};
use keysherd_crypto::cbc::CbcKey;
use keysherd_crypto::envelope::{Envelope, Kek};
use keysherd_crypto::memory::Sealer;
use keysherd_crypto::siv::SivKey;
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::PlaneHandle;
use keysherd_plane::grants::{Grant, Granted, ItemRef, Keeping, KeyRef, Wish};
use quick_cache::sync::Cache;

use crate::batcher::Batcher;
use crate::derive::{DerivedKek, NOT_COMMITTED, NOT_CONFIRMED, too_few};
use crate::reader::payload_key;
use crate::tenants::Tenants;

mod message;

use message::Message;

/// Messages encrypted under one window key (`fragments.md` 5.7).
const WINDOW_MESSAGES_MAX: u32 = 1 << 20;
/// Seconds a window is used for encrypting.
const WINDOW_SECONDS: i64 = 3_600;
/// Seconds a window is used on at most while no other can be opened.
const WINDOW_SECONDS_MAX: i64 = 86_400;
/// Seconds until it is tried again to open another one.
const EXTENSION_SECONDS: i64 = 60;
/// In place of a salt where there is no window.
const NO_SALT: [u8; 32] = [0; 32];
/// Window keys kept for decrypting.
const WINDOWS_MAX: usize = 10_000;

/// A window key, encrypted in memory.
struct Window {
    key: KeyRef,
    salt: [u8; 32],
    sealed: Box<[u8]>,
    opened: Timestamp,
    expires: Timestamp,
    messages: AtomicU32,
    /// How often everything had been forgotten when it was asked for.
    round: u64,
}

/// Keys at work on messages.
pub(crate) struct Transit {
    plane: PlaneHandle,
    batcher: Batcher,
    clock: ClockHandle,
    rng: RngHandle,
    sealer: Sealer,
    /// What an account's name for a key stood for.
    resolved: Cache<(Uid, ItemRef, Option<u32>), KeyRef>,
    tenants: Arc<Tenants>,
    current: Cache<(KeyId, u32), Arc<Window>>,
    by_salt: Cache<[u8; 32], Arc<Window>>,
    /// How often everything was forgotten.
    round: AtomicU64,
}

/// What a granted key does to a message.
enum Cipher {
    Window { kek: Kek, salt: [u8; 32], key_bytes: usize, version: u32 },
    Siv(SivKey, u32),
    Cbc(Box<CbcKey>, u32),
}

impl Transit {
    /// Derives through `batcher`.
    pub(crate) fn new(
        plane: PlaneHandle,
        batcher: Batcher,
        clock: ClockHandle,
        rng: RngHandle,
        tenants: Arc<Tenants>,
    ) -> Result<Self, Fault> {
        let sealer = Sealer::new(&*rng)?;
        Ok(Self {
            plane,
            batcher,
            clock,
            rng,
            sealer,
            resolved: Cache::new(WINDOWS_MAX),
            tenants,
            current: Cache::new(WINDOWS_MAX),
            by_salt: Cache::new(WINDOWS_MAX),
            round: AtomicU64::new(0),
        })
    }

    /// Forgets every window, also those that are on their way.
    pub(crate) fn clear(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
        self.current.clear();
        self.by_salt.clear();
    }

    /// Whether nothing was forgotten since the window was asked for.
    fn is_known(&self, window: &Window) -> bool {
        window.round == self.round.load(Ordering::Acquire)
    }

    /// Encrypts messages, in order; one grant, and so one audit record, for each key.
    pub(crate) async fn encrypt(&self, ctx: &Ctx, all: Vec<TransitMessage>) -> Vec<TransitResult> {
        let mut results = Results::new(all.len());
        for group in groups(&all, |message| (message.key.clone(), message.version)) {
            let cipher = self.encrypting(ctx, group.first).await;
            results.put(group.places, |place| match &cipher {
                Ok(cipher) => cipher.encrypt(&all[place], &*self.rng),
                Err(fault) => Err(fault.clone()),
            });
        }
        results.0
    }

    /// Decrypts messages, in order; one grant for each window of each key.
    pub(crate) async fn decrypt(&self, ctx: &Ctx, all: Vec<TransitMessage>) -> Vec<TransitResult> {
        let window = |message: &TransitMessage| match Message::parse(message.data.expose()) {
            Ok(Message::Window { salt, version, .. }) => Some((version, salt)),
            Ok(Message::Fixed { version, .. }) => Some((version, NO_SALT)),
            Err(_) => None,
        };
        let mut results = Results::new(all.len());
        for group in groups(&all, |message| (message.key.clone(), window(message))) {
            let cipher = self.decrypting(ctx, group.first).await;
            results.put(group.places, |place| match &cipher {
                Ok(cipher) => cipher.decrypt(&all[place]),
                Err(fault) => Err(fault.clone()),
            });
        }
        results.0
    }

    async fn encrypting(&self, ctx: &Ctx, message: &TransitMessage) -> Result<Cipher, Fault> {
        let known = (message.key.clone(), message.version);
        let account = self.tenants.of(ctx.caller());
        let resolved =
            account.and_then(|account| self.resolved.get(&(account, known.0.clone(), known.1)));
        let window = resolved.and_then(|key| self.open_window(&key));
        if let Some((window, key)) = window {
            let wish = use_key(message, message.version, window.salt, true);
            let granted = self.granted_warm(ctx, wish).await?;
            if let Granted::Transit { key: now, algorithm, .. } = granted
                && now == key
                && let Some(kek) = self.unseal(&window)
            {
                window.messages.fetch_add(1, Ordering::Relaxed);
                let key_bytes = gcm_key_bytes(algorithm)?;
                return Ok(Cipher::Window {
                    kek,
                    salt: window.salt,
                    key_bytes,
                    version: key.version,
                });
            }
        }
        let salt = self.rng.array()?;
        let wish = use_key(message, message.version, salt, true);
        let name = known.0.clone();
        let cipher = self.granted_cold(ctx, wish, Some(known), salt, None).await;
        // Control has told by now what the name stands for.
        let account = self.tenants.of(ctx.caller());
        let resolved =
            account.and_then(|account| self.resolved.get(&(account, name, message.version)));
        match (cipher, resolved) {
            (Err(fault), Some(key)) if fault.code() == NOT_CONFIRMED => {
                self.extended(ctx, message, &key).await?.ok_or(fault)
            }
            (cipher, _) => cipher,
        }
    }

    /// The last window, used on while a manager is missing and no other can be opened; `None` when
    /// there is none or it was used for long enough.
    async fn extended(
        &self,
        ctx: &Ctx,
        message: &TransitMessage,
        key: &KeyRef,
    ) -> Result<Option<Cipher>, Fault> {
        let now = self.clock.now();
        let usable = |window: &Arc<Window>| {
            self.is_known(window)
                && now < window.opened.plus_seconds(WINDOW_SECONDS_MAX)
                && window.messages.load(Ordering::Relaxed) < WINDOW_MESSAGES_MAX
        };
        let window = self.current.get(&(key.key_id, key.version)).filter(usable);
        let Some(window) = window else { return Ok(None) };
        let wish = use_key(message, message.version, window.salt, true);
        let Granted::Transit { key: now_key, algorithm, .. } = self.granted_warm(ctx, wish).await?
        else {
            return Ok(None);
        };
        let Some(kek) = self.unseal(&window).filter(|_| now_key == *key) else { return Ok(None) };
        let messages = window.messages.load(Ordering::Relaxed).saturating_add(1);
        let longer = Arc::new(Window {
            key: window.key,
            salt: window.salt,
            sealed: window.sealed.clone(),
            opened: window.opened,
            expires: now.plus_seconds(EXTENSION_SECONDS),
            messages: AtomicU32::new(messages),
            round: window.round,
        });
        self.current.insert((key.key_id, key.version), longer.clone());
        self.by_salt.insert(window.salt, longer);
        let key_bytes = gcm_key_bytes(algorithm)?;
        Ok(Some(Cipher::Window { kek, salt: window.salt, key_bytes, version: key.version }))
    }

    async fn decrypting(&self, ctx: &Ctx, message: &TransitMessage) -> Result<Cipher, Fault> {
        let parsed = Message::parse(message.data.expose())?;
        let version = parsed.version();
        if message.version.is_some_and(|wanted| wanted != version) {
            return Err(Fault::bad_request(format!(
                "invalid version: the ciphertext was made with key version {version}"
            )));
        }
        let (salt, com) = match parsed {
            Message::Window { salt, com, .. } => (salt, Some(com)),
            Message::Fixed { .. } => (NO_SALT, None),
        };
        let cached = com.and_then(|_| self.by_salt.get(&salt));
        let cached =
            cached.filter(|window| window.expires > self.clock.now() && self.is_known(window));
        if let Some(window) = cached {
            let wish = use_key(message, Some(version), salt, false);
            // The grant is for the key the caller named; the cached window may be another key's,
            // which the caller need not have any right to.
            if let Granted::Transit { key, algorithm, .. } = self.granted_warm(ctx, wish).await?
                && key == window.key
                && let Some(kek) = self.unseal(&window)
            {
                let key_bytes = gcm_key_bytes(algorithm)?;
                return Ok(Cipher::Window { kek, salt, key_bytes, version: key.version });
            }
        }
        let wish = use_key(message, Some(version), salt, false);
        self.granted_cold(ctx, wish, None, salt, com).await
    }

    async fn granted_warm(&self, ctx: &Ctx, wish: Wish) -> Result<Granted, Fault> {
        let message = Grant {
            wishes: vec![(ctx.caller().clone(), wish)],
            with_permit: false,
            keep: Keeping::No,
        };
        let reply = self.plane.ask(ctx.caller().clone(), message).await;
        let outcome = reply.and_then(|reply| {
            let first = reply.outcomes.into_iter().next();
            first.ok_or_else(|| Fault::internal("a grant without an outcome"))?
        });
        let granted = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        Ok(granted.granted)
    }

    async fn granted_cold(
        &self,
        ctx: &Ctx,
        wish: Wish,
        known: Option<(ItemRef, Option<u32>)>,
        salt: [u8; 32],
        com: Option<[u8; 32]>,
    ) -> Result<Cipher, Fault> {
        let round = self.round.load(Ordering::Acquire);
        let outcome = self.batcher.derive(ctx.caller().clone(), wish, com).await;
        let derived = outcome.inspect_err(|fault| ctx.mark_fault(fault))?;
        ctx.mark(Recorded::Success);
        if let Granted::Transit { key, .. } = &derived.granted.granted {
            let account = derived.granted.account;
            self.tenants.learn(ctx.caller(), account);
            if let Some((name, version)) = &known {
                self.resolved.insert((account, name.clone(), *version), *key);
            }
        }
        // The message names its window itself: a key that does not fit is the caller's mistake.
        let keks = derived.keks.map_err(|fault| match fault.code() {
            NOT_COMMITTED if com.is_some() => message::cannot_open(),
            _ => fault,
        })?;
        let no_key = || Fault::internal("a key was granted without a derivation");
        let (_, DerivedKek { kek, missing }) = keks.into_iter().next().ok_or_else(no_key)?;
        // Messages lie anywhere: one under a wrong window key could not be repaired.
        if !missing.is_empty() {
            return Err(too_few(missing));
        }
        match derived.granted.granted {
            Granted::Transit { key, algorithm, .. } => {
                // A message without a window names no salt: there is nothing to find it by.
                let known_or_named = known.is_some() || com.is_some();
                let window = Arc::new(self.window(&kek, key, salt, round));
                if known.is_some() {
                    self.current.insert((key.key_id, key.version), window.clone());
                }
                if known_or_named {
                    self.by_salt.insert(salt, window);
                }
                let key_bytes = gcm_key_bytes(algorithm)?;
                Ok(Cipher::Window { kek, salt, key_bytes, version: key.version })
            }
            Granted::SealedKey { version, key, algorithm, ciphertext, .. } => {
                let material = self.material(&ciphertext, &key, &kek)?;
                fixed_cipher(algorithm, &material, version)
            }
            Granted::Read(_) | Granted::Write { .. } => Err(no_key()),
        }
    }

    fn open_window(&self, key: &KeyRef) -> Option<(Arc<Window>, KeyRef)> {
        let window = self.current.get(&(key.key_id, key.version))?;
        let fresh = self.is_known(&window)
            && window.expires > self.clock.now()
            && window.messages.load(Ordering::Relaxed) < WINDOW_MESSAGES_MAX;
        fresh.then_some((window, *key))
    }

    fn window(&self, kek: &Kek, key: KeyRef, salt: [u8; 32], round: u64) -> Window {
        let mut bytes = SecretBytes::new(kek.kek.expose().to_vec());
        bytes.expose_mut().extend_from_slice(&kek.com);
        Window {
            key,
            salt,
            sealed: self.sealer.seal(bytes.expose()),
            opened: self.clock.now(),
            expires: self.clock.now().plus_seconds(WINDOW_SECONDS),
            messages: AtomicU32::new(1),
            round,
        }
    }

    fn unseal(&self, window: &Window) -> Option<Kek> {
        let bytes = self.sealer.open(&window.sealed)?;
        let (kek, com) = bytes.expose().split_first_chunk()?;
        Some(Kek { kek: Secret::new(*kek), com: com.try_into().ok()? })
    }

    fn material(&self, ciphertext: &[u8], key: &KeyRef, kek: &Kek) -> Result<SecretBytes, Fault> {
        let broken = || Fault::internal(format!("key {}: its material does not open", key.key_id));
        let envelope = Envelope::parse(ciphertext).map_err(|_| broken())?;
        let payload = payload_key(&envelope, key, kek).ok_or_else(broken)?;
        envelope.open(&payload).map_err(|_| broken())
    }
}

impl Cipher {
    fn encrypt(&self, message: &TransitMessage, rng: &dyn keysherd_base::Rng) -> TransitResult {
        let plaintext = message.data.expose();
        match self {
            Self::Window { kek, salt, key_bytes, version } => message::seal_window(
                kek,
                &message::WindowHead { version: *version, salt: *salt, key_bytes: *key_bytes },
                &message.context,
                plaintext,
                rng,
            ),
            Self::Siv(key, version) => {
                Ok(message::fixed(*version, true, &key.seal(&message.context, plaintext)))
            }
            Self::Cbc(key, version) => {
                let iv = message.iv.as_ref().ok_or_else(no_iv)?;
                Ok(message::fixed(*version, false, &key.encrypt(iv, plaintext)))
            }
        }
    }

    fn decrypt(&self, message: &TransitMessage) -> TransitResult {
        match (self, Message::parse(message.data.expose())?) {
            (Self::Window { kek, key_bytes, .. }, Message::Window { bytes, .. }) => {
                message::open_window(kek, *key_bytes, &message.context, bytes)
            }
            (Self::Siv(key, _), Message::Fixed { body, siv: true, .. }) => {
                key.open(&message.context, body).map_err(|_| message::cannot_open())
            }
            (Self::Cbc(key, _), Message::Fixed { body, siv: false, .. }) => {
                let iv = message.iv.as_ref().ok_or_else(no_iv)?;
                key.decrypt(iv, body).map_err(|_| message::cannot_open())
            }
            _ => Err(message::cannot_open()),
        }
    }
}

/// Messages that share a key.
struct Group<'a> {
    first: &'a TransitMessage,
    places: Vec<usize>,
}

/// Groups messages by what they share, in the order of their first ones.
fn groups<K: Eq + Hash>(
    all: &[TransitMessage],
    shared: impl Fn(&TransitMessage) -> K,
) -> Vec<Group<'_>> {
    let mut known: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (place, message) in all.iter().enumerate() {
        let next = groups.len();
        let at = *known.entry(shared(message)).or_insert(next);
        match groups.get_mut(at) {
            Some(group) => group.places.push(place),
            None => groups.push(Group { first: message, places: vec![place] }),
        }
    }
    groups
}

/// One result for each message, in their order.
struct Results(Vec<TransitResult>);

impl Results {
    fn new(length: usize) -> Self {
        let nothing = || Err(Fault::internal("a message was passed over"));
        Self(std::iter::repeat_with(nothing).take(length).collect())
    }

    fn put(&mut self, places: Vec<usize>, mut result: impl FnMut(usize) -> TransitResult) {
        for place in places {
            if let Some(slot) = self.0.get_mut(place) {
                *slot = result(place);
            }
        }
    }
}

fn use_key(message: &TransitMessage, version: Option<u32>, salt: [u8; 32], encrypt: bool) -> Wish {
    Wish::Transit { key: message.key.clone(), version, salt, encrypt }
}

fn gcm_key_bytes(algorithm: KeyAlgorithm) -> Result<usize, Fault> {
    match algorithm {
        KeyAlgorithm::Aes128Gcm => Ok(16),
        KeyAlgorithm::Aes256Gcm => Ok(32),
        _ => Err(Fault::internal("a window was granted for a key with fixed material")),
    }
}

fn fixed_cipher(
    algorithm: KeyAlgorithm,
    material: &SecretBytes,
    version: u32,
) -> Result<Cipher, Fault> {
    let wrong = || Fault::internal("key material of the wrong length");
    match algorithm {
        KeyAlgorithm::Aes128Siv | KeyAlgorithm::Aes256Siv => {
            Ok(Cipher::Siv(SivKey::new(material.expose()).ok_or_else(wrong)?, version))
        }
        KeyAlgorithm::Aes128Cbc | KeyAlgorithm::Aes256Cbc => {
            let key = CbcKey::new(material.expose()).ok_or_else(wrong)?;
            Ok(Cipher::Cbc(Box::new(key), version))
        }
        KeyAlgorithm::Aes128Gcm | KeyAlgorithm::Aes256Gcm => Err(wrong()),
    }
}

fn no_iv() -> Fault {
    Fault::bad_request(
        "missing initialization vector: CBC keys take it as encryption-context iv=<base64 of 16 \
         bytes>",
    )
}
