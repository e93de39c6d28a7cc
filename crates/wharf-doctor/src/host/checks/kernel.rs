//! Privileges, time-outs and limits of the host.

use super::Checked;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::host::offered::Offered;
use crate::host::seen::Seen;
use crate::report::Outcome;

/// Descriptors that a session holds during a transfer: control connection, data connection, file.
const PER_SESSION: usize = 3;

pub(super) fn source_port(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    if !offered.active {
        return vec![Checked::unknown("active data connections are not offered")];
    }
    let Some(port) = offered.active_port else {
        return vec![Checked::good("any: no privilege is needed")];
    };
    let free = seen.unprivileged_from.is_some_and(|from| port >= from);
    let line = match (free, seen.may_use_low_ports) {
        (true, _) => Checked::good(format!("{port} needs no privilege here")),
        (false, Some(true)) => Checked::good(format!("{port} may be used")),
        (false, None) => Checked::unknown(format!("whether {port} may be used is not known")),
        (false, Some(false)) => Checked::new(
            Outcome::Partly,
            format!("{port} may not be used: any other is taken"),
        )
        .finds(
            Finding::new(
                "source-port-denied",
                Severity::Note,
                WhoActs::Nobody,
                format!(
                    "active data connections will not come from port {port}: clients' firewalls that only let that port in \
                     block them"
                ),
            )
            .because("no CAP_NET_BIND_SERVICE, and the port is below net.ipv4.ip_unprivileged_port_start")
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                "give the service the privilege",
                "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE",
            )),
        ),
    };
    vec![line]
}

pub(super) fn idle(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let keepalive = offered.keepalive;
    if keepalive.is_zero() {
        return vec![
            Checked::new(Outcome::Partly, "silent control connections are not probed").finds(
                Finding::new(
                    "no-keepalive",
                    Severity::Weak,
                    WhoActs::ServerConfiguration,
                    "during a long transfer the control connection is silent: NATs and balancers on the way forget it \
                     after minutes, and the final reply never arrives",
                )
                .because("keepalive is 0")
                .cure(Remedy::say(
                    WhoActs::ServerConfiguration,
                    "probe it: --keepalive 30s",
                )),
            ),
        ];
    }
    let own = seen.established_timeout.map(|own| {
        let seconds = own.as_secs();
        (seconds, own <= keepalive)
    });
    vec![match own {
        Some((seconds, true)) => Checked::new(
            Outcome::Partly,
            format!("this host forgets a connection after {seconds} s, before it is probed"),
        )
        .finds(
            Finding::new(
                "forgets-early",
                Severity::Weak,
                WhoActs::ServerFirewall,
                "this host's connection tracking forgets silent control connections before they are probed",
            )
            .because(format!(
                "nf_conntrack_tcp_timeout_established is {seconds} s, keepalive {} s",
                keepalive.as_secs()
            ))
            .cure(Remedy::copy(
                WhoActs::ServerFirewall,
                "remember them longer",
                "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=7200",
            )),
        ),
        Some((seconds, false)) => Checked::good(format!(
            "probed after {} s of silence; this host remembers connections for {seconds} s",
            keepalive.as_secs()
        )),
        None => Checked::good(format!("probed after {} s of silence", keepalive.as_secs())),
    }]
}

pub(super) fn descriptors(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    if seen.descriptors == usize::MAX {
        return vec![Checked::unknown("how many there may be is not known")];
    }
    let room = seen.descriptors / PER_SESSION;
    let what = format!(
        "{} here: room for {room} sessions at work",
        seen.descriptors
    );
    let wanted = offered.max_sessions;
    vec![match wanted {
        Some(wanted) if wanted <= room => Checked::good(format!("{what}, {wanted} are allowed")),
        // wharf leaves a client waiting or says 421 rather than failing; ten thousand is only its default.
        _ if room >= 300 => Checked::good(format!("{what}; further clients hear 421")),
        _ => Checked::new(Outcome::Partly, what.clone()).finds(
            Finding::new(
                "descriptors",
                Severity::Note,
                WhoActs::Nobody,
                format!("{what}, which is little"),
            )
            .because("the soft limit of open files (`ulimit -n`)")
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                "more for the service",
                "[Service]\nLimitNOFILE=65536",
            )),
        ),
    }]
}
