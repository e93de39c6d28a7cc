//! Every dialect writes the deployment's ports and no others.

use std::collections::BTreeSet;

use wharf_firewall::{DIALECTS, Deployment, Dialect, Passive, RuleSet, Scope, Style};

use crate::cases::CASES;

/// The ends of every range of ports that the deployment is about, small ones whole
fn ports(of: &Deployment) -> BTreeSet<u32> {
    let mut ports: BTreeSet<u32> = of.control_ports.iter().map(|it| u32::from(*it)).collect();
    let ranges = [
        of.passive.and_then(Passive::ports),
        of.active.map(|it| it.client_ports),
    ];
    for range in ranges.into_iter().flatten() {
        if range.hi() - range.lo() < 64 {
            ports.extend((range.lo()..=range.hi()).map(u32::from)); // may be listed
        }
        ports.extend([u32::from(range.lo()), u32::from(range.hi())]);
    }
    ports.extend(of.active.and_then(|it| it.source_port).map(u32::from));
    ports
}

/// What a dialect says with numbers besides ports: a word of such a line
const OTHER: &[(&str, &str)] = &[
    ("azure", "priority"),
    ("gcp", "priority"),
    ("systemd", "LimitNOFILE"),
    ("iptables", "icmp"),
    ("firewalld", "priority"),
    ("pf", "divert-to"),
];

/// The numbers in a text that are not part of a word or of an address
fn numbers(text: &str, dialect: &Dialect) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let other = |line: &str| {
        let mut rows = OTHER.iter().filter(|it| it.0 == dialect.name);
        rows.any(|it| line.contains(it.1))
    };
    let lines = text.lines().map(str::trim_start);
    for line in lines.filter(|it| !it.starts_with(['#', '!']) && !other(it)) {
        // An address, a prefix length or a wildcard is no number; a port behind an address is.
        for word in line.split([' ', '"', '\'', ',', '=', '[', ']', '{', '}', '(', ')']) {
            let word = word.strip_suffix("/tcp").unwrap_or(word);
            let word = word.strip_prefix("tcp:").unwrap_or(word);
            let tail = match word.rsplit_once('.') {
                Some((_, tail)) => tail.split_once(':').map_or("", |it| it.1),
                None if word.contains("::") => "",
                None => word,
            };
            for part in tail.split(['-', ':']) {
                found.extend(part.parse::<u32>().ok().filter(|it| *it > 9));
            }
        }
    }
    found
}

#[test]
fn every_output_has_the_ports_of_the_deployment_and_no_others() {
    for dialect in DIALECTS {
        for case in CASES {
            let deployment = (case.deployment)();
            let rules = RuleSet::new(&deployment, case.scope).unwrap();
            let Ok(text) = (dialect.write)(&rules, Style::default()) else {
                continue;
            };
            let (ports, mut written) = (ports(&deployment), numbers(&text, dialect));
            if dialect.name == "cisco" {
                // "gt 1023"
                written = written
                    .into_iter()
                    .map(|it| {
                        if ports.contains(&(it + 1)) {
                            it + 1
                        } else {
                            it
                        }
                    })
                    .collect();
            }
            let stray: Vec<_> = written.difference(&ports).collect();
            let at = format!("{}, {}", case.name, dialect.name);
            assert!(stray.is_empty(), "{at}: {stray:?} in\n{text}");
            // What a client opens may be nobody's matter in a dialect of hosts.
            let control = deployment.control_ports.iter();
            for port in control.filter(|_| deployment.side.is_servers()) {
                assert!(written.contains(&u32::from(*port)), "{at}: {port}\n{text}");
            }
        }
    }
}

#[test]
fn with_one_port_there_is_one() {
    let deployment = Deployment {
        passive: Some(Passive::OnePort),
        one_port_auto: false,
        active: None,
        ..Deployment::server()
    };
    let rules = RuleSet::new(&deployment, Scope::Beside).unwrap();
    for dialect in DIALECTS {
        if let Ok(text) = (dialect.write)(&rules, Style::default()) {
            assert_eq!(
                numbers(&text, dialect),
                BTreeSet::from([21]),
                "{}:\n{text}",
                dialect.name
            );
        }
    }
}
