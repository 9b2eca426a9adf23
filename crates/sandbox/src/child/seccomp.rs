//! The system call filter, as data.
//!
//! Two filters are loaded by the runtime's process. One answers `EPERM` to what is dangerous and known to be, the way a program without privileges is used to
//! hear it. The other answers `ENOSYS` to everything that is not listed as needed: a system call that a later kernel brings, and the x32
//! variants of those that exist, are as if they were not there. The kernel remembers which calls are allowed whatever their arguments are
//! (Linux 5.11), so that the length of the lists costs nothing once they are loaded. Loading them costs: the kernel tries every filter
//! on every call. Hence all that can be refused ahead of demand is, and what the last steps before `execve` need is a short third filter.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Refused with `EPERM`, whatever the arguments.
#[rustfmt::skip]
const REFUSED: &[libc::c_long] = &[
    // The file system tree.
    libc::SYS_mount, libc::SYS_chroot, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_open_tree, libc::SYS_mount_setattr,
    // New namespaces: kernel code that only privileged programs reach otherwise.
    libc::SYS_unshare,
    // Large parts of the kernel with a long record of holes.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // Kernel keys, which have no namespace.
    libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    // Opens files by number, past every path.
    libc::SYS_open_by_handle_at,
    // The kernel itself.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load,
    libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff,
    // The host's clock, accounts, log and names.
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex, libc::SYS_acct,
    libc::SYS_quotactl, libc::SYS_quotactl_fd, libc::SYS_syslog, libc::SYS_sethostname, libc::SYS_setdomainname,
    libc::SYS_vhangup, libc::SYS_nfsservctl,
    // Looks at what all processes of the host do.
    libc::SYS_fanotify_init, libc::SYS_fanotify_mark, libc::SYS_lookup_dcookie, libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Refused likewise, but needed until just before `execve`: the root is put together and the user namespace entered.
const REFUSED_LAST: &[libc::c_long] = &[libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_setns];

/// Refused as well, on x86-64 only.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_HERE: &[libc::c_long] = &[
    // Hardware ports.
    libc::SYS_iopl, libc::SYS_ioperm,
];
/// Refused as well, on x86-64 only.
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Allowed, whatever the arguments.
#[rustfmt::skip]
const ALLOWED: &[libc::c_long] = &[
    // Files: descriptors, reading and writing.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_openat, libc::SYS_openat2,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2,
    // Files: looking.
    libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_lseek, libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fadvise64, libc::SYS_readahead,
    // Files: directories and names.
    libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_mkdirat, libc::SYS_linkat, libc::SYS_unlinkat, libc::SYS_symlinkat,
    // Files: modes and owners.
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchmodat2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_umask,
    libc::SYS_utimensat, libc::SYS_mknodat,
    // Files: the rest.
    libc::SYS_fcntl, libc::SYS_flock, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync, libc::SYS_syncfs,
    libc::SYS_sync_file_range, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_sendfile, libc::SYS_splice,
    libc::SYS_tee, libc::SYS_vmsplice, libc::SYS_copy_file_range,
    // Files: attributes.
    libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr,
    libc::SYS_flistxattr, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr,
    libc::SYS_lremovexattr, libc::SYS_fremovexattr,
    // Files: watching; memory files.
    libc::SYS_inotify_init1, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch, libc::SYS_memfd_create,
    libc::SYS_name_to_handle_at,
    // Memory.
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise, libc::SYS_mincore,
    libc::SYS_msync, libc::SYS_brk, libc::SYS_mlock, libc::SYS_mlock2, libc::SYS_munlock, libc::SYS_mlockall,
    libc::SYS_munlockall, libc::SYS_membarrier,
    // Memory: the rest.
    libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect, libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy, libc::SYS_mbind, libc::SYS_set_mempolicy_home_node, libc::SYS_process_madvise,
    libc::SYS_mseal,
    // Waiting.
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_eventfd2, libc::SYS_signalfd4,
    // Timers.
    libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_timer_create,
    libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun, libc::SYS_timer_delete,
    // Clocks.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_gettimeofday,
    libc::SYS_nanosleep, libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_times,
    // Threads.
    libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address, libc::SYS_restart_syscall, libc::SYS_rseq,
    // Signals.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend, libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack,
    // Processes.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal,
    libc::SYS_pidfd_getfd,
    // Identity; without capabilities these change nothing that matters.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_setsid,
    libc::SYS_getsid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_getgroups,
    // Identity.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setgroups, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_capget,
    libc::SYS_capset,
    // The process's own settings.
    libc::SYS_prctl, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_prlimit64, libc::SYS_getrusage,
    libc::SYS_getpriority, libc::SYS_setpriority, libc::SYS_ioprio_get, libc::SYS_ioprio_set,
    // Scheduling.
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_setaffinity, libc::SYS_sched_getparam,
    libc::SYS_sched_setparam, libc::SYS_sched_getscheduler, libc::SYS_sched_setscheduler,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min, libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_getattr, libc::SYS_sched_setattr, libc::SYS_getcpu,
    // The machine.
    libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom,
    // Sockets; the families are restricted below.
    libc::SYS_bind, libc::SYS_connect, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_getsockname,
    libc::SYS_getpeername, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg,
    libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_shutdown, libc::SYS_setsockopt, libc::SYS_getsockopt,
    // System V and POSIX IPC, in a namespace of the sandbox's own.
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt, libc::SYS_semget, libc::SYS_semop,
    libc::SYS_semtimedop, libc::SYS_semctl, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive, libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
    // Asynchronous I/O of the old kind; filters of the function's own, which can only restrict.
    libc::SYS_io_setup, libc::SYS_io_destroy, libc::SYS_io_submit, libc::SYS_io_cancel, libc::SYS_io_getevents,
    libc::SYS_seccomp, libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    // Debuggers and garbage collectors, within the sandbox: the kernel's own rules apply to them.
    libc::SYS_remap_file_pages, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_ptrace,
    libc::SYS_kcmp,
];

/// Allowed as well: what newer architectures have dropped.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_stat, libc::SYS_lstat,
    libc::SYS_access, libc::SYS_readlink, libc::SYS_getdents, libc::SYS_rename, libc::SYS_mkdir, libc::SYS_rmdir,
    libc::SYS_link, libc::SYS_unlink, libc::SYS_symlink, libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown,
    libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat, libc::SYS_mknod, libc::SYS_inotify_init, libc::SYS_poll,
    libc::SYS_select, libc::SYS_epoll_create, libc::SYS_epoll_ctl_old, libc::SYS_epoll_wait,
    libc::SYS_epoll_wait_old, libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_time, libc::SYS_alarm,
    libc::SYS_pause, libc::SYS_fork, libc::SYS_vfork, libc::SYS_getpgrp, libc::SYS_arch_prctl, libc::SYS_modify_ldt,
];
/// Allowed as well: what newer architectures have dropped.
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// All that [`super::init`] does: wait, write once, close what it was given, leave. Anything else kills it, and the sandbox with it.
const INIT: &[libc::c_long] =
    &[libc::SYS_wait4, libc::SYS_restart_syscall, libc::SYS_write, libc::SYS_close, libc::SYS_exit_group];

/// Every `CLONE_NEW…` flag: no new namespaces. `clone3` hides its flags from filters and is answered `ENOSYS`, upon which the C library
/// falls back to `clone`.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;
/// `TIOCSTI` types into the terminal of whoever reads it; `TIOCLINUX` pastes into it.
const TERMINAL_INJECTION: [u64; 2] = [0x5412, 0x541C];
/// Plain Linux, and what `uname26` and the query for the current one use. Others switch protections off (`ADDR_NO_RANDOMIZE` is allowed:
/// debuggers and garbage collectors ask for it, and it concerns only the process itself).
const PERSONALITIES: [u64; 5] = [0, 0x0004_0000, 0x0002_0000, 0x0002_0008, 0xFFFF_FFFF];
/// Unix, IPv4, IPv6, and netlink (how `getifaddrs` works). Not among them: vsock (speaks to the hypervisor), packet, alg, can, bluetooth…
const SOCKET_FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Of netlink only routing; the others configure firewalls, audit and the like.
const NETLINK_ROUTE: u64 = 0;

/// The filters, compiled.
#[derive(Debug)]
pub(crate) struct Filters {
    /// `ENOSYS` to what is not listed; lets pass what the other two refuse, so that they can answer it.
    pub(crate) allowed: BpfProgram,
    /// `EPERM` to what is dangerous.
    pub(crate) refused: BpfProgram,
    /// `EPERM` to what is dangerous and needed to the end. The last thing before `execve`.
    pub(crate) refused_last: BpfProgram,
    /// For init, in place of the other three.
    pub(crate) init: BpfProgram,
}

/// Compiles the tables.
///
/// # Errors
/// What seccompiler says of the tables, or that there is no filter for this architecture.
pub(crate) fn compile() -> Result<Filters, String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let build = |rules: seccompiler::Result<Rules>, otherwise, matched| {
        let rules = rules.map_err(|error| error.to_string())?;
        let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(|error| error.to_string())?;
        BpfProgram::try_from(filter).map_err(|error| error.to_string())
    };
    let errno = |number: libc::c_int| SeccompAction::Errno(number.cast_unsigned());
    Ok(Filters {
        allowed: build(allowed(), errno(libc::ENOSYS), SeccompAction::Allow)?,
        refused: build(refused(), SeccompAction::Allow, errno(libc::EPERM))?,
        refused_last: build(Ok(refused_last()), SeccompAction::Allow, errno(libc::EPERM))?,
        init: build(init(), SeccompAction::KillProcess, SeccompAction::Allow)?,
    })
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> seccompiler::Result<SeccompCondition> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?)
}

fn refused() -> seccompiler::Result<Rules> {
    let mut rules: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    // One rule for each flag: a condition tests that all bits of a mask have a value, not that any has.
    let flags = (0..32).map(|bit| 1_u64 << bit).filter(|flag| NAMESPACE_FLAGS & flag != 0);
    let clone =
        flags.map(|flag| SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(flag), flag)?]).map_err(Into::into));
    rules.insert(libc::SYS_clone, clone.collect::<seccompiler::Result<_>>()?);
    let ioctl = TERMINAL_INJECTION
        .iter()
        .map(|request| SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, *request)?]).map_err(Into::into));
    rules.insert(libc::SYS_ioctl, ioctl.collect::<seccompiler::Result<_>>()?);
    let others = SOCKET_FAMILIES
        .iter()
        .map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())))
        .collect::<seccompiler::Result<Vec<_>>>()?;
    let netlink = vec![
        condition(0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.cast_unsigned()))?,
        condition(2, SeccompCmpOp::Ne, NETLINK_ROUTE)?,
    ];
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(others.clone())?, SeccompRule::new(netlink)?]);
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(others)?]);
    let personality = PERSONALITIES
        .iter()
        .map(|personality| condition(0, SeccompCmpOp::Ne, *personality))
        .collect::<seccompiler::Result<Vec<_>>>()?;
    rules.insert(libc::SYS_personality, vec![SeccompRule::new(personality)?]);
    Ok(rules)
}

fn refused_last() -> Rules {
    REFUSED_LAST.iter().map(|call| (*call, Vec::new())).collect()
}

fn allowed() -> seccompiler::Result<Rules> {
    let conditional = refused()?.into_keys().filter(|call| !REFUSED.contains(call) && !REFUSED_HERE.contains(call));
    // What the others refuse must pass this one, or its ENOSYS would replace their EPERM.
    let all = ALLOWED.iter().chain(ALLOWED_HERE).chain(REFUSED).chain(REFUSED_HERE).chain(REFUSED_LAST).copied();
    Ok(all.chain(conditional).map(|call| (call, Vec::new())).collect())
}

fn init() -> seccompiler::Result<Rules> {
    let mut rules: Rules = INIT.iter().map(|call| (*call, Vec::new())).collect();
    // A standard library built with assertions asks whether a descriptor is open before it closes it.
    let asked = condition(1, SeccompCmpOp::Eq, u64::from(libc::F_GETFD.cast_unsigned()))?;
    rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![asked])?]);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_compile_and_no_call_is_in_both() {
        let filters = compile().unwrap();
        assert!(filters.allowed.len() > ALLOWED.len() && filters.refused.len() > REFUSED.len());
        let both: Vec<_> = ALLOWED
            .iter()
            .chain(ALLOWED_HERE)
            .filter(|call| REFUSED.contains(call) || REFUSED_LAST.contains(call))
            .collect();
        assert_eq!(both, Vec::<&libc::c_long>::new());
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut all: Vec<_> =
            ALLOWED.iter().chain(ALLOWED_HERE).chain(REFUSED).chain(REFUSED_HERE).chain(REFUSED_LAST).collect();
        let listed = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), listed);
    }

    #[test]
    fn every_namespace_flag_is_refused() {
        let flags = [
            libc::CLONE_NEWNS,
            libc::CLONE_NEWCGROUP,
            libc::CLONE_NEWUTS,
            libc::CLONE_NEWIPC,
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
        ];
        assert_eq!(flags.iter().fold(0, |all, flag| all | u64::from(flag.cast_unsigned())), NAMESPACE_FLAGS);
    }
}
