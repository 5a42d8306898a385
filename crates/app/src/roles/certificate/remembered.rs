//! What administrators of the cluster set last, for starts while control is away: clients that
//! trust that certificate trust no other one.
//!
//! It lies beside the gateway's own pair, with the same protection. It counts for one cluster, and
//! only until that says something else.

use keysherd_base::{AccessId, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::roles::files::DataDir;

/// The file.
const NAME: &str = "cluster.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Access id and name of the cluster.
    cluster: String,
    wish: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.wish)));
    }
}

/// What was set last in the cluster with this access id and name.
pub(super) fn read(dir: &DataDir, of: (&AccessId, &str)) -> Option<SecretString> {
    let bytes = Secret::new(dir.read(NAME).ok()??);
    let mut kept: Kept = serde_json::from_slice(bytes.expose()).ok()?;
    (kept.cluster == cluster(of)).then(|| Secret::new(std::mem::take(&mut kept.wish)))
}

/// Remembers what is set now.
///
/// # Errors
/// Why not: the next start shows what was remembered before.
pub(super) fn keep(
    dir: &DataDir,
    of: (&AccessId, &str),
    wish: Option<&SecretString>,
) -> Result<(), String> {
    match wish {
        Some(wish) => write(dir, of, wish),
        None if dir.join(NAME).exists() => dir.remove(NAME).map_err(|exit| exit.to_string()),
        None => Ok(()),
    }
}

fn write(dir: &DataDir, of: (&AccessId, &str), wish: &SecretString) -> Result<(), String> {
    let kept = Kept { cluster: cluster(of), wish: wish.expose().clone() };
    let bytes = serde_json::to_vec(&kept).map(Secret::new).map_err(|error| error.to_string())?;
    dir.write(NAME, bytes.expose()).map_err(|exit| exit.to_string())
}

fn cluster((access_id, name): (&AccessId, &str)) -> String {
    format!("{access_id}/{name}")
}
