//! Where a role listens: a note in its data directory, for `keysherd health`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use keysherd_http::Ready;
use serde::{Deserialize, Serialize};

use super::files::DataDir;
use crate::exit::Exit;

/// The note's file.
const FILE: &str = "listening";
/// How often it is looked whether the role takes requests.
const LOOK: Duration = Duration::from_millis(500);
/// Longest note, in bytes.
const BYTES_MAX: u64 = 1_024;

/// Where a role listens, and how it is asked whether it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listening {
    /// What it listens at.
    address: SocketAddr,
    /// The SPKI hash of its key in hexadecimal digits, for roles that other roles connect to;
    /// without one it is asked over HTTPS.
    key: Option<String>,
    /// Why it takes no requests now, in a word.
    #[serde(default)]
    unready: Option<String>,
    /// Whether this machine has to begin with the PROXY protocol.
    #[serde(default)]
    as_proxy: bool,
}

impl Listening {
    /// A listener for clients. `demands_header` says of whom it demands the PROXY protocol.
    pub(crate) fn for_clients(
        address: SocketAddr,
        demands_header: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let mut this = Self { address, key: None, as_proxy: false, unready: None };
        // A machine that connects to an address of its own does so from that address.
        this.as_proxy = demands_header(this.reachable().ip());
        this
    }

    /// A listener for other roles, which shows the key with this SPKI hash.
    pub(crate) fn for_roles(address: SocketAddr, spki_sha256: [u8; 32]) -> Self {
        Self { address, key: Some(hex::encode(spki_sha256)), as_proxy: false, unready: None }
    }

    /// Leaves the note, and says whether it is there. A full disk is no reason not to serve.
    pub(crate) fn note(&self, dir: &DataDir) -> bool {
        let written = self.write(dir);
        if let Err(exit) = &written {
            tracing::warn!(%exit, "keysherd health will not find this role");
        }
        written.is_ok()
    }

    fn write(&self, dir: &DataDir) -> Result<(), Exit> {
        dir.write(FILE, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Has the note say whether the role takes requests, for as long as this is waited for: where
    /// clients have to show certificates, a probe has none to ask the listener itself.
    pub(crate) async fn keep(mut self, dir: DataDir, ready: Ready) {
        let mut looks = tokio::time::interval(LOOK);
        // What could not be written is tried again, and told once; the first note may be such.
        let mut pending = true;
        loop {
            looks.tick().await;
            let unready = ready().err().map(str::to_owned);
            let changed = unready != self.unready;
            if changed || pending {
                self.unready = unready;
                let (note, dir, is_new) = (self.clone(), dir.clone(), changed && !pending);
                let note = move || if is_new { note.note(&dir) } else { note.write(&dir).is_ok() };
                pending = !tokio::task::spawn_blocking(note).await.unwrap_or(false);
            }
        }
    }

    /// Why the role takes no requests now, if it does not.
    pub(crate) fn unready(&self) -> Option<&str> {
        self.unready.as_deref()
    }

    /// The note of the role with this data directory.
    ///
    /// # Errors
    /// [`Exit::Files`] when it never listened, or its directory is not ours to read.
    pub(crate) fn read(dir: &Path) -> Result<Self, Exit> {
        let file = dir.join(FILE);
        let failed = |why: String| Exit::Files(format!("{}: {why}", file.display()));
        let bytes = std::fs::metadata(&file)
            .map_err(|error| failed(format!("{error}; does a role run with this --data-dir?")))?
            .len();
        if bytes > BYTES_MAX {
            return Err(failed(format!("{bytes} bytes are too many")));
        }
        let text = std::fs::read(&file).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }

    /// The address to connect to from this machine.
    pub(crate) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }

    /// Whether whoever asks from this machine has to begin with the PROXY protocol.
    pub(crate) fn as_proxy(&self) -> bool {
        self.as_proxy
    }

    /// The SPKI hash of the key that is shown there.
    ///
    /// # Errors
    /// [`Exit::Files`] when the note does not say it in 64 hexadecimal digits.
    pub(crate) fn key(&self) -> Result<Option<[u8; 32]>, Exit> {
        let Some(digits) = &self.key else { return Ok(None) };
        let key = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        key.map(Some).ok_or_else(|| Exit::Files(format!("{FILE}: '{digits}' is no key")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_left() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("data")).unwrap();
        let path = place.path().join("data/role");
        let dir = DataDir::open(&path).unwrap();
        let refused = Listening::read(&path).unwrap_err().to_string();
        assert!(refused.contains("listening") && refused.contains("--data-dir"), "{refused}");
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (listens, asked) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8400", "[::1]:8400"),
            ("10.0.0.7:8401", "10.0.0.7:8401"),
        ] {
            let noted = Listening::for_roles(at(listens), [7; 32]);
            noted.note(&dir);
            let read = Listening::read(&path).unwrap();
            assert_eq!((&read, read.reachable()), (&noted, at(asked)));
            assert_eq!(read.key().unwrap(), Some([7; 32]));
        }
        for demands in [false, true] {
            let local = |ip: IpAddr| demands && ip.is_loopback();
            Listening::for_clients(at("0.0.0.0:1"), local).note(&dir);
            let read = Listening::read(&path).unwrap();
            assert_eq!((read.key().unwrap(), read.as_proxy()), (None, demands));
        }
        // Notes of before the PROXY protocol are read.
        std::fs::write(path.join("listening"), r#"{"address":"127.0.0.1:1","key":null}"#).unwrap();
        assert!(!Listening::read(&path).unwrap().as_proxy());
        for bad in [
            "",
            "{}",
            r#"{"address":"127.0.0.1:1","key":null,"more":1}"#,
            r#"{"address":"localhost:1","key":null}"#,
            &"x".repeat(2_000),
        ] {
            std::fs::write(path.join("listening"), bad).unwrap();
            assert!(Listening::read(&path).is_err(), "{bad}");
        }
        let short = r#"{"address":"127.0.0.1:1","key":"07"}"#;
        std::fs::write(path.join("listening"), short).unwrap();
        assert!(Listening::read(&path).unwrap().key().is_err());
    }

    /// A gateway was on standby, and is active after a start on a full disk.
    #[tokio::test]
    async fn a_note_that_could_not_be_written_is_written_once_there_is_room() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("role");
        let dir = DataDir::open(&path).unwrap();
        let mut note = Listening::for_clients("127.0.0.1:1".parse().unwrap(), |_| false);
        note.unready = Some("standby".to_owned());
        assert!(note.note(&dir));
        // A directory in the note's place stands for a disk that takes nothing.
        let file = path.join(FILE);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        std::fs::write(file.join("full"), "").unwrap();
        let (looks, looked) = watch::channel(0);
        let ready = move || {
            looks.send_modify(|looks| *looks += 1);
            Ok(())
        };
        let keeping = tokio::spawn(note.keep(dir, Arc::new(ready)));
        let after = async |more: usize| {
            let mut looked = looked.clone();
            let wanted = *looked.borrow() + more;
            let waited = looked.wait_for(|looks| *looks >= wanted);
            tokio::time::timeout(Duration::from_secs(60), waited).await.unwrap().unwrap();
        };
        after(3).await;
        assert!(Listening::read(&path).is_err());
        std::fs::remove_dir_all(&file).unwrap();
        // What a look begins is done before the next one.
        after(3).await;
        assert_eq!(Listening::read(&path).unwrap().unready(), None);
        keeping.abort();
    }
}
