use super::*;

const EXAMPLE: &str = include_str!("../../patchcord.example.toml");

fn errors(text: &str) -> Vec<ConfigError> {
    parse("patchcord.toml", text).unwrap_err().0
}

#[test]
fn the_example_shows_exactly_the_defaults() {
    assert_eq!(parse("patchcord.example.toml", EXAMPLE).unwrap(), Config::default());
}

#[test]
fn the_example_shows_every_setting() {
    let shown: serde_json::Value = serde_json::to_value(toml::from_str::<toml::Table>(EXAMPLE).unwrap()).unwrap();
    assert_eq!(shown, serde_json::to_value(Config::default()).unwrap());
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(parse("patchcord.toml", "").unwrap(), Config::default());
}

#[test]
fn every_mistake_is_told_at_once_with_its_key() {
    let found = errors(
        "[http]\nhttps_listen = \"here\"\ncertificat = \"x\"\n[sip]\nt1_ms = \"fast\"\ndomain = \"a b\"\n\
         [calls]\nreconnect_s = 601\nmax_participants = 1\n[registration]\ngrace_s = 601\nmin_expires_s = 100\nmax_expires_s = 50\n[sips]\nx = 1\n",
    );
    let keys: Vec<_> = found.iter().map(|error| error.key.as_str()).collect();
    for key in [
        "http.https_listen",
        "http.certificat",
        "sip.t1_ms",
        "sip.domain",
        "calls.reconnect_s",
        "calls.max_participants",
        "registration.max_expires_s",
        "registration.grace_s",
        "sips",
    ] {
        assert!(keys.contains(&key), "{key} is missing in {keys:?}");
    }
    assert!(found.iter().all(|error| error.source == "patchcord.toml"));
}

#[test]
fn a_mistake_says_what_was_found_and_what_is_expected() {
    let found = errors("[calls]\nmax_calls = \"many\"\n");
    assert_eq!(found.len(), 1);
    let text = found[0].to_string();
    assert!(text.starts_with("patchcord.toml: calls.max_calls: "), "{text}");
    assert!(text.contains("many") && text.contains("usize") && text.contains("1000"), "{text}");
}

#[test]
fn a_session_timer_is_at_least_90_s_or_none() {
    for (seconds, fits) in [(0, true), (1, false), (89, false), (90, true), (86_400, true), (86_401, false)] {
        assert_eq!(parse("f", &format!("[calls]\nsession_expires_s = {seconds}\n")).is_ok(), fits, "{seconds}");
    }
}

#[test]
fn a_syntax_error_names_line_and_column() {
    let found = errors("[http]\nhttps_listen = \n");
    assert_eq!(found.len(), 1);
    assert!(found[0].message.starts_with("line 2, column "), "{}", found[0].message);
}

#[test]
fn an_empty_string_switches_an_optional_setting_off() {
    assert_eq!(parse("f", "[http]\nhttp_listen = \"\"\n").unwrap().http.http_listen, None);
    let on = parse("f", "[http]\nhttp_listen = \"127.0.0.1:0\"\n").unwrap();
    assert_eq!(on.http.http_listen, Some("127.0.0.1:0".parse().unwrap()));
}

#[test]
fn every_port_may_be_zero() {
    let text = "[http]\nhttps_listen = \"127.0.0.1:0\"\n[sip]\nudp_listen = \"127.0.0.1:0\"\ntcp_listen = \"127.0.0.1:0\"\n\
                [media]\nbrowser_ports = 0\nrtp_port_min = 0\nrtp_port_max = 0\n";
    assert!(parse("f", text).is_ok());
}

#[test]
fn a_section_written_as_a_value_is_refused() {
    assert_eq!(errors("http = 3\n")[0].key, "http");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(std::path::Path::new("/nonexistent/patchcord.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/patchcord.toml: cannot be read"), "{error}");
}
