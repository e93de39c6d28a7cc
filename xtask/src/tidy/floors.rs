//! Which crate may stand on which: a crate depends on lower floors only, never on its own.

use super::File;

const FLOORS: &[(&str, u8)] = &[
    ("wharf-proto", 0),
    ("wharf-net", 1),
    ("wharf-storage", 1),
    ("wharf-firewall", 1),
    ("wharf-ladder", 1),
    ("wharf-acme", 2),
    ("wharf-accounts", 2),
    ("wharf-client", 2),
    ("wharf-worker", 2),
    ("wharf-server", 3),
    ("wharf-proxy", 3),
    ("wharf-broker", 3),
    ("wharf-doctor", 3),
    ("wharf", 4),
];

/// Pairs that the floors would allow and the house does not.
const FORBIDDEN: &[(&str, &str)] = &[
    ("wharf-server", "wharf-client"),
    ("wharf-accounts", "wharf-net"),
    ("wharf-client", "wharf-accounts"),
    ("wharf-proxy", "wharf-client"),
    ("wharf-proxy", "wharf-storage"),
    ("wharf-proxy", "wharf-accounts"),
    ("wharf-broker", "wharf-server"),
    ("wharf-broker", "wharf-client"),
    ("wharf-worker", "wharf-net"),
    ("wharf-worker", "wharf-accounts"),
    ("wharf-doctor", "wharf-storage"),
    ("wharf-doctor", "wharf-accounts"),
];

pub(crate) fn floors(files: &[File], faults: &mut Vec<String>) {
    for file in files {
        let Some(name) = file
            .path
            .strip_prefix("crates/")
            .and_then(|p| p.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        if name == "wharf-sim" {
            continue; // beside the house: tests only
        }
        let Some(own) = floor(name) else {
            faults.push(format!(
                "{}: {name} has no floor in xtask/src/tidy/floors.rs",
                file.path
            ));
            continue;
        };
        let normal = file
            .text
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        for line in normal.lines() {
            let other = line
                .split(['.', ' ', '='])
                .next()
                .unwrap_or_default()
                .trim();
            if !other.starts_with("wharf-") {
                continue;
            }
            if other == "wharf-sim" {
                faults.push(format!("{}: wharf-sim is for tests only", file.path));
            }
            if floor(other).is_some_and(|theirs| theirs >= own) {
                faults.push(format!(
                    "{}: {name} (floor {own}) stands on {other}, which is not below it",
                    file.path
                ));
            }
            if FORBIDDEN.contains(&(name, other)) {
                faults.push(format!("{}: {name} must not know {other}", file.path));
            }
        }
    }
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}
