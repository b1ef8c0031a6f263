//! Reads the file and the environment into a [`Config`], setting by setting, so that one start shows every mistake.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::checks::check;
use super::{Config, ConfigError, ConfigErrors};

/// Variables beginning so override the file: `PATCHCORD__SIP__DOMAIN` is `domain` in `[sip]`.
pub const ENVIRONMENT_PREFIX: &str = "PATCHCORD__";

/// Reads a configuration file and the environment.
///
/// # Errors
/// Every setting that is unknown, of the wrong type or out of range, from the file and from the environment.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&file, &text),
        Err(error) => Err(ConfigErrors(vec![ConfigError {
            source: file,
            key: String::new(),
            message: format!("cannot be read: {error}"),
        }])),
    }
}

/// Reads a configuration given as text, and the environment; `file` is what errors call the text.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigErrors> {
    if let Err(error) = toml::from_str::<toml::Table>(text) {
        let message = format!("{}: {}", position(text, error.span()), error.message());
        return Err(ConfigErrors(vec![ConfigError { source: file.into(), key: String::new(), message }]));
    }
    let figment = Figment::new().merge(Toml::string(text)).merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"));
    let mut reader = Reader { file, figment: &figment, errors: Vec::new() };
    reader.unknown_sections();
    let config = Config {
        http: reader.section("http"),
        sip: reader.section("sip"),
        dns: reader.section("dns"),
        media: reader.section("media"),
        database: reader.section("database"),
        registration: reader.section("registration"),
        calls: reader.section("calls"),
        fraud: reader.section("fraud"),
        dialplan: reader.section("dialplan"),
        log: reader.section("log"),
    };
    let mut errors = reader.errors;
    for (key, message) in check(&config) {
        // A setting already refused stands at its default here; its first error says more.
        if !errors.iter().any(|error| error.key == key) {
            errors.push(ConfigError { source: source(file, &figment, key), key: key.into(), message });
        }
    }
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
}

/// `line 3, column 7`, both from 1.
fn position(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("line {line}, column {column}")
}

/// The file, or the variable a value came from.
fn source(file: &str, figment: &Figment, key: &str) -> String {
    if is_from_environment(figment, key) {
        format!("{ENVIRONMENT_PREFIX}{}", key.to_uppercase().replace('.', "__"))
    } else {
        file.into()
    }
}

fn is_from_environment(figment: &Figment, key: &str) -> bool {
    figment.find_metadata(key).is_some_and(|metadata| metadata.name.contains("environment"))
}

struct Reader<'a> {
    file: &'a str,
    figment: &'a Figment,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn refuse(&mut self, key: &str, message: String) {
        self.errors.push(ConfigError { source: source(self.file, self.figment, key), key: key.into(), message });
    }

    fn unknown_sections(&mut self) {
        let known = defaults(&Config::default());
        let given = self.figment.extract::<Map<String, Value>>().unwrap_or_default();
        for name in given.keys().filter(|name| !known.contains_key(*name)) {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            self.refuse(name, format!("unknown section; known are {}", names.join(", ")));
        }
    }

    /// Tries each given setting alone on top of the defaults, then keeps the good ones.
    fn section<T: Serialize + DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let known = defaults(&T::default());
        let mut accepted = known.clone();
        let given = match self.figment.find_value(name).ok().map(|value| serde_json::to_value(&value)) {
            None => return T::default(),
            Some(Ok(Value::Object(given))) => given,
            Some(_) => {
                self.refuse(name, format!("expected a section, written as [{name}]"));
                return T::default();
            }
        };
        for (setting, value) in given {
            let key = format!("{name}.{setting}");
            if !known.contains_key(&setting) {
                let names: Vec<_> = known.keys().map(String::as_str).collect();
                self.refuse(&key, format!("unknown setting; [{name}] has {}", names.join(", ")));
                continue;
            }
            match try_setting::<T>(&known, &setting, &value, is_from_environment(self.figment, &key)) {
                Ok(value) => drop(accepted.insert(setting, value)),
                Err(message) => self.refuse(&key, message),
            }
        }
        serde_json::from_value(Value::Object(accepted)).unwrap_or_default()
    }
}

fn defaults<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// The value as this setting takes it, or what is expected instead.
fn try_setting<T: DeserializeOwned>(
    known: &Map<String, Value>,
    setting: &str,
    value: &Value,
    from_environment: bool,
) -> Result<Value, String> {
    let fits = |value: &Value| {
        let mut section = known.clone();
        section.insert(setting.into(), value.clone());
        serde_json::from_value::<T>(Value::Object(section)).map_err(|error| error.to_string())
    };
    let message = match fits(value) {
        Ok(_) => return Ok(value.clone()),
        Err(message) => message,
    };
    // A variable has no quotes: `PATCHCORD__SIP__DOMAIN=7` is still text.
    let as_text = Value::String(value.to_string());
    if from_environment && !value.is_string() && fits(&as_text).is_ok() {
        return Ok(as_text);
    }
    Err(format!("{message} (found {value}, default {})", known.get(setting).unwrap_or(&Value::Null)))
}
