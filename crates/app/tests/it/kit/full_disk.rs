//! Small disks that are filled to the last byte.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::UnshareFlags;

use super::mounts::not_tested;
use super::run::finish;

/// Fills the disk that `dir` is on with a file, to the last byte.
pub(crate) fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    let mut length = 1 << 20;
    while length > 0 {
        if file.write_all(&vec![7; length]).is_err() {
            length /= 2;
        }
    }
    path
}

/// Does `work` in a thread that has mounts of its own: what it mounts is seen by the processes that
/// it starts, and is gone with them. `None`, and said loudly, where that cannot be had; in CI that
/// fails.
pub(crate) fn with_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let own = || {
        unshare_mounts().ok()?;
        let mut private = Command::new("mount");
        (finish(private.args(["--make-rprivate", "/"]), b"").code == 0).then_some(())
    };
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| own().map(|()| work()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if done.is_none() {
        let why = "mounts of its own need root";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
        not_tested(why);
    }
    done
}

#[expect(deprecated, reason = "unsound for file descriptors only, which stay shared here")]
fn unshare_mounts() -> rustix::io::Result<()> {
    rustix::thread::unshare(UnshareFlags::NEWNS)
}

/// Mounts a small disk over an empty directory, for this thread.
pub(crate) fn mount_small(dir: &Path, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("mode=700,{options}"), "tmpfs"]).arg(dir);
    finish(&mut mount, b"").expect(0);
}
