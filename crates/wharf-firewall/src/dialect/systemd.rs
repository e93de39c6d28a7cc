//! systemd: a service unit that may bind the deployment's ports and no others, and is reached by its clients alone.
//!
//! Checked by `systemd-analyze verify` (252). wharf binds its ports itself and takes no listening sockets from a socket
//! unit, so there is none; what a socket unit would be for, no root and only these ports, is said in the service:
//! `AmbientCapabilities=`, `SocketBindAllow=` (needs cgroup v2 and BPF, systemd 249), `IPAddressAllow=`.

use std::fmt::Write as _;

use super::serve_flags::serve_flags;
use super::steps::without_helper;
use super::{Dialect, Style, Unsupported};
use crate::deployment::{Family, Passive, Side};
use crate::explain;
use crate::flow::{Ports, Step};
use crate::rule::{Addresses, Reason};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "systemd",
    what: "systemd service unit with the server's ports",
    extension: "service",
    load: "install -m 644 FILE /etc/systemd/system/wharf.service && systemctl daemon-reload",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    without_helper(rules, "units")?;
    if of.side != Side::Server {
        return Err(Unsupported::new(
            "a unit limits what one service of this host does, and the service is the server",
            "use --side server on the server's host, and a packet filter's dialect elsewhere",
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    let mut remark = String::from(
        "wharf binds its ports itself: a socket unit would have nothing to hand over. Make the user first (useradd \
         --system wharf) and put users into /etc/wharf/users.toml (wharf user). A unit limits this service alone: a \
         packet filter (--dialect nftables) is what closes ports of others.",
    );
    if of.active.is_some_and(|it| it.source_port.is_none()) {
        remark.push_str(
            " Active data connections may come from any port, so port 0 is not closed to bind.",
        );
    }
    out.push_str(&explain::comment(&remark, "# ", 110));
    out.push_str(
        "[Unit]\nDescription=FTP server\nWants=network-online.target\nAfter=network-online.target\n\n[Service]\n",
    );
    let mut command = format!("{} serve /srv/ftp", program(&of.program));
    for (flag, value) in serve_flags(of) {
        let _ = write!(command, " {flag}");
        if let Some(value) = value {
            let _ = write!(command, " {value}");
        }
    }
    let _ = writeln!(out, "ExecStart={command} --users /etc/wharf/users.toml");
    out.push_str("ExecReload=kill -HUP $MAINPID\nUser=wharf\nRestart=on-failure\n\n");
    out.push_str("# the ports, and no others\n");
    for (step, ports) in bound(rules) {
        if style.explain {
            let why = explain::reason(Reason::Step(step), of);
            out.push_str(&explain::comment(&why, "# ", 110));
        }
        for ports in ports.texts("-") {
            let _ = writeln!(out, "SocketBindAllow=tcp:{ports}");
        }
    }
    if of.active.is_none_or(|it| it.source_port.is_some()) {
        out.push_str("SocketBindDeny=any\n");
    }
    if needs_privilege(rules) {
        out.push_str("AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n");
    } else {
        out.push_str("CapabilityBoundingSet=\n");
    }
    let families: Vec<Family> = of.families().collect();
    let words: Vec<&str> = families
        .iter()
        .map(|it| match it {
            Family::V4 => "AF_INET",
            Family::V6 => "AF_INET6",
        })
        .collect();
    let _ = writeln!(out, "RestrictAddressFamilies={} AF_UNIX", words.join(" "));
    if !of.clients.is_empty() {
        let clients = Addresses::networks(of.clients.iter().copied());
        let _ = writeln!(
            out,
            "IPAddressAllow=localhost {}",
            clients.cidrs().join(" ")
        );
        out.push_str("IPAddressDeny=any\n");
    } else if rules.scope == Scope::Complete {
        out.push_str("# clients are everybody: name them with --clients for IPAddressAllow=\n");
    }
    out.push_str(
        "\n# nothing else of the host\nReadWritePaths=/srv/ftp\nNoNewPrivileges=yes\nProtectSystem=strict\n\
         ProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nProtectClock=yes\nProtectHostname=yes\n\
         ProtectKernelLogs=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\n\
         ProtectProc=invisible\nRestrictNamespaces=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
         LockPersonality=yes\nMemoryDenyWriteExecute=yes\nSystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\nLimitNOFILE=65536\n\n[Install]\nWantedBy=multi-user.target\n",
    );
    Ok(out)
}

/// The server's own ports, step by step
fn bound(rules: &RuleSet) -> Vec<(Step, Ports)> {
    let of = &rules.deployment;
    let mut bound = vec![(Step::Control, Ports::list(&of.control_ports))];
    if let Some(ports) = of.passive.and_then(Passive::ports) {
        bound.push((Step::PassiveData, Ports::these([ports])));
    }
    if let Some(port) = of.active.and_then(|it| it.source_port) {
        bound.push((Step::ActiveData, Ports::one(port)));
    }
    bound
}

fn needs_privilege(rules: &RuleSet) -> bool {
    let ports = bound(rules);
    let mut ranges = ports.iter().flat_map(|it| it.1.ranges());
    ranges.any(|(lo, _)| lo < 1024)
}

/// Where the program is
fn program(program: &str) -> String {
    if program.starts_with('/') {
        program.to_owned()
    } else {
        format!("/usr/local/bin/{program}")
    }
}
