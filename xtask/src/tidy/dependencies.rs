//! CONTRIBUTING.md holds one line for every direct dependency, and none for what is gone.

use super::File;

pub(crate) fn dependencies(files: &[File], faults: &mut Vec<String>) {
    let Some(root) = files.iter().find(|f| f.path == "Cargo.toml") else {
        return;
    };
    let Some(guide) = files.iter().find(|f| f.path == "CONTRIBUTING.md") else {
        faults.push("CONTRIBUTING.md is missing".to_owned());
        return;
    };
    let section = root
        .text
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .unwrap_or_default();
    let declared: Vec<&str> = section
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with("wharf-") && !name.starts_with('#'))
        .collect();
    for name in &declared {
        if !guide.text.contains(&format!("| `{name}` |")) {
            faults.push(format!("CONTRIBUTING.md: `{name}` has no reason"));
        }
        let used = files.iter().any(|f| {
            f.path.ends_with("/Cargo.toml")
                && f.text.lines().any(|l| {
                    l.starts_with(&format!("{name}.workspace"))
                        || l.starts_with(&format!("{name} = "))
                })
        });
        if !used {
            faults.push(format!(
                "Cargo.toml: `{name}` is declared and used by no crate"
            ));
        }
    }
    let listed = guide
        .text
        .split("## Dependencies")
        .nth(1)
        .unwrap_or_default();
    for line in listed.lines() {
        let Some(name) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once("` |"))
            .map(|(name, _)| name)
        else {
            continue;
        };
        if !declared.contains(&name) {
            faults.push(format!(
                "CONTRIBUTING.md: `{name}` is no dependency any more"
            ));
        }
    }
}
