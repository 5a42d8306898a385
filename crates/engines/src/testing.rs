//! What tests of this crate share.

pub(crate) mod google;
#[path = "../../app/tests/it/kit/installed.rs"]
mod installed;
#[path = "../../app/tests/it/kit/kept.rs"]
mod kept;
#[path = "../../app/tests/it/kit/mysql.rs"]
pub(crate) mod mysql;
#[path = "../../app/tests/it/kit/python.rs"]
pub(crate) mod python;
pub(crate) mod rotation;
#[path = "../../app/tests/it/kit/samba.rs"]
pub(crate) mod samba;
#[path = "../../app/tests/it/kit/sshd.rs"]
pub(crate) mod sshd;
pub(crate) mod stub;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keysherd_base::{ItemPath, ManualClock, Timestamp, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_egress::Egress;
use keysherd_targets::{Endpoints, by_name as target_by_name};
use keysherd_wire::Args;
use serde_json::Value;

use crate::{Engine, Settings, Way, Wish};

/// A clock that stands still at 2026-01-05T10:11:12Z, real randomness, and a minute.
pub(crate) fn way() -> Way {
    Way {
        clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_767_607_872))),
        rng: SystemRng::handle(),
        egress: Egress::default(),
        timeout: Duration::from_secs(60),
        identity: None,
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

pub(crate) use self::installed::cache;
pub(crate) use self::kept::kept;
pub(crate) use crate::postgres::tests::server::ports::free_port;

/// Says, past the capture of a test that passes, that it did not test anything.
pub(crate) fn not_tested(why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {why}");
}

/// Goes on when something is so; panics after five minutes.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        let looked = Instant::now();
        if is_so() {
            return;
        }
        assert!(looked < end, "waited in vain for {what}");
        // A look may start a program: what is waited for needs the machine, too.
        tokio::time::sleep(looked.elapsed()).await;
    }
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
            is_trial: false,
        }
    }
}

#[test]
fn what_is_kept_ends_with_whoever_keeps_it() {
    let dir = tempfile::TempDir::with_prefix("keysherd-kept-").unwrap().keep();
    let file = dir.join("pid");
    let mut keeper = kept(&dir, ":", "sh");
    // Something that is started by what is kept, and would go on.
    keeper.args(["-c", "sleep 1000 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; wait"]).arg(&file);
    let mut keeper = keeper.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let within = |what: &str, holds: &dyn Fn() -> bool| {
        while !holds() {
            assert!(Instant::now() < until, "{what}");
            std::thread::yield_now();
        }
    };
    within("it is started", &|| file.is_file());
    let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let runs = || !std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty();
    assert!(runs());
    drop(keeper.stdin.take());
    keeper.wait().unwrap();
    within("all of it has ended", &|| !runs() && !dir.exists());
}
