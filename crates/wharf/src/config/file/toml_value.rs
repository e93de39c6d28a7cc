//! Values of TOML, read into what they stand for; a mistake is told with its place.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

pub(super) type Value<'i> = Spanned<DeValue<'i>>;
/// Where in the text, and what is wrong there.
pub(super) type Mistakes = Vec<(Range<usize>, String)>;

pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

pub(super) fn wrong<T>(value: &Value<'_>, expected: &str) -> Result<T, Mistakes> {
    let message = format!("expected {expected}, found {}", kind(value.get_ref()));
    Err(vec![(value.span(), message)])
}

pub(super) fn text<T>(
    value: &Value<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Mistakes> {
    match value.get_ref() {
        DeValue::String(text) => read(text).map_err(|message| vec![(value.span(), message)]),
        _ => wrong(value, "a string"),
    }
}

pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Mistakes> {
    match value.get_ref() {
        DeValue::Boolean(on) => Ok(*on),
        _ => wrong(value, "true or false"),
    }
}

pub(super) fn integer(value: &Value<'_>, low: u64, high: u64) -> Result<u64, Mistakes> {
    let DeValue::Integer(integer) = value.get_ref() else {
        return wrong(value, "an integer");
    };
    i128::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| {
            let message = format!("`{integer}` is out of range: expected {low} to {high}");
            vec![(value.span(), message)]
        })
}

pub(super) fn count(value: &Value<'_>) -> Result<u32, Mistakes> {
    integer(value, 0, 1_000_000).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

pub(super) fn narrow_port(port: u64) -> u16 {
    u16::try_from(port).unwrap_or_default()
}

/// A duration as text (`"5m"`) or as a number of seconds.
pub(super) fn time(
    value: &Value<'_>,
    read: fn(&str) -> Result<Duration, String>,
) -> Result<Duration, Mistakes> {
    match value.get_ref() {
        DeValue::Integer(integer) => {
            read(integer.as_str()).map_err(|message| vec![(value.span(), message)])
        }
        _ => match value.get_ref() {
            DeValue::String(_) => text(value, read),
            _ => wrong(value, "a duration like \"30s\" or a number of seconds"),
        },
    }
}

/// An array of strings, or one string for an array of one.
pub(super) fn list<T>(
    value: &Value<'_>,
    read: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Mistakes> {
    let DeValue::Array(items) = value.get_ref() else {
        return match value.get_ref() {
            DeValue::String(_) => text(value, read).map(|item| vec![item]),
            _ => wrong(value, "an array of strings"),
        };
    };
    let mut good = Vec::new();
    let mut mistakes = Mistakes::new();
    for item in items {
        match text(item, read) {
            Ok(item) => good.push(item),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        Ok(good)
    } else {
        Err(mistakes)
    }
}

pub(super) fn paths(value: &Value<'_>, base: &Path) -> Result<Vec<PathBuf>, Mistakes> {
    let DeValue::Array(items) = value.get_ref() else {
        return path(value, base).map(|path| vec![path]);
    };
    let mut good = Vec::new();
    let mut mistakes = Mistakes::new();
    for item in items {
        match path(item, base) {
            Ok(path) => good.push(path),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        Ok(good)
    } else {
        Err(mistakes)
    }
}

pub(super) fn path(value: &Value<'_>, base: &Path) -> Result<PathBuf, Mistakes> {
    text(value, |text| {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.contains('\0') {
            return Err("must not contain NUL".to_owned());
        }
        Ok(base.join(text))
    })
}
