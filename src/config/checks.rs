//! What types alone cannot say about a configuration: ranges, and settings that must agree with each other.

use super::Config;
use super::sections::name_server;

/// Every violated rule, as `section.key` and what is expected.
pub(super) fn check(config: &Config) -> Vec<(&'static str, String)> {
    let mut errors = Vec::new();
    let mut expect = |holds: bool, key: &'static str, message: String| {
        if !holds {
            errors.push((key, message));
        }
    };
    http(config, &mut expect);
    sip(config, &mut expect);
    dns(config, &mut expect);
    media(config, &mut expect);
    limits(config, &mut expect);
    numbers(config, &mut expect);
    errors
}

fn http(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let http = &config.http;
    expect(
        !http.certificate.as_os_str().is_empty(),
        "http.certificate",
        "expected the path of a PEM file, found \"\"".into(),
    );
    expect(!http.key.as_os_str().is_empty(), "http.key", "expected the path of a PEM file, found \"\"".into());
    for origin in &http.allowed_origins {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#', '@']));
        expect(
            plain,
            "http.allowed_origins",
            format!("expected origins like \"https://phone.example.com\" without path or wildcard, found {origin:?}"),
        );
    }
}

fn sip(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let sip = &config.sip;
    let domain_fits = !sip.domain.is_empty()
        && sip.domain.len() <= 253
        && sip.domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    expect(
        domain_fits,
        "sip.domain",
        format!("expected a host name such as \"phone.example.com\", found {:?}", sip.domain),
    );
    let advertisable =
        sip.advertised_address.is_none_or(|address| !address.is_unspecified() && !address.is_multicast());
    expect(
        advertisable,
        "sip.advertised_address",
        format!("expected an address others can reach, found {:?}", sip.advertised_address),
    );
    expect(
        sip.tls_certificate.as_os_str().is_empty() == sip.tls_key.as_os_str().is_empty(),
        "sip.tls_key",
        "expected both tls_certificate and tls_key, or neither for those of [http]".into(),
    );
    let nobody_asked = sip.tls_listen.is_none() && !sip.tls_client_ca.as_os_str().is_empty();
    expect(!nobody_asked, "sip.tls_client_ca", "expected sip.tls_listen to be set too: it is for that listener".into());
    expect((10..=10_000).contains(&sip.t1_ms), "sip.t1_ms", format!("expected 10 to 10000, found {}", sip.t1_ms));
    expect(
        sip.t2_ms >= sip.t1_ms && sip.t2_ms <= 60_000,
        "sip.t2_ms",
        format!("expected sip.t1_ms ({}) to 60000, found {}", sip.t1_ms, sip.t2_ms),
    );
    expect((10..=60_000).contains(&sip.t4_ms), "sip.t4_ms", format!("expected 10 to 60000, found {}", sip.t4_ms));
}

fn dns(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let dns = &config.dns;
    for server in &dns.servers {
        expect(
            name_server(server).is_some(),
            "dns.servers",
            format!("expected addresses such as \"192.0.2.53\" or \"192.0.2.53:5353\", found {server:?}"),
        );
    }
    expect(
        (1..=3600).contains(&dns.min_ttl_s),
        "dns.min_ttl_s",
        format!("expected 1 to 3600, found {}", dns.min_ttl_s),
    );
    expect(
        dns.max_ttl_s >= dns.min_ttl_s && dns.max_ttl_s <= 86_400,
        "dns.max_ttl_s",
        format!("expected dns.min_ttl_s ({}) to 86400, found {}", dns.min_ttl_s, dns.max_ttl_s),
    );
}

fn media(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let media = &config.media;
    expect(media.shards <= 256, "media.shards", format!("expected 0 (one per core) to 256, found {}", media.shards));
    let ports_fit = media.browser_ports == 0 || usize::from(media.browser_ports) + media.shards.max(1) <= 65_536;
    expect(
        ports_fit,
        "media.browser_ports",
        format!("expected room for {} ports below 65536, found {}", media.shards.max(1), media.browser_ports),
    );
    let advertisable = media.advertised_addresses.iter().all(|a| !a.is_unspecified() && !a.is_multicast());
    expect(
        advertisable,
        "media.advertised_addresses",
        format!("expected addresses others can reach, found {:?}", media.advertised_addresses),
    );
    if media.rtp_port_min == 0 || media.rtp_port_max == 0 {
        expect(
            media.rtp_port_min == media.rtp_port_max,
            "media.rtp_port_min",
            "expected both rtp_port_min and rtp_port_max to be 0 (any port), or neither".into(),
        );
        return;
    }
    expect(
        media.rtp_port_min.is_multiple_of(2),
        "media.rtp_port_min",
        format!("expected an even port, found {}", media.rtp_port_min),
    );
    expect(
        media.rtp_port_max > media.rtp_port_min,
        "media.rtp_port_max",
        format!("expected a port above media.rtp_port_min ({}), found {}", media.rtp_port_min, media.rtp_port_max),
    );
}

fn limits(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let url = &config.database.url;
    let url_fits = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    // The URL may hold a password: it is not repeated.
    expect(url_fits, "database.url", "expected \"sqlite://path\" or \"postgres://user:password@host/name\"".into());
    let connections = config.database.max_connections;
    expect(
        (1..=1000).contains(&connections),
        "database.max_connections",
        format!("expected 1 to 1000, found {connections}"),
    );
    let registration = &config.registration;
    let (min, max, default) = (registration.min_expires_s, registration.max_expires_s, registration.default_expires_s);
    expect((1..=86_400).contains(&min), "registration.min_expires_s", format!("expected 1 to 86400, found {min}"));
    expect(
        (min..=604_800).contains(&max),
        "registration.max_expires_s",
        format!("expected registration.min_expires_s ({min}) to 604800, found {max}"),
    );
    expect(
        (min..=max).contains(&default),
        "registration.default_expires_s",
        format!("expected {min} to {max} (min_expires_s to max_expires_s), found {default}"),
    );
    let grace = registration.grace_s;
    expect(grace <= 600, "registration.grace_s", format!("expected 0 to 600, found {grace}"));
    let calls = &config.calls;
    expect(
        (1..=600).contains(&calls.ring_timeout_s),
        "calls.ring_timeout_s",
        format!("expected 1 to 600, found {}", calls.ring_timeout_s),
    );
    expect(calls.reconnect_s <= 600, "calls.reconnect_s", format!("expected 0 to 600, found {}", calls.reconnect_s));
    expect(
        (1..=100_000).contains(&calls.max_calls),
        "calls.max_calls",
        format!("expected 1 to 100000, found {}", calls.max_calls),
    );
    expect(
        (2..=64).contains(&calls.max_participants),
        "calls.max_participants",
        format!("expected 2 to 64, found {}", calls.max_participants),
    );
    expect(
        calls.session_expires_s == 0 || (90..=86_400).contains(&calls.session_expires_s),
        "calls.session_expires_s",
        format!("expected 0 (ask for none) or 90 to 86400, found {}", calls.session_expires_s),
    );
    expect(
        (1 << 20..=16 << 30).contains(&calls.traces_bytes),
        "calls.traces_bytes",
        format!("expected 1048576 to 17179869184, found {}", calls.traces_bytes),
    );
    expect(
        calls.traces_kept <= 100_000,
        "calls.traces_kept",
        format!("expected 0 to 100000, found {}", calls.traces_kept),
    );
    expect(calls.shutdown_s <= 86_400, "calls.shutdown_s", format!("expected 0 to 86400, found {}", calls.shutdown_s));
    expect(
        !config.dialplan.directory.as_os_str().is_empty(),
        "dialplan.directory",
        "expected the path of a folder, found \"\"".into(),
    );
    let filter = &config.log.filter;
    expect(
        filter.parse::<tracing_subscriber::EnvFilter>().is_ok(),
        "log.filter",
        format!("expected a level (error, warn, info, debug, trace) or target=level pairs, found {filter:?}"),
    );
}

fn numbers(config: &Config, expect: &mut impl FnMut(bool, &'static str, String)) {
    let is_digits = |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    for prefix in &config.fraud.high_cost_prefixes {
        expect(
            prefix.strip_prefix('+').is_some_and(is_digits),
            "fraud.high_cost_prefixes",
            format!("expected + and digits, such as \"+881\", found {prefix:?}"),
        );
    }
    for number in &config.calls.emergency_numbers {
        // Longer ones are anybody's: no limit would hold for them.
        expect(
            is_digits(number) && number.len() <= 6,
            "calls.emergency_numbers",
            format!("expected up to 6 digits, such as \"112\", found {number:?}"),
        );
    }
}
