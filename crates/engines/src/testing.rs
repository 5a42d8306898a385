//! What tests of this crate share.

#[path = "../../app/tests/it/kit/installed.rs"]
mod installed;
#[path = "../../app/tests/it/kit/python.rs"]
pub(crate) mod python;
pub(crate) mod rotation;
pub(crate) mod stub;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ItemPath, ManualClock, Timestamp, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_egress::Egress;
use keysherd_targets::aws::Endpoints;
use keysherd_targets::by_name as target_by_name;
use keysherd_wire::Args;
use serde_json::Value;

use crate::{Engine, Settings, Way, Wish};

/// A clock that stands still at 2026-01-05T10:11:12Z, real randomness, and 20 seconds.
pub(crate) fn way() -> Way {
    Way {
        clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_767_607_872))),
        rng: SystemRng::handle(),
        egress: Egress::default(),
        timeout: Duration::from_secs(20),
        voucher: None,
        endpoints: Endpoints::default(),
    }
}

fn args(given: &[(&'static str, &str)]) -> Args {
    let mut args = Args::new();
    for (name, value) in given {
        args.put(name, Value::from(*value));
    }
    args
}

/// The settings of a dynamic secret that is made with these arguments.
pub(crate) fn settings(engine: &dyn Engine, given: &[(&'static str, &str)]) -> Settings {
    engine.merged(&args(given), Settings::default()).unwrap()
}

/// The settings of a database target that is made with these arguments.
pub(crate) fn target(given: &[(&'static str, &str)]) -> Settings {
    target_of("db", given)
}

/// The settings of a target of this kind that is made with these arguments.
pub(crate) fn target_of(kind: &str, given: &[(&'static str, &str)]) -> Settings {
    target_by_name(kind).unwrap().merged(&args(given), Settings::default()).unwrap()
}

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What runs `program` until this end of its input is closed, then kills it with all that it
/// started, does `end`, and removes the directory.
pub(crate) fn kept(dir: &Path, end: &str, program: &str) -> Command {
    let mut keeper = Command::new("sh");
    let script = format!(
        "set -m; \"$@\" < /dev/null & cat > /dev/null; kill -9 -- -$!; wait; {end}; rm -rf \"$0\""
    );
    keeper.args(["-c", &script]).arg(dir).arg(program);
    keeper.stdin(Stdio::piped());
    keeper
}

/// Somebody who wants something.
pub(crate) struct Caller {
    item: ItemPath,
    pub(crate) claims: BTreeMap<String, Vec<String>>,
}

impl Caller {
    pub(crate) fn with(claims: &[(&str, &str)]) -> Self {
        let claims = claims.iter().map(|(name, value)| {
            ((*name).to_owned(), vec![(*value).to_owned(), "second".to_owned()])
        });
        Self { item: ItemPath::parse("/prod/Reporting").unwrap(), claims: claims.collect() }
    }

    /// Their wish, of a lease of its own.
    pub(crate) fn wish(&self) -> Wish<'_> {
        Wish {
            lease: Uid::random(way().rng.as_ref()).unwrap(),
            item: &self.item,
            access_id: "p-abc123def456",
            sub_claims: &self.claims,
            ttl_seconds: 3_600,
            args: &[],
            host: None,
            dbname: None,
        }
    }
}
