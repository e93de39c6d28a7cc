//! From the JSON of `nft -j list ruleset` (libnftables-json(5)) to a [`Ruleset`].

use std::fmt::Write as _;

use serde_json::Value;
use thiserror::Error;

use super::compared::{elements, fields, source, span};
use super::expression::{Operator, Source, Span};
use super::model::{Base, Chain, Kind, Name, Nat, NatTo, Rule, Ruleset, Statement, Verdict};
use super::text::{rule_text, word};

/// More than any ruleset that a person would keep; the reader holds several times this in memory.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The text is not the output of `nft -j list ruleset`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotUnderstood {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// It is JSON without a list `nftables`.
    #[error("no list `nftables` in it: is this the output of `nft -j list ruleset`?")]
    Form,
    /// It is too large to be looked at.
    #[error("{0} bytes are more than a ruleset has")]
    Large(usize),
    /// A chain's or a rule's place is missing or contradictory.
    #[error("object {0} of the list: {1}")]
    Object(usize, &'static str),
}

/// xt targets after which the packet goes on.
const HARMLESS_TARGETS: &[&str] = &[
    "LOG",
    "NFLOG",
    "ULOG",
    "AUDIT",
    "TRACE",
    "TCPMSS",
    "TCPOPTSTRIP",
    "CHECKSUM",
    "CLASSIFY",
    "DSCP",
    "TOS",
    "TTL",
    "HL",
    "RATEEST",
    "CONNMARK",
    "MARK",
    "CONNSECMARK",
    "SECMARK",
    "SET",
    "LED",
    "TEE",
    "IDLETIMER",
];

impl Ruleset {
    /// Reads what `nft -j list ruleset` printed.
    ///
    /// # Errors
    /// Only if the text as a whole is something else. A rule that is not understood is no error: answers that hang on
    /// it are unknown.
    pub fn from_nft_json(text: &str) -> Result<Self, NotUnderstood> {
        if text.len() > MOST_BYTES {
            return Err(NotUnderstood::Large(text.len()));
        }
        let root: Value =
            serde_json::from_str(text).map_err(|error| NotUnderstood::Json(error.to_string()))?;
        let list = root.get("nftables").and_then(Value::as_array);
        let list = list.ok_or(NotUnderstood::Form)?;
        let mut rules = Self::default();
        let mut dormant = Vec::new();
        for (place, object) in list.iter().enumerate() {
            let bad = |why| NotUnderstood::Object(place, why);
            let fields = object.as_object().ok_or(bad("not an object"))?;
            let Some((kind, value)) = fields.iter().next() else {
                continue;
            };
            match kind.as_str() {
                "table" if flags(value.get("flags")).any(|flag| flag == "dormant") => {
                    dormant.push(name_in(value, "name").ok_or(bad("a table without a name"))?);
                }
                "chain" => {
                    let name = named(value).ok_or(bad("a chain without a name"))?;
                    let base = base(value).map_err(bad)?;
                    rules.add_chain(name, base);
                }
                "rule" => {
                    let name = name_in(value, "chain").ok_or(bad("a rule without a chain"))?;
                    let rule = rule(value);
                    if has_xt(value) {
                        rules.iptables = true;
                    }
                    let index = rules.by_name.get(&name).copied();
                    let chain = index.and_then(|index| rules.chains.get_mut(index));
                    chain
                        .ok_or(bad("a rule before its chain"))?
                        .rules
                        .push(rule);
                }
                "set" | "map" => {
                    let name = named(value).ok_or(bad("a set without a name"))?;
                    let members = value.get("elem").map(elements).unwrap_or_default();
                    rules.sets.insert(name, members);
                }
                "ct helper" => {
                    let name = named(value).ok_or(bad("a helper without a name"))?;
                    let kind = value.get("type").and_then(Value::as_str).unwrap_or("?");
                    rules.helpers.insert(name, word(kind));
                }
                // Things that rules name and that decide nothing by themselves.
                "metainfo" | "table" | "counter" | "quota" | "limit" | "ct timeout"
                | "ct expectation" | "flowtable" | "secmark" | "synproxy" | "tunnel" => {}
                other => rules.strange.push(word(other)),
            }
        }
        for name in dormant {
            for chain in &mut rules.chains {
                if chain.name.family == name.family && chain.name.table == name.table {
                    chain.base = None;
                }
            }
        }
        rules.strange.truncate(8);
        Ok(rules)
    }

    fn add_chain(&mut self, name: Name, base: Option<Base>) {
        self.by_name.insert(name.clone(), self.chains.len());
        self.chains.push(Chain {
            name,
            base,
            rules: Vec::new(),
        });
    }
}

fn has_xt(rule: &Value) -> bool {
    let list = rule.get("expr").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|it| it.get("xt").is_some()))
}

fn named(value: &Value) -> Option<Name> {
    name_in(value, "name")
}

/// The name under this key, in the table that the object tells; a table itself is in itself.
fn name_in(value: &Value, key: &str) -> Option<Name> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(word);
    let name = text(key)?;
    Some(Name {
        family: text("family")?,
        table: text("table").unwrap_or_else(|| name.clone()),
        name,
    })
}

pub(super) fn flags(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, several) = match value {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(several)) => (None, Some(several.iter().filter_map(Value::as_str))),
        _ => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten())
}

fn base(chain: &Value) -> Result<Option<Base>, &'static str> {
    let Some(hook) = chain.get("hook").and_then(Value::as_str) else {
        return Ok(None);
    };
    let priority = chain.get("prio").and_then(Value::as_i64);
    let kind = match chain.get("type").and_then(Value::as_str) {
        Some("nat") => Kind::Nat,
        _ => Kind::Filter,
    };
    Ok(Some(Base {
        kind,
        hook: hook.to_owned(),
        priority: priority.ok_or("a base chain without a priority")?,
        drops: match chain.get("policy").and_then(Value::as_str) {
            None | Some("accept") => false,
            Some("drop") => true,
            Some(_) => return Err("a policy that is neither accept nor drop"),
        },
        devices: flags(chain.get("dev")).map(str::to_owned).collect(),
    }))
}

fn rule(value: &Value) -> Rule {
    let none = Vec::new();
    let list = value.get("expr").and_then(Value::as_array).unwrap_or(&none);
    let mut text = rule_text(list);
    if let Some(comment) = value.get("comment").and_then(Value::as_str) {
        let _ = write!(text, " comment \"{}\"", word(comment));
    }
    Rule {
        handle: value.get("handle").and_then(Value::as_u64),
        text,
        statements: list.iter().map(statement).collect(),
    }
}

fn statement(value: &Value) -> Statement {
    let Some((key, inner)) = value.as_object().and_then(|it| it.iter().next()) else {
        return Statement::Opaque("a statement that is no object".to_owned());
    };
    match key.as_str() {
        "match" => matching(inner),
        "vmap" => Statement::VerdictMap {
            key: inner.get("key").map(fields).unwrap_or_default(),
            entries: inner.get("data").map_or_else(
                || Source::Unclear("a map without data".to_owned()),
                |data| source(data, &[]),
            ),
        },
        "dnat" | "snat" | "redirect" | "masquerade" => Statement::Nat(nat(inner)),
        "ct helper" => match inner.as_str() {
            Some(name) => Statement::Helper(word(name)),
            None => Statement::PerhapsHelper("it looks the helper up".to_owned()),
        },
        "limit" | "ct count" if inner.get("inv") == Some(&Value::Bool(true)) => Statement::Exceeds,
        "limit" if inner.is_string() => {
            Statement::Unclear(format!("it refers to the limit {}", word_of(inner)))
        }
        "set" => set_statement(inner),
        "limit" | "ct count" | "counter" | "log" | "comment" | "mangle" | "ct timeout"
        | "ct expectation" | "flow" | "dup" | "last" | "secmark" | "map" => Statement::Neutral,
        "quota" => Statement::Unclear("it depends on a quota".to_owned()),
        "notrack" => Statement::NoTrack,
        "xt" => xt(inner),
        _ => match verdict(value) {
            Some(verdict) => Statement::Verdict(verdict),
            None => Statement::Opaque(format!("the statement `{}` is not understood", word(key))),
        },
    }
}

/// `add @set { … limit rate over … }`: the statements inside decide whether the rule goes on.
fn set_statement(inner: &Value) -> Statement {
    let inside = inner.get("stmt").and_then(Value::as_array);
    let inside: Vec<Statement> = inside
        .map(|list| list.iter().map(statement).collect())
        .unwrap_or_default();
    for statement in &inside {
        match statement {
            Statement::Neutral => {}
            other => return other.clone(),
        }
    }
    Statement::Neutral
}

fn xt(inner: &Value) -> Statement {
    let text = |key: &str| inner.get(key).and_then(Value::as_str);
    let hidden = "which `nft -j` does not describe (`iptables-save` does)";
    match (text("type"), text("name")) {
        (Some("match"), Some("comment")) => Statement::Neutral,
        (Some("match"), Some(name)) => Statement::Unclear(format!(
            "it uses the iptables match `{}`, {hidden}",
            word(name)
        )),
        (Some("target"), Some("CT")) => {
            Statement::PerhapsHelper(format!("it uses the iptables target `CT`, {hidden}"))
        }
        (Some("target" | "watcher"), Some(name)) if HARMLESS_TARGETS.contains(&name) => {
            Statement::Neutral
        }
        (_, Some(name)) => Statement::Opaque(format!(
            "it uses the iptables target `{}`, {hidden}",
            word(name)
        )),
        _ => Statement::Opaque(format!("it uses an iptables extension, {hidden}")),
    }
}

pub(super) fn verdict(value: &Value) -> Option<Verdict> {
    let (key, inner) = value.as_object()?.iter().next()?;
    let target = || inner.get("target").and_then(Value::as_str).map(word);
    Some(match key.as_str() {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "reject" => Verdict::Reject,
        "return" => Verdict::Return,
        "continue" => Verdict::Continue,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

fn matching(inner: &Value) -> Statement {
    let (Some(left), Some(right)) = (inner.get("left"), inner.get("right")) else {
        return Statement::Unclear("it compares something that is not said".to_owned());
    };
    let operator = match inner.get("op").and_then(Value::as_str) {
        Some("==") => Operator::Equal,
        Some("!=") => Operator::NotEqual,
        Some("in") | None => Operator::AnyOf,
        Some("<") => Operator::Less,
        Some(">") => Operator::Greater,
        Some("<=") => Operator::LessOrEqual,
        Some(">=") => Operator::GreaterOrEqual,
        Some(other) => {
            return Statement::Unclear(format!("the operator `{}` is not understood", word(other)));
        }
    };
    let left = fields(left);
    let right = source(right, &left);
    Statement::Match {
        operator,
        left,
        right,
    }
}

fn nat(inner: &Value) -> Nat {
    let to = |key: &str| match inner.get(key) {
        None => NatTo::Nothing,
        Some(value) => match value.get("map") {
            Some(map) => NatTo::Map {
                key: map.get("key").map(fields).unwrap_or_default(),
                entries: map.get("data").map_or_else(
                    || Source::Unclear("a map without data".to_owned()),
                    |data| source(data, &[]),
                ),
            },
            None => match span(value) {
                Span::Addresses(from, to) if from == to => NatTo::Address(from),
                Span::Numbers(from, to) => match (u16::try_from(from), u16::try_from(to)) {
                    (Ok(from), Ok(to)) => NatTo::Ports(from, to),
                    _ => NatTo::Unclear,
                },
                _ => NatTo::Unclear,
            },
        },
    };
    Nat {
        address: to("addr"),
        port: to("port"),
        family: inner.get("family").and_then(Value::as_str).map(word),
    }
}

fn word_of(value: &Value) -> String {
    value.as_str().map(word).unwrap_or_default()
}
