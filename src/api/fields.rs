//! Reads the fields of a JSON object one by one and remembers every fault with its pointer (RFC 6901), so that one answer names
//! them all.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{FieldError, Problem};

/// What a rule says of a text: nothing, or what is expected.
pub(super) type Rule = fn(&str) -> Option<String>;

/// An object being read. Fields taken are known; what is left at the end is not.
pub(super) struct Fields {
    map: Map<String, Value>,
    base: String,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(super) fn of(value: Value) -> Self {
        Self::at(String::new(), value)
    }

    fn at(base: String, value: Value) -> Self {
        match value {
            Value::Object(map) => Self { map, base, errors: Vec::new() },
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                let detail = format!("expected an object, found {}", kind(&other));
                Self { map: Map::new(), errors: vec![FieldError { pointer: base.clone(), detail }], base }
            }
        }
    }

    /// Reads an object inside an object; an absent one is empty.
    pub(super) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        self.inside(name, value, read)
    }

    /// Reads an object inside an object, when it is there.
    pub(super) fn optional_object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let value = self.take(name)?;
        Some(self.inside(name, value, read))
    }

    fn inside<T>(&mut self, name: &str, value: Value, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut inner = Self::at(self.pointer(name), value);
        let result = read(&mut inner);
        inner.refuse_unknown();
        self.errors.append(&mut inner.errors);
        result
    }

    /// Reads a list of at most `most` values.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(&mut Self, &str, Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        match self.take(name)? {
            Value::Array(values) if values.len() <= most => Some(
                values
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, value)| read(self, &format!("{name}/{index}"), value))
                    .collect(),
            ),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => {
                self.refuse(name, format!("expected a list of at most {most}, found {}", kind(&other)));
                None
            }
        }
    }

    /// Reads a list of objects.
    pub(super) fn objects<T>(&mut self, name: &str, most: usize, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        self.list(name, most, |fields, place, value| Some(fields.inside(place, value, &read))).unwrap_or_default()
    }

    /// Takes a field; `null` is as good as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there to be read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Finds fault with the object as a whole, unless that is known already.
    pub(super) fn refuse_all(&mut self, detail: impl Into<String>) {
        if self.errors.is_empty() {
            self.errors.push(FieldError { pointer: self.base.clone(), detail: detail.into() });
        }
    }

    pub(super) fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer: self.pointer(name), detail: detail.into() });
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    pub(super) fn text(&mut self, name: &str, rule: Rule) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => match rule(&text) {
                None => Some(text),
                Some(expected) => {
                    self.refuse(name, expected);
                    None
                }
            },
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.refuse(name, format!("expected a string, found {}", kind(&other)));
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, name: &str, rule: Rule) -> String {
        if self.map.get(name).is_none_or(Value::is_null) {
            self.take(name);
            self.refuse(name, "is required");
        }
        self.text(name, rule).unwrap_or_default()
    }

    pub(super) fn boolean(&mut self, name: &str, default: bool) -> bool {
        match self.take(name) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(other) => {
                self.refuse(name, format!("expected true or false, found {}", kind(&other)));
                default
            }
        }
    }

    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>, default: i64) -> i64 {
        match self.take(name) {
            None => default,
            Some(value) => match value.as_i64().filter(|number| range.contains(number)) {
                Some(number) => number,
                None => {
                    self.refuse(name, format!("expected an integer from {} to {}", range.start(), range.end()));
                    default
                }
            },
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: DeserializeOwned>(&mut self, name: &str, words: &str, default: T) -> T {
        match self.take(name) {
            None => default,
            Some(value) => self.word(name, words, value).unwrap_or(default),
        }
    }

    /// One of a few words that must be given; the default stands in for a missing one until the end.
    pub(super) fn required_choice<T: DeserializeOwned>(&mut self, name: &str, words: &str, default: T) -> T {
        match self.take(name) {
            None => {
                self.refuse(name, "is required");
                default
            }
            Some(value) => self.word(name, words, value).unwrap_or(default),
        }
    }

    fn word<T: DeserializeOwned>(&mut self, name: &str, words: &str, value: Value) -> Option<T> {
        let read = serde_json::from_value(value).ok();
        if read.is_none() {
            self.refuse(name, format!("expected one of {words}"));
        }
        read
    }

    fn refuse_unknown(&mut self) {
        for name in std::mem::take(&mut self.map).into_iter().map(|(name, _)| name) {
            self.refuse(
                &name.replace('~', "~0").replace('/', "~1"),
                "is not a field of this resource, or not writable",
            );
        }
    }

    /// The value, unless a field is at fault or unknown.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, Problem> {
        self.refuse_unknown();
        if self.errors.is_empty() { Ok(value) } else { Err(Problem::invalid(self.errors)) }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
