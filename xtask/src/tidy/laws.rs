//! Those of the eight laws that a text search can hold.

use super::{File, code_lines};

/// Law 6: who may open or await connections besides the one data-connection opener.
const SOCKET_OPENERS: &[&str] = &[
    "crates/wharf-acme/",                 // HTTP, with a certificate authority
    "crates/wharf-client/src/connect.rs", // the control connection of a client
    "crates/wharf-doctor/src/ask/",       // knocks and calls between two doctors
    "crates/wharf/src/cmd/",              // asks which ports may be had, before serving
    "crates/wharf/src/drill/",            // tries what it may not, in builds for the lab
    "crates/wharf-net/",                  // the floor that owns sockets
    "crates/wharf-proxy/src/proxy.rs",    // the control listeners
    "crates/wharf-proxy/src/upstream.rs", // the control connection to the server
    "crates/wharf-server/src/server.rs",  // the control listeners
    "crates/wharf-sim/",                  // a network of its own
];

pub(crate) fn laws(files: &[File], faults: &mut Vec<String>) {
    for file in files {
        if file.is_rust() && file.path.starts_with("crates/") {
            one_opener(file, faults);
            mode_never_alone(file, faults);
        }
    }
    must_hold(
        files,
        "crates/wharf-proto/Cargo.toml",
        "law 1: wharf-proto depends on nothing but std",
        faults,
        |text| {
            let section = text.split("[dependencies]").nth(1).unwrap_or_default();
            let section = section.split("\n[").next().unwrap_or_default();
            section.trim().is_empty()
        },
    );
    must_hold(
        files,
        "crates/wharf-proto/clippy.toml",
        "law 1: the clock and the sockets are disallowed in wharf-proto",
        faults,
        |text| {
            [
                "std::time::Instant::now",
                "std::time::SystemTime::now",
                "std::net::Tcp",
                "std::fs",
            ]
            .iter()
            .all(|w| text.contains(w))
        },
    );
    for krate in ["wharf-server", "wharf-client", "wharf-proxy"] {
        must_hold(
            files,
            &format!("crates/{krate}/clippy.toml"),
            "law 2: tokio::sync::Mutex is disallowed, a session has one owner",
            faults,
            |text| text.contains("tokio::sync::Mutex"),
        );
    }
    for krate in ["wharf-proto", "wharf-net"] {
        must_hold(
            files,
            &format!("crates/{krate}/src/lib.rs"),
            "law 5: unwrap_used, expect_used, indexing_slicing and panic are denied at the crate root",
            faults,
            |text| {
                [
                    "unwrap_used",
                    "expect_used",
                    "indexing_slicing",
                    "clippy::panic",
                ]
                .iter()
                .all(|lint| text.contains(lint))
            },
        );
    }
    handlers_return_their_reply(files, faults);
}

fn must_hold(
    files: &[File],
    path: &str,
    law: &str,
    faults: &mut Vec<String>,
    holds: impl Fn(&str) -> bool,
) {
    match files.iter().find(|f| f.path == path) {
        Some(file) if holds(&file.text) => {}
        Some(_) => faults.push(format!("{path}: {law}")),
        None => faults.push(format!("{path} is missing: {law}")),
    }
}

fn one_opener(file: &File, faults: &mut Vec<String>) {
    let allowed = SOCKET_OPENERS.iter().any(|p| file.path.starts_with(p));
    if allowed || file.path.contains("/tests/") {
        return;
    }
    for (at, line) in code_lines(file) {
        if [
            "TcpStream::connect",
            "TcpListener::bind",
            "net.connect(",
            "net.listen(",
        ]
        .iter()
        .any(|call| line.contains(call))
        {
            faults.push(format!(
                "{}:{at}: law 6: only net/data.rs opens data connections: {line}",
                file.path
            ));
        }
    }
}

fn mode_never_alone(file: &File, faults: &mut Vec<String>) {
    for (at, line) in code_lines(file) {
        if ["struct Mode ", "enum Mode ", "struct Mode{", "enum Mode{"]
            .iter()
            .any(|word| line.contains(word))
        {
            faults.push(format!(
                "{}:{at}: \"mode\" stands alone; say TransferMode or DataMode",
                file.path
            ));
        }
    }
}

/// Law 3: what stands in `commands/` and takes a session gives back its one final reply.
fn handlers_return_their_reply(files: &[File], faults: &mut Vec<String>) {
    for file in files {
        if !file.path.starts_with("crates/wharf-server/src/commands/") {
            continue;
        }
        for (at, line) in code_lines(file) {
            if line.contains("control.send(") || line.contains("control.queue(") {
                faults.push(format!(
                    "{}:{at}: law 3: a handler returns its final reply, it does not send it: {line}",
                    file.path
                ));
            }
        }
    }
}
