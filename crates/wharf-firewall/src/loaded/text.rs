//! A rule as nft writes it, for messages. Good for reading, not for loading.

use serde_json::Value;
use wharf_proto::visible;

/// Longer rules end with `...`.
const MOST_CHARS: usize = 160;
/// How deep an expression is followed.
const MOST_DEPTH: usize = 8;
/// So many members of a set are shown.
const MOST_MEMBERS: usize = 6;

/// A word of the ruleset, fit for a terminal and of bounded length.
pub(super) fn word(text: &str) -> String {
    shortened(visible(text.as_bytes()))
}

fn shortened(text: String) -> String {
    if text.chars().count() <= MOST_CHARS {
        return text;
    }
    let mut short: String = text.chars().take(MOST_CHARS).collect();
    short.push_str("...");
    short
}

/// The statements of a rule in one line.
pub(super) fn rule_text(statements: &[Value]) -> String {
    let words: Vec<String> = statements.iter().take(32).map(statement).collect();
    let text: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|it| !it.is_empty())
        .collect();
    shortened(text.join(" "))
}

/// An expression in one line.
pub(super) fn expression_text(value: &Value) -> String {
    shortened(expression(value, 0))
}

fn statement(value: &Value) -> String {
    let Some((key, inner)) = value.as_object().and_then(|it| it.iter().next()) else {
        return word(&value.to_string());
    };
    let target = || inner.get("target").map(|it| expression(it, 0));
    let part = |key: &str| inner.get(key).map(|it| expression(it, 0));
    match key.as_str() {
        "match" => {
            let operator = match inner.get("op").and_then(Value::as_str) {
                Some("==" | "in") | None => String::new(),
                Some(other) => format!("{} ", word(other)),
            };
            format!(
                "{} {operator}{}",
                part("left").unwrap_or_default(),
                part("right").unwrap_or_default()
            )
        }
        "accept" | "drop" | "return" | "continue" | "masquerade" | "notrack" | "log"
        | "redirect"
            if inner.is_null() =>
        {
            key.clone()
        }
        "jump" | "goto" => format!("{key} {}", target().unwrap_or_default()),
        "vmap" => format!(
            "{} vmap {}",
            part("key").unwrap_or_default(),
            part("data").unwrap_or_default()
        ),
        "reject" => match inner.get("type").and_then(Value::as_str) {
            Some("tcp reset") => "reject with tcp reset".to_owned(),
            _ => "reject".to_owned(),
        },
        "dnat" | "snat" | "redirect" | "masquerade" => {
            let port = part("port").map(|port| format!(":{port}"));
            let to = format!(
                "{}{}",
                part("addr").unwrap_or_default(),
                port.unwrap_or_default()
            );
            if to.is_empty() {
                key.clone()
            } else {
                format!("{key} to {to}")
            }
        }
        "ct helper" => format!("ct helper set {}", expression(inner, 0)),
        "counter" => "counter".to_owned(),
        "log" => "log".to_owned(),
        "limit" => "limit".to_owned(),
        "mangle" => format!(
            "{} set {}",
            part("key").unwrap_or_default(),
            part("value").unwrap_or_default()
        ),
        "xt" => format!(
            "xt {} {}",
            part("type").unwrap_or_default(),
            part("name").unwrap_or_default()
        ),
        _ => format!("{} ...", word(key)),
    }
}

fn expression(value: &Value, depth: usize) -> String {
    if depth > MOST_DEPTH {
        return "...".to_owned();
    }
    let deeper = |value: &Value| expression(value, depth + 1);
    let list = |several: &[Value], between: &str| {
        let mut words: Vec<String> = several.iter().take(MOST_MEMBERS).map(deeper).collect();
        if several.len() > MOST_MEMBERS {
            words.push("...".to_owned());
        }
        words.join(between)
    };
    match value {
        Value::String(text) => word(text),
        Value::Array(several) => list(several, ","),
        Value::Object(fields) => {
            let Some((key, inner)) = fields.iter().next() else {
                return "{}".to_owned();
            };
            let part = |key: &str| inner.get(key).map(deeper).unwrap_or_default();
            let inner_list = inner.as_array().map(Vec::as_slice).unwrap_or_default();
            match key.as_str() {
                "payload" => format!("{} {}", part("protocol"), part("field")),
                "meta" => match inner.get("key").and_then(Value::as_str) {
                    Some(name @ ("iif" | "iifname" | "oif" | "oifname")) => name.to_owned(),
                    _ => format!("meta {}", part("key")),
                },
                "ct" => format!("ct {}", part("key")),
                "fib" => format!("fib {} {}", part("flags"), part("result")),
                "prefix" => format!("{}/{}", part("addr"), part("len")),
                "range" => list(inner_list, "-"),
                "concat" => list(inner_list, " . "),
                "|" => list(inner_list, "|"),
                "&" => list(inner_list, " & "),
                "set" => {
                    let entry = |it: &Value| match it.as_array().map(Vec::as_slice) {
                        Some([key, data]) => format!("{} : {}", deeper(key), deeper(data)),
                        _ => deeper(it),
                    };
                    let mut words: Vec<String> =
                        inner_list.iter().take(MOST_MEMBERS).map(entry).collect();
                    if inner_list.len() > MOST_MEMBERS {
                        words.push("...".to_owned());
                    }
                    format!("{{ {} }}", words.join(", "))
                }
                "elem" => part("val"),
                "map" => format!("{} map {}", part("key"), part("data")),
                "accept" | "drop" | "return" | "continue" | "reject" => key.clone(),
                "jump" | "goto" => format!("{key} {}", part("target")),
                _ => format!("{} ...", word(key)),
            }
        }
        other => other.to_string(),
    }
}
