//! The allow-list of system calls.
//!
//! What is not on it fails with `EPERM` instead of ending the process: libraries try calls that they can do without, on
//! kernels and architectures that nobody has tested, and a transfer shall not die of it. Nothing is gained for an
//! attacker: the call does not happen. `clone3` fails with `ENOSYS`, for its flags lie in memory where no filter sees
//! them and the C library then uses `clone`, whose flags are looked at: threads, no processes.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// What the process needs beside files and accepted connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// `connect`.
    pub connects: bool,
    /// Datagrams, and what the resolver of the C library loads.
    pub asks: bool,
    /// Sockets of its own that listen. Without it, and without the other two, it makes no socket at all.
    pub listens: bool,
}

/// Allowed whatever the arguments.
const ALWAYS: &[i64] = &[
    // Files that are open, or below what is served.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_utimensat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_getcwd,
    libc::SYS_umask,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads and waiting.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Sockets that are open; which can be made is below.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Facts about itself.
    libc::SYS_getrandom,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Older forms of some, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];

/// Older forms of some, which this architecture never had.
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// What `fcntl` is asked: whether a descriptor blocks, stays, is locked, another number for it. Not whom the kernel signals
/// when something arrives (`F_SETOWN`, `F_SETSIG`): that would be `kill` by another name.
const FILE_ORDERS: [i32; 12] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
];

/// Name spaces of its own, in which a process would have capabilities again.
const SPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_UNTRACED,
];

/// What is set of sockets. Nothing that loads programs (`SO_ATTACH_BPF`) or other protocols (`TCP_ULP`).
const SOCKET_OPTIONS: [(i32, i32); 18] = [
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_LINGER),
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_SNDBUF),
    (libc::SOL_SOCKET, libc::SO_RCVBUF),
    (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
    (libc::SOL_SOCKET, libc::SO_SNDTIMEO),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_RECVERR),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
];

/// The one operation of `ioctl` and those of terminals that are asked for: how many bytes wait, whether it blocks,
/// whether it is a terminal and how wide.
const OPERATIONS: [u64; 5] = [
    libc::FIONREAD,
    libc::FIONBIO,
    libc::FIOCLEX,
    libc::TCGETS,
    libc::TIOCGWINSZ,
];

/// The type of a socket; beside it are `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
pub(super) const KIND: u64 = 0xF;

/// `prctl`: the name of a thread, and of memory.
const NAMES: [i32; 2] = [libc::PR_SET_NAME, libc::PR_SET_VMA];

impl Calls {
    /// For this thread and those that it starts.
    ///
    /// # Errors
    /// The kernel has no seccomp, or the architecture no table.
    pub fn enforce(self) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let list = self.program().map_err(|error| said(&error))?;
        let clone3 = clone3().map_err(|error| said(&error))?;
        apply_filter(&clone3).map_err(|error| said(&error))?;
        apply_filter(&list).map_err(|error| said(&error))
    }

    fn program(self) -> Result<BpfProgram, seccompiler::BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        for call in ALWAYS.iter().chain(OLDER) {
            rules.insert(*call, Vec::new());
        }
        // The other filter answers it.
        rules.insert(libc::SYS_clone3, Vec::new());
        let thread = flag(libc::CLONE_THREAD);
        let asked = SPACES.iter().fold(thread, |mask, it| mask | flag(*it));
        rules.insert(libc::SYS_clone, vec![only([masked(0, asked, thread)?])?]);
        let locks = FILE_ORDERS.map(|order| is(1, flag(order)).and_then(|it| only([it])));
        rules.insert(
            libc::SYS_fcntl,
            locks.into_iter().collect::<Result<_, _>>()?,
        );
        // To itself: abort(3).
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![only([is(0, own)?])?]);
        // Its own limits.
        rules.insert(libc::SYS_prlimit64, vec![only([is(0, 0)?])?]);
        let named = NAMES.map(|name| is(0, flag(name)).and_then(|it| only([it])));
        rules.insert(
            libc::SYS_prctl,
            named.into_iter().collect::<Result<_, _>>()?,
        );
        let operations = OPERATIONS.map(|it| is(1, it).and_then(|it| only([it])));
        let operations = operations.into_iter().collect::<Result<_, _>>()?;
        rules.insert(libc::SYS_ioctl, operations);

        // What was written is never run.
        let executable = flag(libc::PROT_EXEC);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let not = vec![only([masked(2, executable, 0)?])?];
            rules.insert(call, if self.asks { Vec::new() } else { not });
        }

        rules.insert(libc::SYS_setsockopt, options()?);
        // An empty list would let every socket through. A socket that was never bound can listen, too, at a port of the
        // system's choice, and landlock does not look at that.
        if self.listens || self.connects || self.asks {
            rules.insert(libc::SYS_socket, self.sockets()?);
            rules.insert(libc::SYS_bind, Vec::new());
            rules.insert(libc::SYS_listen, Vec::new());
        }
        rules.insert(
            libc::SYS_socketpair,
            vec![only([
                is(0, flag(libc::AF_UNIX))?,
                masked(1, KIND, flag(libc::SOCK_STREAM))?,
            ])?],
        );
        if self.connects {
            rules.insert(libc::SYS_connect, Vec::new());
        }
        if self.asks {
            for call in [libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg] {
                rules.insert(call, Vec::new());
            }
        } else {
            // To what is connected already. TCP has no other use of an address than to connect (fast open), which
            // `sendmsg` is told by a flag: its address lies in memory.
            rules.insert(libc::SYS_sendto, vec![only([wide(4, 0)?])?]);
            let fast_open = flag(libc::MSG_FASTOPEN);
            rules.insert(libc::SYS_sendmsg, vec![only([masked(2, fast_open, 0)?])?]);
        }
        compile(
            rules,
            SeccompAction::Errno(refusal(libc::EPERM)),
            SeccompAction::Allow,
        )
    }

    /// TCP; where somebody is asked, datagrams and what the resolver looks at, too.
    fn sockets(self) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let mut rules = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            // Multipath TCP is not TCP to landlock, and would bind and connect as it likes.
            for protocol in [0, libc::IPPROTO_TCP] {
                rules.push(only([
                    is(0, flag(family))?,
                    masked(1, KIND, flag(libc::SOCK_STREAM))?,
                    is(2, flag(protocol))?,
                ])?);
            }
            if self.asks {
                rules.push(only([
                    is(0, flag(family))?,
                    masked(1, KIND, flag(libc::SOCK_DGRAM))?,
                ])?);
            }
        }
        if self.asks {
            rules.push(only([is(0, flag(libc::AF_UNIX))?])?);
            rules.push(only([is(0, flag(libc::AF_NETLINK))?])?);
        }
        Ok(rules)
    }
}

pub(super) fn clone3() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(refusal(libc::ENOSYS)),
    )
}

fn options() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let rules =
        SOCKET_OPTIONS.map(|(level, option)| only([is(1, flag(level))?, is(2, flag(option))?]));
    rules.into_iter().collect()
}

pub(super) fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let here: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, listed, here)?.try_into()
}

pub(super) fn only<const N: usize>(
    conditions: [SeccompCondition; N],
) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.to_vec())
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

pub(super) fn is(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

pub(super) fn masked(
    argument: u8,
    mask: u64,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

pub(super) fn condition_not(
    argument: u8,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    condition(argument, SeccompCmpOp::Ne, value)
}

/// All 64 bits: a pointer.
fn wide(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
}

/// Constants of the C library are signed, and none of these is negative.
pub(super) fn flag(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}

pub(super) fn refusal(errno: i32) -> u32 {
    errno.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::io::Errno;
    use rustix::net::{AddressFamily as Family, Protocol, SocketType as Kind, ipproto, socket};

    use super::*;

    /// On a thread of its own, which the filter ends with.
    fn inside<T: Send + 'static>(calls: Calls, tried: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            calls.enforce().unwrap();
            tried()
        })
        .join()
        .unwrap()
    }

    const ALONE: Calls = Calls {
        connects: false,
        asks: false,
        listens: true,
    };

    const BROKERED: Calls = Calls {
        listens: false,
        ..ALONE
    };

    fn opened(family: Family, kind: Kind, protocol: Option<Protocol>) -> Option<Errno> {
        socket(family, kind, protocol).err()
    }

    #[test]
    fn sockets_are_those_of_tcp_or_none_at_all() {
        let rows = [
            (Family::INET, Kind::STREAM, None, true),
            (Family::INET6, Kind::STREAM, Some(ipproto::TCP), true),
            (Family::INET, Kind::STREAM, Some(ipproto::MPTCP), false),
            (Family::INET, Kind::DGRAM, None, false),
            (Family::INET, Kind::RAW, Some(ipproto::ICMP), false),
            (Family::UNIX, Kind::STREAM, None, false),
            (Family::UNIX, Kind::DGRAM, None, false),
            (Family::NETLINK, Kind::RAW, None, false),
            (Family::PACKET, Kind::RAW, None, false),
            (Family::VSOCK, Kind::STREAM, None, false),
            (Family::from_raw(38), Kind::SEQPACKET, None, false),
        ];
        for (calls, any) in [(ALONE, true), (BROKERED, false)] {
            let outcomes = inside(calls, move || {
                rows.map(|(family, kind, protocol, _)| opened(family, kind, protocol))
            });
            for (row, outcome) in rows.iter().zip(outcomes) {
                let expected = !(any && row.3);
                assert_eq!(
                    outcome == Some(Errno::PERM),
                    expected,
                    "{calls:?} {row:?}: {outcome:?}"
                );
            }
        }
    }

    #[test]
    fn without_sockets_of_its_own_it_serves_those_that_it_is_given() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = door.local_addr().unwrap();
        let client = TcpStream::connect(at).unwrap();
        let (came, again, out) = inside(BROKERED, move || {
            let (came, _) = door.accept().unwrap();
            came.set_nodelay(true).unwrap();
            came.set_nonblocking(true).unwrap();
            (
                came,
                TcpListener::bind("127.0.0.1:0"),
                TcpStream::connect(at),
            )
        });
        assert_eq!(came.peer_addr().unwrap(), client.local_addr().unwrap());
        for error in [again.unwrap_err(), out.unwrap_err()] {
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        }
    }

    #[test]
    fn no_processes_no_orders_to_the_kernel() {
        let error = inside(BROKERED, || {
            std::process::Command::new("/bin/true").spawn().map(drop)
        });
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EPERM));
        let refused = inside(BROKERED, || {
            use rustix::process::{Pid, Signal, kill_process, test_kill_process};
            let own = rustix::process::getpid();
            vec![
                ("kill", kill_process(own, Signal::CONT)),
                ("kill 0", test_kill_process(Pid::INIT)),
                ("chroot", rustix::process::chroot(".")),
                ("chdir", rustix::process::chdir(".")),
                ("setsid", rustix::process::setsid().map(drop)),
                (
                    "link",
                    rustix::fs::symlink("/etc/shadow", "/tmp/wharf-never"),
                ),
                (
                    "prctl",
                    rustix::process::set_dumpable_behavior(
                        rustix::process::DumpableBehavior::Dumpable,
                    ),
                ),
                (
                    "memfd",
                    rustix::fs::memfd_create("program", rustix::fs::MemfdFlags::empty()).map(drop),
                ),
                (
                    "pidfd",
                    rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty())
                        .map(drop),
                ),
            ]
        });
        for (what, outcome) in refused {
            assert_eq!(outcome, Err(Errno::PERM), "{what}");
        }
    }

    #[test]
    fn orders_about_descriptors_are_counted() {
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        let (harmless, other) = inside(BROKERED, move || {
            let harmless = rustix::io::fcntl_getfd(&pipe).map(drop);
            (
                harmless,
                rustix::pipe::fcntl_setpipe_size(&pipe, 8192).map(drop),
            )
        });
        assert_eq!(harmless, Ok(()));
        assert_eq!(other, Err(Errno::PERM));
    }
}
