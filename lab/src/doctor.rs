//! `wharf doctor` in every topology × {wharf without one-port, vsftpd, ProFTPD, Pure-FTPd}: the causes that it names, and
//! the side that must act, within eight seconds. The truth is the table of topologies; what it means for a doctor that
//! stands on the client's side alone is the table below.

use std::time::Duration;

use serde_json::Value;

use crate::process::{Outcome, run as run_bounded};
use crate::server::{Kind, USER};
use crate::stage::Stage;
use crate::tally::{Judged, Tally, by_peers, seconds};
use crate::topology::{Middlebox, TOPOLOGIES, Topology};
use crate::{Result, Settings, payload};

/// The verdict is there within this time.
const VERDICT: Duration = Duration::from_secs(8);

/// No run lasts longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The servers that are examined.
const PEERS: [Kind; 4] = [Kind::Wharf, Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd];

/// What must be found: topology, servers, causes with the side that must act, and after `/` the sides that cannot be
/// excluded from the client's end. The first row that fits counts. What only says that a server does not use port 20 is
/// left out.
const EXPECTED: &[(&str, &[Kind], &str)] = &[
    ("open", &PEERS, ""),
    // Only with a server that connects from port 20 can a hole be opened for it, which settles whose firewall it is.
    (
        "client-fw-drop",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    ("client-fw-drop", &PEERS, "active-dropped@client-firewall"),
    (
        "client-fw-reject",
        &[Kind::ProFtpd],
        "active-refused@client-firewall/server-firewall",
    ),
    ("client-fw-reject", &PEERS, "active-refused@client-firewall"),
    ("client-fw-helper", &PEERS, ""),
    (
        "client-egress-21",
        &PEERS,
        "passive-dropped@client-firewall active-dropped@client-firewall/server-firewall",
    ),
    ("client-egress-21-helper", &PEERS, ""),
    ("server-fw-21", &PEERS, "passive-dropped@server-firewall"),
    ("server-fw-21-strict", &PEERS, BOTH_DROPPED),
    (
        "server-fw-range",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    (
        "server-fw-range",
        &PEERS,
        "active-dropped@server-firewall/client-firewall",
    ),
    ("server-fw-range-norange", &PEERS, BOTH_DROPPED),
    (
        "server-fw-range-reject",
        &[Kind::ProFtpd],
        "passive-refused@server-firewall/server-nat active-refused@server-firewall/client-firewall",
    ),
    (
        "server-fw-range-reject",
        &PEERS,
        "passive-refused@server-firewall/server-nat active-refused@server-firewall/client-firewall",
    ),
    ("server-fw-helper", &PEERS, ""),
    ("both-fw", &[Kind::ProFtpd], BOTH_DROPPED),
    (
        "both-fw",
        &PEERS,
        "passive-dropped@server-firewall active-dropped@client-firewall",
    ),
    ("acl-active", &[Kind::ProFtpd], BOTH_DROPPED),
    ("acl-active", &PEERS, "passive-dropped@server-firewall"),
    ("acl-passive", &[Kind::ProFtpd], ""),
    (
        "acl-passive",
        &PEERS,
        "active-dropped@server-firewall/client-firewall",
    ),
    // Its rules admit the server's connections from port 20 alone.
    (
        "server-hostfw",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    ("server-hostfw", &PEERS, ""),
    (
        "acl-passive-range",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    (
        "acl-passive-range",
        &PEERS,
        "active-dropped@server-firewall/client-firewall",
    ),
    ("client-hostfw-helper", &PEERS, ""),
    ("client-nat", &PEERS, "client-nat@client-nat"),
    ("client-nat-helper", &PEERS, "helper-at-work@nobody"),
    ("cgnat", &PEERS, "client-nat@client-nat"),
    // ProFTPD takes passive data from any address, vsftpd says what it does not like.
    ("cgnat-pool", &[Kind::ProFtpd], "client-nat@client-nat"),
    (
        "cgnat-pool",
        &[Kind::Vsftpd],
        "passive-not-accepted@client-nat client-nat@client-nat",
    ),
    (
        "cgnat-pool",
        &PEERS,
        "passive-not-accepted@client-nat/server-nat client-nat@client-nat",
    ),
    (
        "server-dnat-leak",
        &PEERS,
        "address-private@server-configuration",
    ),
    ("server-dnat-fixed", &PEERS, ""),
    (
        "server-dnat-wrongaddr",
        &PEERS,
        "address-wrong@server-configuration",
    ),
    ("server-dnat-21", &PEERS, "passive-refused@server-nat"),
    // It tells what it sent in its 227.
    (
        "server-dnat-helper",
        &[Kind::Wharf],
        "reply-rewritten@nobody",
    ),
    ("server-dnat-helper", &PEERS, ""),
    ("server-dnat-snat", &PEERS, "client-hidden@server-nat"),
    (
        "both-nat",
        &PEERS,
        "address-private@server-configuration client-nat@client-nat",
    ),
    ("both-nat-fixed", &PEERS, "client-nat@client-nat"),
    ("hairpin", &PEERS, "hairpin@server-nat"),
    ("client-nat-upnp", &PEERS, "mapped-port@nobody"),
    (
        "both-nat-upnp",
        &PEERS,
        "passive-refused@server-nat mapped-port@nobody",
    ),
    // Nothing is transferred long enough for it to forget the control connection.
    ("nat-idle", &PEERS, "client-nat@client-nat"),
    (
        "haproxy-21",
        &PEERS,
        "passive-refused@server-nat client-hidden@server-nat",
    ),
    ("haproxy-range", &PEERS, "client-hidden@server-nat"),
    // Told everything, the server names the balancer's address: what rejects there cannot be told.
    (
        "haproxy-21-proxy",
        &PEERS,
        "passive-refused@server-firewall/server-nat",
    ),
    ("haproxy-range-proxy", &PEERS, ""),
    ("ipv6-open", &PEERS, ""),
    (
        "ipv6-client-fw",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    ("ipv6-client-fw", &PEERS, "active-dropped@client-firewall"),
    ("ipv6-client-fw-helper", &PEERS, ""),
    (
        "ipv6-server-range",
        &[Kind::ProFtpd],
        "active-dropped@client-firewall/server-firewall",
    ),
    (
        "ipv6-server-range",
        &PEERS,
        "active-dropped@server-firewall/client-firewall",
    ),
    ("nat64", &PEERS, "nat64@nobody"),
];

/// Nothing comes through either way, and what closes the passive ports stands before the server.
const BOTH_DROPPED: &str =
    "passive-dropped@server-firewall active-dropped@server-firewall/client-firewall";

/// Notes about a server, which no topology changes.
const BESIDE: &[&str] = &["source-port-not-20"];

/// Exit status where some data path works, and where none does.
const WORKS: i32 = 0;
const NO_WAY: i32 = 7;

/// Fills and prints the matrix.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .filter(|row| settings.wants(row.name))
        .copied()
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let matrix = by_peers("doctor", &rows, &PEERS, tally, |row, kind| {
        meet(settings, row, kind)
    });
    matrix
        .print("wharf doctor (seconds; causes, side that must act, / who else it may be; !! not what must be)");
    Ok(())
}

/// Whether a control connection comes about at all: not where a balancer speaks first to a server that does not
/// understand it.
fn meets(row: &Topology, kind: Kind) -> bool {
    let header = matches!(
        row.middlebox,
        Some(Middlebox::Balancer {
            header: Some(_),
            ..
        })
    );
    kind == Kind::Wharf || !header
}

fn meet(settings: &Settings, row: Topology, kind: Kind) -> Result<Judged> {
    if !meets(&row, kind) {
        return Ok(Judged {
            text: "-".to_owned(),
            fault: None,
        });
    }
    let stage = Stage::in_topology(
        settings,
        &format!("doctor-{}-{}", row.name, kind.name()),
        row,
        kind,
    )?;
    payload::write(&stage.root.join("payload.bin"), 1000)?;
    let _server = stage.serve_with(&["--one-port", "off"])?;
    let mut command = stage.client(&stage.wharf);
    command.args(["doctor", "--json"]);
    command.arg(format!("ftp://{USER}@{}/", stage.network.host()));
    command.arg("--password-file").arg(&stage.secret);
    command.arg("--trace").arg(stage.work.path().join("trace"));
    let outcome = run_bounded(command, b"", LIMIT)?;
    let report: Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| format!("no report: {error}; {}", outcome.last_words()))?;
    Ok(judge(&report, &outcome, &row, kind))
}

/// `cause@side`, with `/side` for each other that it may be.
fn findings(report: &Value) -> Vec<String> {
    let list = report["findings"].as_array().into_iter().flatten();
    list.filter(|finding| !BESIDE.iter().any(|word| finding["word"] == *word))
        .map(|finding| {
            let mut text = format!("{}@{}", word(&finding["word"]), word(&finding["side"]));
            for side in finding["perhaps"].as_array().into_iter().flatten() {
                text.push('/');
                text.push_str(word(side));
            }
            text
        })
        .collect()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn judge(report: &Value, outcome: &Outcome, row: &Topology, kind: Kind) -> Judged {
    let found = findings(report).join(" ");
    let expected = EXPECTED
        .iter()
        .find(|(name, kinds, _)| *name == row.name && kinds.contains(&kind))
        .map(|(_, _, causes)| *causes);
    let works = report["verdict"]["works"] == true;
    let fault = if outcome.elapsed > VERDICT {
        Some(format!("took {}", seconds(outcome.elapsed)))
    } else if expected != Some(&*found) {
        Some(format!("found {found:?}, expected {expected:?}; {report}"))
    } else if outcome.code != Some(if works { WORKS } else { NO_WAY }) {
        Some(format!("status {:?}", outcome.code))
    } else if !report["unfinished"].as_array().is_some_and(Vec::is_empty) {
        Some(format!("not done: {}", report["unfinished"]))
    } else {
        unremedied(report)
    };
    let text = format!(
        "{} {}",
        seconds(outcome.elapsed),
        if found.is_empty() { "-" } else { &found }
    );
    Judged { text, fault }
}

/// A finding that somebody must act on, and that does not say how.
fn unremedied(report: &Value) -> Option<String> {
    let mut list = report["findings"].as_array().into_iter().flatten();
    let lacking = list.find(|finding| {
        finding["side"] != "nobody" && finding["remedy"].as_array().is_none_or(Vec::is_empty)
    })?;
    Some(format!("no remedy for {}", lacking["word"]))
}
