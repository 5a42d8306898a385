//! Active-passive: a gateway on standby follows its cluster and answers whoever asks it, but is not
//! ready, so that no balancer sends it anybody, and has no leases. Promoting it is kept, so that a
//! restart in the middle of a failure does not undo it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use keysherd_base::Fault;

use crate::files;
use crate::leases::Leases;

/// The file that says that a gateway was promoted.
const PROMOTED: &str = "promoted";

/// Whether a gateway is on standby, and where it keeps that it is not any more.
pub(super) struct Standby {
    /// Whether it was started for standby.
    wanted: bool,
    active: AtomicBool,
    home: PathBuf,
    /// Held while it is changed, with all that follows of that: two changes at one time must not
    /// leave half of each.
    turn: Mutex<()>,
}

impl Standby {
    /// As it was when the gateway ended last.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the data directory cannot be read or written.
    pub(super) fn open(wanted: bool, home: PathBuf) -> Result<Self, Fault> {
        let promoted = home.join(PROMOTED).try_exists().map_err(|error| unusable(&error))?;
        if promoted && !wanted {
            // Put on standby later, it begins on standby.
            files::remove(&home, PROMOTED).map_err(|error| unusable(&error))?;
        }
        let active = AtomicBool::new(!wanted || promoted);
        Ok(Self { wanted, active, home, turn: Mutex::default() })
    }

    /// Whether it may be sent requests, and work for its cluster.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Changes that, durably, and has the leases follow: those that are to be given back, or
    /// `None` when it is no change. Nothing in it waits but for the disk, so that no caller who
    /// goes away leaves half of it.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(super) fn change(
        &self,
        active: bool,
        leases: &Leases,
    ) -> Result<Option<Vec<(&'static str, u64)>>, Fault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.set(active)? {
            return Ok(None);
        }
        if !active {
            return Ok(Some(leases.rest()));
        }
        leases.work();
        Ok(Some(Vec::new()))
    }

    /// Changes that, durably; whether it is a change.
    ///
    /// # Errors
    /// [`Fault::conflict`] for a gateway that was not started for standby, [`Fault::unavailable`]
    /// when it cannot be kept, and then nothing is changed.
    fn set(&self, active: bool) -> Result<bool, Fault> {
        if !self.wanted {
            return Err(Fault::conflict(
                "this gateway was not started with --standby; it is always active",
            )
            .with_code("Conflict"));
        }
        let kept = match active {
            true => files::make_dir(&self.home)
                .and_then(|()| files::write(&self.home, PROMOTED, b"by gateway-promote\n")),
            false => files::remove(&self.home, PROMOTED),
        };
        kept.map_err(|error| unusable(&error))?;
        Ok(self.active.swap(active, Ordering::AcqRel) != active)
    }
}

fn unusable(error: &std::io::Error) -> Fault {
    Fault::unavailable(format!("the file {PROMOTED} in the data directory: {error}"))
}

#[cfg(test)]
mod tests {
    use keysherd_base::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn a_promotion_outlives_a_restart_and_goes_with_the_setting() {
        let dir = tempfile::tempdir().unwrap();
        let open = |wanted| Standby::open(wanted, dir.path().to_owned()).unwrap();
        let standby = open(true);
        assert!(!standby.is_active());
        assert!(standby.set(true).unwrap() && standby.is_active());
        assert!(!standby.set(true).unwrap(), "it is already");
        assert!(open(true).is_active());
        assert!(open(true).set(false).unwrap());
        assert!(!open(true).is_active());
        open(true).set(true).unwrap();
        let always = open(false);
        assert!(always.is_active());
        let refused = always.set(false).unwrap_err();
        assert!(refused.public().contains("--standby"), "{refused:?}");
        assert!(!open(true).is_active(), "what was promoted before is over");
    }

    #[test]
    fn what_cannot_be_kept_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("no-directory");
        std::fs::write(&file, b"").unwrap();
        let standby = Standby {
            wanted: true,
            active: AtomicBool::new(false),
            home: file,
            turn: Mutex::default(),
        };
        assert!(standby.set(true).unwrap_err().public().contains("promoted"));
        assert!(!standby.is_active());
    }
    #[test]
    fn promotions_and_demotions_at_one_time_leave_one_of_both() {
        let dir = tempfile::tempdir().unwrap();
        let standby = Standby::open(true, dir.path().to_owned()).unwrap();
        let clock = std::sync::Arc::new(ManualClock::new(Timestamp(0)));
        let leases = Leases::new(clock, crate::Duty::new(true));
        leases.rest();
        for round in 0..200 {
            std::thread::scope(|scope| {
                for active in [true, false] {
                    let (standby, leases) = (&standby, &leases);
                    scope.spawn(move || standby.change(active, leases).unwrap());
                }
            });
            let kept = dir.path().join(PROMOTED).exists();
            let states = (standby.is_active(), leases.works());
            assert_eq!(states, (kept, kept), "round {round}");
        }
    }
}
