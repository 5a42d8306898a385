//! The copy on disk: how it is sealed, written and read.
//!
//! ```text
//! copy   = head | part*            head = "KSGC" 01 | number u64 | id 16
//! part   = length u32 | sealed     context = head | whose 64 | n u32 | whether it is the last
//! opened parts, one after the other = record*       record = length u32 | record in postcard
//! number = sealed (number u64 | time u64)             context = whose 64
//! ```
//! What a record with opened keys holds is sealed once more ([`super::keys`]).
//!
//! All integers are big-endian. A copy is whole or nothing: one octet that is different, a part
//! that is missing, moved or of another copy, and a copy that is somebody else's make it useless.
//! The file `number` beside it says which copy was the last, and when that was: an older one is
//! refused, and every one while the clock says that it is earlier.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keysherd_api::OfflinePolicy;
use keysherd_base::{AccessId, RngHandle, SecretBytes, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::vault::{SECRET_BYTES_MAX, VaultKey};
use keysherd_plane::cache::Receipt;
use keysherd_plane::grants::{GrantedItem, SignedPermit};
use serde::{Deserialize, Serialize};

use crate::files;

/// Directory in the gateway's own.
const DIRECTORY: &str = "read-copy";
const COPY: &str = "copy";
const UNFINISHED: &str = "copy.part";
const NUMBER: &str = "number";
const PURPOSE: &str = "read-copy";
const PURPOSE_NUMBER: &str = "read-copy-number";
const MAGIC: &[u8; 5] = b"KSGC\x01";
const HEAD_BYTES: usize = MAGIC.len() + 8 + 16;
/// Longest sealed part: a salt, a tag and a number are added to it.
const PART_BYTES_MAX: usize = SECRET_BYTES_MAX + 64;
/// Longest copy; reads that find no room are left out.
const COPY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Room that reads leave for what they need.
const NEEDED_BYTES: u64 = COPY_BYTES_MAX / 4;
/// What is left for reads, with room for what sealing adds.
pub(super) const READS_BYTES_MAX: u64 = COPY_BYTES_MAX / 8 * 5;

/// What a copy consists of: what is known of all of it, reads, and what opens them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Known(Known),
    Read(CopiedRead),
    Permit(SignedPermit),
    Manifest(CopiedManifest),
    /// Behind all others.
    Keys(CopiedKeys),
}

/// What is known of all reads of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// When it was written. Everything else is told by how long before that it was.
    pub(super) written: Timestamp,
    /// The machine's start, and how long before it was.
    pub(super) boot: Option<(String, u64)>,
    /// How long ago control was heard of, in milliseconds.
    pub(super) silent_millis: u64,
    /// What administrators allowed while it is not reached.
    pub(super) policies: Vec<(Uid, AccessId, OfflinePolicy)>,
}

/// A decision, with the ciphertext that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopiedRead {
    /// The place of the call in the cache.
    pub(super) call: [u8; 32],
    pub(super) account: Uid,
    pub(super) access_id: AccessId,
    /// Each version with its place in the copy's permits.
    pub(super) items: Vec<Arc<GrantedItem>>,
    /// How long ago it was asked for, in milliseconds.
    pub(super) age_millis: u64,
    pub(super) good_millis: u64,
    pub(super) receipt: Receipt,
}

/// What managers signed about a key version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopiedManifest {
    pub(super) account: Uid,
    pub(super) key: Uid,
    pub(super) version: u32,
    pub(super) signed: Arc<[u8]>,
}

/// Opened keys of what is wrapped by one key version, sealed under its customer fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopiedKeys {
    pub(super) account: Uid,
    pub(super) key: Uid,
    pub(super) version: u32,
    pub(super) sealed: Vec<u8>,
}

/// A copy as it was read.
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    /// What opened keys in it are bound to; see [`Bound`].
    pub(super) bound: [u8; 32],
}

/// Records out of the parts of a copy.
struct Records {
    read: Read,
    bound: Bound,
    /// What is not a whole record yet.
    rest: Vec<u8>,
}

impl Records {
    fn new(bound: Bound) -> Self {
        let read = Read { records: Vec::new(), bound: [0; 32] };
        Self { read, bound, rest: Vec::new() }
    }

    fn take(&mut self, part: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(part);
        let mut rest = self.rest.as_slice();
        while let Some((length, more)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
            let Some((text, more)) = more.split_at_checked(length) else { break };
            let record = postcard::from_bytes(text).map_err(|_| damaged())?;
            self.bound.take(&record, text);
            self.read.records.push(record);
            rest = more;
        }
        let taken = self.rest.len() - rest.len();
        self.rest.drain(..taken);
        Ok(())
    }

    fn finish(self) -> io::Result<Read> {
        let Self { read, bound: Bound(bound), rest } = self;
        if rest.is_empty() { Ok(Read { bound, ..read }) } else { Err(damaged()) }
    }
}

/// A hash of a copy's head and of every record that is no opened key, in their order. Opened keys
/// are sealed for it: who has the operator's key, but not the customer fragment, can make no copy
/// with other times, policies or reads in which they open.
struct Bound([u8; 32]);

impl Bound {
    fn to(head: &[u8; HEAD_BYTES], whose: &[u8; 64]) -> Self {
        Self(sha256(&[head, whose]))
    }

    fn take(&mut self, record: &Record, text: &[u8]) {
        if !matches!(record, Record::Keys(_)) {
            self.0 = sha256(&[&self.0, text]);
        }
    }
}

/// Where the copy is, and what it is sealed under.
pub(super) struct CopyFile {
    dir: PathBuf,
    key: VaultKey,
    /// Hashes of the gateway's key and of the name of its cluster.
    whose: [u8; 64],
    rng: RngHandle,
    state: Mutex<State>,
}

/// Who made a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Here,
    /// An earlier process.
    Before,
}

#[derive(Default)]
struct State {
    /// The number of the last copy.
    number: u64,
    /// The one there is.
    there: Option<Made>,
    /// How often something ended.
    ended: u64,
    /// Whether one is gone that may come back when the power fails.
    unsettled: bool,
}

/// A copy that is being written.
pub(super) struct Writing<'a> {
    to: &'a CopyFile,
    file: BufWriter<File>,
    head: [u8; HEAD_BYTES],
    bound: Bound,
    parts: u32,
    /// What is not sealed yet.
    open: Vec<u8>,
    bytes: u64,
    number: u64,
    ended: u64,
}

/// Removes what a process that had a key left in `home`.
pub(super) fn remove_left(home: &Path) {
    let dir = home.join(DIRECTORY);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(dir = %dir.display(), %error, "an old copy of reads is left");
        }
        _ => {}
    }
}

impl CopyFile {
    /// The copy in the gateway's directory `home`.
    pub(super) fn new(home: &Path, key: VaultKey, whose: [u8; 64], rng: RngHandle) -> Self {
        Self { dir: home.join(DIRECTORY), key, whose, rng, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Its parts change one by one, and each is right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the copy, at `now`; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not the last one that this gateway made under this key.
    pub(super) fn read(&self, now: Timestamp) -> io::Result<Option<Read>> {
        files::make_dir(&self.dir)?;
        let last = self.last()?;
        self.state().number = last.map_or(0, |(number, _)| number);
        let file = match File::open(self.dir.join(COPY)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        self.state().there = Some(Made::Before);
        let (least, at) = last.ok_or_else(|| refused("its number is not beside it"))?;
        if now < at {
            return Err(refused("the clock says that it is earlier than when it was made"));
        }
        let mut from = BufReader::new(file.take(COPY_BYTES_MAX));
        let mut head = [0; HEAD_BYTES];
        from.read_exact(&mut head)?;
        let number = head.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk());
        let number = number.ok_or_else(|| refused("it is none of this release"))?;
        let number = u64::from_be_bytes(*number);
        if number < least {
            return Err(refused("it is older than the last one that was made"));
        }
        let mut records = Records::new(Bound::to(&head, &self.whose));
        self.open_parts(&head, from, |part| records.take(part))?;
        self.state().number = number;
        records.finish().map(Some)
    }

    /// Opens one part after the other. What comes of them counts only when this succeeds.
    fn open_parts(
        &self,
        head: &[u8; HEAD_BYTES],
        mut from: BufReader<io::Take<File>>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut sealed = Vec::new();
        for n in 0.. {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
            if length > PART_BYTES_MAX {
                return Err(damaged());
            }
            sealed.resize(length, 0);
            from.read_exact(&mut sealed)?;
            let is_last = from.fill_buf()?.is_empty();
            let part = self.key.open(PURPOSE, &self.context(head, n, is_last), &sealed);
            let part = part.map_err(|_| refused("it is damaged, cut, or somebody else's"))?;
            take(part.expose())?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// The number of the last copy, and the time when it was noted.
    fn last(&self) -> io::Result<Option<(u64, Timestamp)>> {
        let sealed = match fs::read(self.dir.join(NUMBER)) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let opened = self.key.open(PURPOSE_NUMBER, &self.whose, &sealed);
        let opened = opened.map_err(|_| refused("its number is damaged, or somebody else's"))?;
        let (number, at) = opened.expose().split_first_chunk::<8>().ok_or_else(damaged)?;
        let at = i64::from_be_bytes(at.try_into().map_err(|_| damaged())?);
        Ok(Some((u64::from_be_bytes(*number), Timestamp(at))))
    }

    /// Notes that it is not earlier than `now`, and which copy was the last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn note(&self, now: Timestamp) -> io::Result<()> {
        let number = self.state().number;
        if number == 0 { Ok(()) } else { self.write_number(number, now) }
    }

    fn write_number(&self, number: u64, now: Timestamp) -> io::Result<()> {
        let text = [number.to_be_bytes(), now.0.to_be_bytes()].concat();
        let sealed =
            self.key.seal(PURPOSE_NUMBER, &self.whose, &SecretBytes::new(text), &*self.rng);
        let sealed = sealed.map_err(|_| io::Error::other("no randomness"))?;
        files::write(&self.dir, NUMBER, &sealed)
    }

    /// Something has ended: the copy is not true any more. It is gone when this returns, also one
    /// that is being written.
    pub(super) fn forget(&self) {
        self.forget_made(|_| true);
    }

    /// The same for a copy that was made by this process.
    pub(super) fn forget_own(&self) {
        self.forget_made(|made| made == Made::Here);
    }

    fn forget_made(&self, is_meant: impl Fn(Made) -> bool) {
        let mut state = self.state();
        state.ended += 1;
        if !state.there.is_some_and(is_meant) {
            return;
        }
        match fs::remove_file(self.dir.join(COPY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let outdated = self.outdate(&mut state);
                let dir = self.dir.display();
                tracing::error!(%dir, %error, ?outdated, "an old copy of reads is left");
            }
            _ => (state.there, state.unsettled) = (None, true),
        }
    }

    /// Makes the copy that there is an older one than the last: it is refused from now on.
    fn outdate(&self, state: &mut State) -> io::Result<()> {
        let (_, at) = self.last()?.unwrap_or_default();
        self.write_number(state.number + 1, at)?;
        state.number += 1;
        Ok(())
    }

    /// Has it on disk when a copy is gone.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn settle(&self) -> io::Result<()> {
        if std::mem::take(&mut self.state().unsettled) { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// How often something ended by now: to be asked before anything is looked at that is copied.
    pub(super) fn ended(&self) -> u64 {
        self.state().ended
    }

    /// Begins a new copy of how things are since something `ended` last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn begin(&self, known: Known, ended: u64) -> io::Result<Writing<'_>> {
        files::make_dir(&self.dir)?;
        let number = self.state().number + 1;
        let id = Uid::random(&*self.rng).map_err(|_| io::Error::other("no randomness"))?;
        let mut head = [0; HEAD_BYTES];
        let bytes = [MAGIC.as_slice(), &number.to_be_bytes(), id.as_bytes()].concat();
        head.copy_from_slice(&bytes);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = BufWriter::new(options.open(self.dir.join(UNFINISHED))?);
        file.write_all(&head)?;
        let (parts, open, bytes, bound) = (0, Vec::new(), 0, Bound::to(&head, &self.whose));
        let mut writing =
            Writing { to: self, file, head, bound, parts, open, bytes, number, ended };
        if writing.add(&Record::Known(known))? {
            return Ok(writing);
        }
        Err(io::Error::other("there are too many policies"))
    }

    /// Removes what could not be written to its end.
    pub(super) fn give_up(&self) {
        // It is overwritten otherwise.
        drop(fs::remove_file(self.dir.join(UNFINISHED)));
    }

    fn context(&self, head: &[u8; HEAD_BYTES], n: u32, is_last: bool) -> Vec<u8> {
        [head.as_slice(), &self.whose, &n.to_be_bytes(), &[u8::from(is_last)]].concat()
    }
}

impl Writing<'_> {
    /// What opened keys are sealed for, once everything else was added.
    pub(super) fn bound(&self) -> [u8; 32] {
        self.bound.0
    }

    /// Adds a record; whether there is room for it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, record: &Record) -> io::Result<bool> {
        let text = postcard::to_allocvec(record).map_err(io::Error::other)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let kept_free = if matches!(record, Record::Read(_)) { NEEDED_BYTES } else { 0 };
        let bytes = self.bytes + u64::from(length) + 4;
        // What sealing adds is less than a hundredth.
        if bytes + bytes / 100 + kept_free > COPY_BYTES_MAX - PART_BYTES_MAX as u64 {
            return Ok(false);
        }
        self.bytes = bytes;
        self.bound.take(record, &text);
        self.open.extend_from_slice(&length.to_be_bytes());
        self.open.extend_from_slice(&text);
        while self.open.len() > SECRET_BYTES_MAX {
            let rest = self.open.split_off(SECRET_BYTES_MAX);
            let part = std::mem::replace(&mut self.open, rest);
            self.put(part, false)?;
        }
        Ok(true)
    }

    fn put(&mut self, part: Vec<u8>, is_last: bool) -> io::Result<()> {
        let context = self.to.context(&self.head, self.parts, is_last);
        let sealed = self.to.key.seal(PURPOSE, &context, &SecretBytes::new(part), &*self.to.rng);
        let sealed = sealed.map_err(|_| io::Error::other("no randomness"))?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(&sealed)?;
        self.parts += 1;
        Ok(())
    }

    /// Puts it in the place of the last one, durably, at `now`; not when something ended in the
    /// meantime.
    ///
    /// # Errors
    /// When it cannot be written; the last one stays.
    pub(super) fn finish(mut self, now: Timestamp) -> io::Result<bool> {
        let part = std::mem::take(&mut self.open);
        self.put(part, true)?;
        let to = self.to;
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        {
            let mut state = to.state();
            if state.ended != self.ended {
                return Ok(false);
            }
            fs::rename(to.dir.join(UNFINISHED), to.dir.join(COPY))?;
            (state.number, state.there) = (self.number, Some(Made::Here));
        }
        to.sync()?;
        to.note(now)?;
        Ok(true)
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

fn damaged() -> io::Error {
    refused("it is damaged")
}
