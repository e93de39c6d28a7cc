//! Looks at the host: `/proc`, and `nft -j list ruleset`. Changes nothing, and waits for nothing longer than some
//! seconds. Linux only; elsewhere little is seen, and that is said.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::time::timeout;
use wharf_firewall::loaded::Ruleset;

use super::proc_net;
use super::seen::{Listening, Owner, Rules, Seen};

/// For nft; a large ruleset takes it a second.
const PATIENCE: Duration = Duration::from_secs(6);
/// Where nft is when a user's PATH does not have it.
const PLACES: &[&str] = &["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Everything that can be seen. `descriptors`: how many this process may have ([`wharf_net::Net::descriptors`]).
pub async fn look(control_ports: &[u16], descriptors: usize) -> Seen {
    let mut seen = Seen {
        descriptors,
        ..Seen::default()
    };
    sockets(&mut seen, control_ports);
    network(&mut seen);
    kernel(&mut seen);
    seen.rules = rules().await;
    match &seen.rules {
        Rules::Read(_) => {}
        Rules::NoProgram => seen.not_seen.push(
            "firewall rules: the program nft is not here (if rules are loaded all the same: apt install nftables)"
                .to_owned(),
        ),
        Rules::Denied(said) => seen
            .not_seen
            .push(format!("firewall rules: only root may read them ({said})")),
        Rules::Failed(said) => seen.not_seen.push(format!("firewall rules: {said}")),
    }
    seen
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn sockets(seen: &mut Seen, control_ports: &[u16]) {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match text(table) {
            Some(text) => found.extend(proc_net::listeners(&text)),
            None if table.ends_with("tcp") => seen
                .not_seen
                .push("listening sockets: there is no /proc/net/tcp".to_owned()),
            None => {}
        }
    }
    let owners = owners();
    let mut server = None;
    let mut runs = false;
    for (at, inode) in found {
        let owner = owners.get(&inode).cloned();
        if control_ports.contains(&at.port()) {
            server = server.or(owner.as_ref().map(|owner| owner.pid));
            runs = true;
        }
        seen.listening.push(Listening { at, owner });
    }
    let status = match server {
        Some(pid) => text(format!("/proc/{pid}/status")),
        // Somebody else's server may more, or less, than we.
        None if runs => None,
        None => text("/proc/self/status"),
    };
    seen.may_use_low_ports = status.as_deref().and_then(proc_net::may_bind_low);
}

/// Whose a socket is, by the number of its inode; of other users' processes only root sees it.
fn owners() -> HashMap<u64, Owner> {
    let mut found = HashMap::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return found;
    };
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|it| it.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let name = fs::read(process.path().join("comm")).unwrap_or_default();
        let name = wharf_proto::visible(name.trim_ascii());
        for file in files.flatten() {
            let Ok(target) = fs::read_link(file.path()) else {
                continue;
            };
            let inode = target.to_str().and_then(|it| {
                let inside = it.strip_prefix("socket:[")?;
                inside.strip_suffix(']')?.parse().ok()
            });
            if let Some(inode) = inode {
                let name = name.clone();
                found.entry(inode).or_insert(Owner { pid, name });
            }
        }
    }
    found
}

fn network(seen: &mut Seen) {
    let read = |name: &str| text(format!("/proc/net/{name}")).unwrap_or_default();
    seen.addresses = proc_net::addresses(&read("fib_trie"));
    seen.addresses
        .extend(proc_net::addresses_v6(&read("if_inet6")));
    seen.default_routes = proc_net::default_routes(&read("route"));
    seen.default_routes
        .extend(proc_net::default_routes_v6(&read("ipv6_route")));
    for table in ["ip_tables_names", "ip6_tables_names"] {
        for name in read(table).lines() {
            let name = wharf_proto::visible(name.as_bytes());
            if !name.is_empty() && !seen.legacy_tables.contains(&name) {
                seen.legacy_tables.push(name);
            }
        }
    }
}

fn kernel(seen: &mut Seen) {
    let setting = |name: &str| text(format!("/proc/sys/net/{name}"));
    let number = |name: &str| setting(name).and_then(|it| it.trim().parse::<u64>().ok());
    seen.local_ports = setting("ipv4/ip_local_port_range").and_then(|it| proc_net::port_pair(&it));
    seen.reserved_ports = setting("ipv4/ip_local_reserved_ports")
        .map(|it| proc_net::port_list(&it))
        .unwrap_or_default();
    seen.unprivileged_from =
        number("ipv4/ip_unprivileged_port_start").and_then(|it| u16::try_from(it).ok());
    seen.helper_loaded = Path::new("/sys/module/nf_conntrack_ftp").exists();
    seen.automatic_helper = number("netfilter/nf_conntrack_helper").map(|it| it != 0);
    seen.established_timeout =
        number("netfilter/nf_conntrack_tcp_timeout_established").map(Duration::from_secs);
    let all = number("ipv4/conf/all/rp_filter").unwrap_or(0);
    let mut interfaces: Vec<String> = seen
        .default_routes
        .iter()
        .map(|route| route.interface.clone())
        .collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    for interface in interfaces {
        let own = number(&format!("ipv4/conf/{interface}/rp_filter")).unwrap_or(0);
        if all.max(own) == 1 {
            seen.strict_reverse_path.push(interface);
        }
    }
}

async fn rules() -> Rules {
    let asked = tokio::task::spawn_blocking(ask_nft);
    match timeout(PATIENCE, asked).await {
        Ok(Ok(rules)) => rules,
        Ok(Err(_)) => Rules::Failed("nft could not be asked".to_owned()),
        Err(_) => Rules::Failed(format!("nft said nothing for {} s", PATIENCE.as_secs())),
    }
}

fn ask_nft() -> Rules {
    for place in PLACES {
        let asked = Command::new(place)
            .args(["-j", "list", "ruleset"])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        match asked {
            Ok(output) => return understood(&output),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Rules::Failed(format!("cannot start {place}: {error}")),
        }
    }
    Rules::NoProgram
}

fn understood(output: &Output) -> Rules {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = wharf_proto::visible(said.lines().next().unwrap_or("").as_bytes());
    if !output.status.success() {
        return if said.contains("not permitted") || said.contains("denied") {
            Rules::Denied(said)
        } else {
            Rules::Failed(format!("nft ended with {}: {said}", output.status))
        };
    }
    match Ruleset::from_nft_json(&String::from_utf8_lossy(&output.stdout)) {
        Ok(rules) => Rules::Read(Box::new(rules)),
        Err(error) => Rules::Failed(format!("nft's answer: {error}")),
    }
}
