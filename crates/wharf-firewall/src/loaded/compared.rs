//! What a match compares, and with what: the expressions of the JSON.

use std::net::IpAddr;

use serde_json::Value;

use super::expression::{Carrier, Data, Element, Field, OnlyFamily, Source, Span};
use super::read::{flags, verdict};
use super::text::word;

/// The left side: one field, or a concatenation of them.
pub(super) fn fields(value: &Value) -> Vec<Field> {
    match value.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(field).collect(),
        None => vec![field(value)],
    }
}

pub(super) fn field(value: &Value) -> Field {
    let unknown = || Field::Unknown(super::text::expression_text(value));
    let Some((key, inner)) = value.as_object().and_then(|it| it.iter().next()) else {
        return unknown();
    };
    let text = |key: &str| inner.get(key).and_then(Value::as_str);
    match key.as_str() {
        "payload" => match (text("protocol"), text("field")) {
            (Some("tcp"), Some("dport")) => Field::DestinationPort(Carrier::Tcp),
            (Some("tcp"), Some("sport")) => Field::SourcePort(Carrier::Tcp),
            (Some("udp"), Some("dport")) => Field::DestinationPort(Carrier::Udp),
            (Some("udp"), Some("sport")) => Field::SourcePort(Carrier::Udp),
            (Some("th"), Some("dport")) => Field::DestinationPort(Carrier::Any),
            (Some("th"), Some("sport")) => Field::SourcePort(Carrier::Any),
            (Some("tcp"), Some("flags")) => Field::TcpFlags(u8::MAX),
            (Some("ip"), Some("saddr")) => Field::SourceAddress(OnlyFamily::Ipv4),
            (Some("ip"), Some("daddr")) => Field::DestinationAddress(OnlyFamily::Ipv4),
            (Some("ip6"), Some("saddr")) => Field::SourceAddress(OnlyFamily::Ipv6),
            (Some("ip6"), Some("daddr")) => Field::DestinationAddress(OnlyFamily::Ipv6),
            (Some("ip"), Some("protocol")) => Field::Protocol(OnlyFamily::Ipv4),
            (Some("ip6"), Some("nexthdr")) => Field::Protocol(OnlyFamily::Ipv6),
            (Some("icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "udplite" | "ah" | "esp"), _) => {
                Field::OfOtherProtocol
            }
            _ => unknown(),
        },
        "meta" => match text("key") {
            Some("l4proto") => Field::Protocol(OnlyFamily::Any),
            Some("nfproto") => Field::Family,
            Some("protocol") => Field::EtherType,
            Some("iif" | "iifname") => Field::InputInterface,
            Some("oif" | "oifname") => Field::OutputInterface,
            Some("pkttype") => Field::PacketType,
            _ => unknown(),
        },
        "ct" => match (text("key"), inner.get("dir")) {
            (Some("state"), None) => Field::State,
            (Some("status"), None) => Field::Status,
            (Some("direction"), None) => Field::Direction,
            (Some("helper"), None) => Field::Helper,
            _ => unknown(),
        },
        "fib" => {
            let flags: Vec<&str> = flags(inner.get("flags")).collect();
            match (text("result"), flags.as_slice()) {
                (Some("type"), ["daddr"]) => Field::DestinationType,
                (Some("oif"), ["saddr", "iif"]) => Field::WayBack,
                _ => unknown(),
            }
        }
        "&" => match inner.as_array().map(Vec::as_slice) {
            Some([left, mask]) => match (field(left), flag_bits(mask)) {
                (Field::TcpFlags(_), Some(mask)) => Field::TcpFlags(mask),
                _ => unknown(),
            },
            _ => unknown(),
        },
        _ => unknown(),
    }
}

/// The bits of `"syn"`, `["fin", "syn"]`, `{"|": [...]}` or a number.
pub(super) fn flag_bits(value: &Value) -> Option<u8> {
    match value {
        Value::String(name) => Some(match name.as_str() {
            "fin" => 1,
            "syn" => 2,
            "rst" => 4,
            "psh" => 8,
            "ack" => 16,
            "urg" => 32,
            "ecn" => 64,
            "cwr" => 128,
            _ => return None,
        }),
        Value::Number(number) => number.as_u64().and_then(|it| u8::try_from(it).ok()),
        Value::Array(several) => several
            .iter()
            .try_fold(0, |bits, it| Some(bits | flag_bits(it)?)),
        Value::Object(_) => flag_bits(value.get("|")?),
        _ => None,
    }
}

/// The right side of a match on these fields, or the data of a map.
pub(super) fn source(value: &Value, left: &[Field]) -> Source {
    let one = |span| {
        Source::Here(vec![Element {
            parts: vec![span],
            data: Data::None,
        }])
    };
    if matches!(left, [Field::TcpFlags(_)]) && value.get("set").is_none() {
        return one(flag_bits(value).map_or(Span::Unclear, Span::Flags));
    }
    match value {
        Value::String(name) if name.starts_with('@') => {
            Source::Named(word(name.trim_start_matches('@')))
        }
        Value::Array(_) => Source::Here(elements(value)),
        Value::Object(fields) => match fields.iter().next() {
            Some((key, inner)) if key == "set" => Source::Here(elements(inner)),
            Some((key, inner)) if key == "|" => Source::Here(elements(inner)),
            Some(_) => Source::Here(vec![element(value)]),
            None => Source::Unclear("an empty object".to_owned()),
        },
        _ => Source::Here(vec![element(value)]),
    }
}

/// The members of a set, or the entries `[key, data]` of a map.
pub(super) fn elements(value: &Value) -> Vec<Element> {
    match value {
        Value::Array(several) => several.iter().map(element).collect(),
        one => vec![element(one)],
    }
}

pub(super) fn element(value: &Value) -> Element {
    let (key, data) = match value.as_array().map(Vec::as_slice) {
        Some([key, data]) => (key, data_of(data)),
        _ => (value, Data::None),
    };
    // `{"elem": {"val": …, "comment": …}}`
    let key = key.get("elem").and_then(|it| it.get("val")).unwrap_or(key);
    let parts = match key.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(span).collect(),
        None if key.as_str() == Some("*") => Vec::new(),
        None => vec![span(key)],
    };
    Element { parts, data }
}

pub(super) fn data_of(value: &Value) -> Data {
    if let Some(verdict) = verdict(value) {
        return Data::Verdict(verdict);
    }
    let parts = match value.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(span).collect(),
        None => vec![span(value)],
    };
    if parts.contains(&Span::Unclear) {
        Data::Unclear
    } else {
        Data::Value(parts)
    }
}

pub(super) fn span(value: &Value) -> Span {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(number) => Span::Numbers(number, number),
            None => Span::Unclear,
        },
        Value::Bool(it) => Span::Boolean(*it),
        Value::String(text) => match text.parse::<IpAddr>() {
            Ok(address) => Span::Addresses(address, address),
            Err(_) => Span::Word(word(text)),
        },
        Value::Object(fields) => match fields.iter().next() {
            Some((key, inner)) if key == "range" => range(inner),
            Some((key, inner)) if key == "prefix" => prefix(inner).unwrap_or(Span::Unclear),
            Some((key, inner)) if key == "elem" => inner.get("val").map_or(Span::Unclear, span),
            _ => Span::Unclear,
        },
        _ => Span::Unclear,
    }
}

pub(super) fn range(value: &Value) -> Span {
    let Some([from, to]) = value.as_array().map(Vec::as_slice) else {
        return Span::Unclear;
    };
    match (span(from), span(to)) {
        (Span::Numbers(from, _), Span::Numbers(to, _)) => Span::Numbers(from, to),
        (Span::Addresses(from, _), Span::Addresses(to, _)) if from.is_ipv4() == to.is_ipv4() => {
            Span::Addresses(from, to)
        }
        _ => Span::Unclear,
    }
}

pub(super) fn prefix(value: &Value) -> Option<Span> {
    let address: IpAddr = value.get("addr")?.as_str()?.parse().ok()?;
    let length = u32::try_from(value.get("len")?.as_u64()?).ok()?;
    Some(match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            let from = address.to_bits() & !host;
            let to = from | host;
            (length <= 32).then_some(())?;
            Span::Addresses(IpAddr::V4(from.into()), IpAddr::V4(to.into()))
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let from = address.to_bits() & !host;
            let to = from | host;
            (length <= 128).then_some(())?;
            Span::Addresses(IpAddr::V6(from.into()), IpAddr::V6(to.into()))
        }
    })
}
