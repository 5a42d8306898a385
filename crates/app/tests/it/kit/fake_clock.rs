//! A clock of one process that tests set, by way of libfaketime. The clock that only runs forward
//! is left alone, as it is when an operator sets the time.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian has it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The clock.
pub(crate) struct FakeClock {
    library: &'static str,
    file: PathBuf,
}

impl FakeClock {
    /// One that is right at first; it is set in a file in `dir`, which the process can read.
    pub(crate) fn new(dir: &Path) -> Self {
        let clock = Self::at(dir);
        clock.set(0);
        clock
    }

    /// The one that is set in `dir` already.
    pub(crate) fn at(dir: &Path) -> Self {
        let library = LIBRARIES.into_iter().find(|library| Path::new(library).is_file());
        Self { library: library.expect("libfaketime is missing"), file: dir.join("fake-clock") }
    }

    /// How far it is ahead of the machine's from now on, in seconds.
    pub(crate) fn set(&self, ahead: i64) {
        // It is read at every look at the clock, so it is never half there.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// What the process is started with.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap().to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Removes what the library leaves in shared memory, which a process in its sandbox cannot.
    pub(crate) fn tidy(pid: u32) {
        for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
            // Whether it leaves anything depends on its version.
            let _ = fs::remove_file(Path::new("/dev/shm").join(name));
        }
    }
}
