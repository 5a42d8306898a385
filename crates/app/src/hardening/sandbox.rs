//! A sandbox that a role enters before its first thread: Landlock for files, seccomp for system
//! calls. Both only take rights away, and nothing gives them back.
//!
//! It is the second line. Whoever takes over a role keeps what the role holds in memory and on its
//! sockets; the sandbox keeps them from the rest of the machine: other files, other programs,
//! other processes' memory.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::Confinement;
use crate::exit::Exit;

#[cfg(test)]
mod tests;

/// What every program needs to resolve names, find its zone, and know its limits.
const COMMON: &[&str] = &[
    "/etc",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/sys/vm",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    // A static program has no system call for randomness that its libraries would find: they ask
    // the first whether the second is ready.
    "/dev/random",
    "/dev/urandom",
];
/// What may be written besides.
const COMMON_WRITABLE: &[&str] = &["/dev/null"];
/// The newest version of Landlock whose rights are asked for; older kernels give what they have.
const LANDLOCK: ABI = ABI::V6;
/// Address families that sockets may have: Unix, IPv4, IPv6, and netlink, which resolvers ask
/// for this machine's addresses.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Calls that start programs.
const STARTS: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];
/// Calls that no role ever makes, and that help whoever took one over: other processes' memory,
/// the kernel's insides, mounts, users, clocks, keyrings, files by handle.
const REFUSED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_quotactl,
];

/// Enters the sandbox.
///
/// A kernel that lacks a part of it is no reason not to serve: the log says what is missing.
pub(super) fn enter(confinement: &Confinement) -> Result<(), Exit> {
    // A program that is started inherits the sandbox and could not do its own work in it.
    if confinement.starts_programs {
        tracing::warn!("the sandbox leaves files and programs open: a setting needs a program");
    } else {
        match restrict_files(confinement) {
            Ok(RulesetStatus::FullyEnforced) => {}
            Ok(status) => {
                tracing::warn!(?status, "this kernel's Landlock is too old for all of the sandbox");
            }
            Err(error) => return Err(Exit::Damaged(format!("no sandbox: {error}"))),
        }
    }
    let filter = filter(confinement.starts_programs)
        .map_err(|error| Exit::Damaged(format!("no system call filter: {error}")))?;
    if let Err(error) = apply_filter(&filter) {
        tracing::warn!(%error, "this kernel does not filter system calls");
    }
    Ok(())
}

fn restrict_files(confinement: &Confinement) -> Result<RulesetStatus, landlock::RulesetError> {
    let all = AccessFs::from_all(LANDLOCK);
    let reading: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let read = COMMON.iter().map(Path::new);
    let named = confinement.readable.iter().map(AsRef::<Path>::as_ref);
    let read = read.chain(named.filter(|path| !is_pipe(path)));
    let write = COMMON_WRITABLE.iter().map(Path::new);
    let write = write.chain(confinement.writable.iter().map(AsRef::as_ref));
    let status = landlock::Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(write, all & !BitFlags::from(AccessFs::Execute)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Pipes are in no directory: whoever has one can read it, and no rule names it.
fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
}

fn filter(starts_programs: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let starts = STARTS.iter().filter(|_| !starts_programs);
    rules.extend(REFUSED.iter().chain(starts).map(|call| (*call, Vec::new())));
    let not_family = |family: i32| {
        let family = u64::try_from(family).unwrap_or(u64::MAX);
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    };
    let others = FAMILIES.into_iter().map(not_family).collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(others)?]);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()
}
