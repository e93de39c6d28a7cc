//! System calls that the broker has no use for. A list of what is refused and not of what is allowed, as in the network
//! process: in the broker work an HTTP client, a resolver and the authentication of this system, which load what they
//! like.

use std::collections::BTreeMap;

use seccompiler::{SeccompAction, SeccompRule, apply_filter};

use super::Own;
use super::calls::{KIND, clone3, compile, condition_not, flag, is, masked, only, refusal};

/// Refused whatever the arguments and the configuration.
const NEVER: &[i64] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Programs for the kernel, and what is in it.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Name spaces, mounts, roots.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_personality,
    libc::SYS_memfd_create,
];

#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[i64] = &[
    libc::SYS_mknod,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];

#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[i64] = &[];

/// Other programs.
const PROGRAMS: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];

#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[i64] = &[];

/// The same calls by their other numbers (the x32 interface), and those that only it has.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: (i64, std::ops::Range<i64>) = (0x4000_0000, 512..548);

#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: (i64, std::ops::Range<i64>) = (0, 0..0);

/// For this thread and those that it starts.
///
/// Errors: the kernel has no seccomp, or the architecture no table.
pub(super) fn enforce(own: &Own) -> Result<(), String> {
    let said = |error: seccompiler::BackendError| error.to_string();
    if !own.users {
        // Its flags lie in memory where no filter sees them; the C library then uses `clone`.
        let clone3 = clone3().map_err(said)?;
        apply_filter(&clone3).map_err(|error| error.to_string())?;
    }
    let rules = rules(own).map_err(said)?;
    let list = compile(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(refusal(libc::EPERM)),
    );
    apply_filter(&list.map_err(said)?).map_err(|error| error.to_string())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(own: &Own) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    let mut never: Vec<i64> = [NEVER, NEVER_HERE].concat();
    if !own.users {
        never.extend([PROGRAMS, FORKS].concat());
        let thread = flag(libc::CLONE_THREAD);
        rules.insert(libc::SYS_clone, vec![only([masked(0, thread, 0)?])?]);
    }
    let (bit, further) = OTHER_NUMBERS;
    if bit != 0 {
        let again: Vec<i64> = never.iter().copied().chain(further).collect();
        never.extend(again.into_iter().map(|call| call | bit));
    }
    rules.extend(never.into_iter().map(|call| (call, Vec::new())));
    rules.insert(libc::SYS_socket, sockets(own)?);
    if !own.connects && !own.users {
        // Nothing is loaded any more; what was written is never run.
        let executable = flag(libc::PROT_EXEC);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            rules.insert(call, vec![only([masked(2, executable, executable)?])?]);
        }
    }
    Ok(rules)
}

/// All but TCP and the sockets of this machine; datagrams and routes where somebody is looked up.
fn sockets(own: &Own) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let asks = own.connects || own.users;
    let mut known = vec![libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    if asks {
        known.push(libc::AF_NETLINK);
    }
    let strange = known.iter().map(|family| condition_not(0, flag(*family)));
    let strange = strange.collect::<Result<Vec<_>, _>>()?;
    let mut rules = vec![SeccompRule::new(strange)?];
    let mut kinds = vec![libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET];
    if !asks {
        kinds.push(libc::SOCK_DGRAM);
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in &kinds {
            rules.push(only([is(0, flag(family))?, masked(1, KIND, flag(*kind))?])?);
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily as Family, SocketType as Kind, socket};

    use super::*;

    /// On a thread of its own, which the filter ends with.
    fn inside<T: Send + 'static>(own: Own, tried: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            enforce(&own).unwrap();
            tried()
        })
        .join()
        .unwrap()
    }

    #[test]
    fn it_starts_no_program_but_for_users() {
        let start = || {
            let program = std::process::Command::new("/bin/true").status();
            program.map_err(|error| error.raw_os_error())
        };
        let thread = || std::thread::spawn(|| ()).join().is_ok();
        let (program, thread) = inside(Own::default(), move || (start(), thread()));
        assert_eq!(program.unwrap_err(), Some(libc::EPERM));
        assert!(thread);
        let users = Own {
            users: true,
            ..Own::default()
        };
        assert!(inside(users, start).is_ok());
    }

    #[test]
    fn sockets_are_those_that_it_needs() {
        let rows = [
            (Family::INET, Kind::STREAM, true, true),
            (Family::INET6, Kind::STREAM, true, true),
            (Family::UNIX, Kind::DGRAM, true, true),
            (Family::INET, Kind::DGRAM, false, true),
            (Family::NETLINK, Kind::RAW, false, true),
            (Family::INET, Kind::RAW, false, false),
            (Family::PACKET, Kind::RAW, false, false),
            (Family::VSOCK, Kind::STREAM, false, false),
        ];
        let opened = move || rows.map(|(family, kind, ..)| socket(family, kind, None).err());
        let authority = Own {
            connects: true,
            ..Own::default()
        };
        let outcomes = [inside(Own::default(), opened), inside(authority, opened)];
        for (row, (without, with)) in rows.iter().zip(outcomes[0].iter().zip(outcomes[1])) {
            assert_eq!(*without != Some(Errno::PERM), row.2, "{row:?}");
            assert_eq!(with != Some(Errno::PERM), row.3, "{row:?}");
        }
    }

    #[test]
    fn orders_to_the_kernel_are_refused_whatever_it_needs() {
        let all = Own {
            low_ports: true,
            connects: true,
            users: true,
            ..Own::default()
        };
        let refused = inside(all, || {
            [
                ("chroot", rustix::process::chroot("/")),
                (
                    "memfd",
                    rustix::fs::memfd_create("program", rustix::fs::MemfdFlags::empty()).map(drop),
                ),
                (
                    "fifo",
                    rustix::fs::mknodat(
                        rustix::fs::CWD,
                        "/tmp/wharf-never",
                        rustix::fs::FileType::Fifo,
                        rustix::fs::Mode::empty(),
                        0,
                    ),
                ),
            ]
        });
        for (what, outcome) in refused {
            assert_eq!(outcome, Err(Errno::PERM), "{what}");
        }
    }
}
