//! Holds JSON against a JSON Schema, as far as the schema of events goes: a keyword that is not known here is a failure, so
//! that nothing passes because nobody looked.

use serde_json::{Map, Value};

/// `docs/events.schema.json`.
pub(crate) struct Schema {
    root: Value,
}

impl Schema {
    pub(crate) fn of_events() -> Self {
        let text = include_str!("../../../../docs/events.schema.json");
        let root = serde_json::from_str(text).expect("a schema");
        Self { root }
    }

    /// Every line of an NDJSON stream, each held against the schema.
    #[track_caller]
    pub(crate) fn lines(&self, stream: &str) -> Vec<Value> {
        let held = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            if let Err(fault) = self.holds(&self.root, &event) {
                panic!("{line}: {fault}");
            }
            event
        };
        stream.lines().map(held).collect()
    }

    fn holds(&self, schema: &Value, value: &Value) -> Result<(), String> {
        for (keyword, wanted) in schema.as_object().expect("a schema") {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = wanted.as_str().and_then(|it| it.strip_prefix('#'));
                    let there = self.root.pointer(pointer.expect("a local reference"));
                    self.holds(there.expect("a definition"), value)?;
                }
                "oneOf" => self.alternatives(wanted, value, 1)?,
                "anyOf" => self.alternatives(wanted, value, usize::MAX)?,
                "const" if wanted == value => {}
                "enum" if wanted.as_array().is_some_and(|it| it.contains(value)) => {}
                "const" | "enum" => return Err(format!("{value} is not {wanted}")),
                "type" => of_type(wanted, value)?,
                "format" => of_format(wanted, value)?,
                "minimum" if value.is_number() && value.as_f64() < wanted.as_f64() => {
                    return Err(format!("{value} is less than {wanted}"));
                }
                "maximum" if value.is_number() && value.as_f64() > wanted.as_f64() => {
                    return Err(format!("{value} is more than {wanted}"));
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.holds(wanted, item)?;
                    }
                }
                "required" => {
                    for name in wanted.as_array().expect("names") {
                        if value.get(name.as_str().expect("a name")).is_none() {
                            return Err(format!("{name} is missing"));
                        }
                    }
                }
                "properties" => self.members(wanted.as_object().expect("members"), value)?,
                "minimum" | "maximum" | "$schema" | "$id" | "$defs" | "title" | "description" => {}
                other => panic!("the schema uses {other}, which is not looked at here"),
            }
        }
        Ok(())
    }

    /// Readers skip members that they do not know; what wharf prints are those that are described.
    fn members(&self, known: &Map<String, Value>, value: &Value) -> Result<(), String> {
        for (name, member) in value.as_object().into_iter().flatten() {
            let schema = known
                .get(name)
                .ok_or_else(|| format!("{name} is not described"))?;
            self.holds(schema, member)
                .map_err(|fault| format!("{name}: {fault}"))?;
        }
        Ok(())
    }

    fn alternatives(&self, schemas: &Value, value: &Value, most: usize) -> Result<(), String> {
        let all = schemas.as_array().expect("schemas");
        let faults: Vec<String> = all
            .iter()
            .filter_map(|schema| self.holds(schema, value).err())
            .collect();
        let fit = all.len() - faults.len();
        if (1..=most).contains(&fit) {
            Ok(())
        } else {
            Err(format!("{fit} alternatives fit: {faults:?}"))
        }
    }
}

fn of_type(wanted: &Value, value: &Value) -> Result<(), String> {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no such type: {other}"),
    };
    let fits = match wanted {
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        name => is(name.as_str().expect("a type")),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{value} is not of type {wanted}"))
    }
}

fn of_format(wanted: &Value, value: &Value) -> Result<(), String> {
    let fits = match wanted.as_str().expect("a format") {
        "uint8" => value.is_null() || value.as_u64().is_some_and(|it| u8::try_from(it).is_ok()),
        "uint16" => value.is_null() || value.as_u64().is_some_and(|it| u16::try_from(it).is_ok()),
        "uint64" => value.is_null() || value.is_u64(),
        "double" => value.is_number(),
        "date-time" => value.as_str().is_some_and(|text| {
            text.ends_with('Z') && text.len() == "2026-11-23T03:04:05.678Z".len()
        }),
        other => panic!("no such format: {other}"),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{value} is not a {wanted}"))
    }
}
