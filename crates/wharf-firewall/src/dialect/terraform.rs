//! What the Terraform dialects have in common: how HCL writes strings, lists and blocks.

use std::fmt::Write as _;

/// A string that nothing is replaced in
pub(super) fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}

/// A list of strings
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|it| quoted(it)).collect();
    format!("[{}]", items.join(", "))
}

/// The arguments of a block, one a line, their equals signs aligned as `terraform fmt` does
pub(super) fn arguments(indent: &str, arguments: &[(&str, String)]) -> String {
    let width = arguments.iter().map(|it| it.0.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in arguments {
        let _ = writeln!(out, "{indent}{name:<width$} = {value}");
    }
    out
}

/// A variable that only the reader knows
pub(super) fn variable(name: &str, what: &str) -> String {
    let lines = [("type", "string".to_owned()), ("description", quoted(what))];
    format!("variable \"{name}\" {{\n{}}}\n\n", arguments("  ", &lines))
}
