//! Where agents may call, and how much: their own policies, and the caution that holds for everybody. Each refusal says why.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Method, SessionId, StatusCode};
use switchboard::{Alarm, Bar, DialPolicy, Directory, FraudConfig, Operator, TransferTarget};
use testkit::Simulation;

use crate::PLAN;

/// Emergency numbers are led to the trunks as they are dialled.
const EMERGENCY: &str = r#"
[[rule]]
context = "agents"
name = "emergency"
number = "112"
targets = [{ trunks = ["main"], number = "112" }]
"#;

fn fraud() -> FraudConfig {
    let high_cost_prefixes = ["+881", "+1900"].map(str::to_owned).to_vec();
    FraudConfig { enabled: true, high_cost_prefixes, ..FraudConfig::default() }
}

/// Agents may have any number of calls, and this policy; this caution holds.
fn cautious(fraud: FraudConfig, policy: DialPolicy, change: impl FnOnce(&mut Directory)) -> Simulation {
    Simulation::with(&format!("{EMERGENCY}{PLAN}"), |config, directory| {
        config.fraud = fraud;
        config.emergency_numbers = vec!["112".to_owned()];
        for agent in directory.agents.values_mut() {
            agent.max_concurrent_calls = 0;
            agent.dial_policy = policy.clone();
        }
        change(directory);
    })
}

fn countries(all: &[&str]) -> DialPolicy {
    DialPolicy { countries: all.iter().map(|&text| text.to_owned()).collect(), ..DialPolicy::default() }
}

/// The browser of agent 100 and the gateway of `main`, the same ones each time.
fn peers(simulation: &mut Simulation) -> (SocketAddr, SocketAddr) {
    let known: Vec<_> = simulation.peers.keys().copied().collect();
    match known.as_slice() {
        [browser, .., trunk] => (*browser, *trunk),
        _ => (simulation.browser(1), simulation.gateway(1)),
    }
}

/// What agent 100 is told when it dials: the status and its phrase; `None` when the call goes out.
fn told(simulation: &mut Simulation, to: &str) -> Option<(u16, String)> {
    let (browser, trunk) = peers(simulation);
    let session = simulation.call(browser, "100", to);
    let refusal = simulation.refusal(browser, session);
    assert_eq!(refusal.is_none(), !simulation.invites(trunk).is_empty(), "{to}");
    if let Some(refusal) = &refusal {
        let reason = refusal.headers.reasons().into_iter().next().unwrap();
        assert_eq!(reason.text.as_deref().map(|text| text.trim_end_matches('.')), Some(&*refusal.reason));
        assert_eq!(simulation.records.last().unwrap().explanation.trim_end_matches('.'), refusal.reason);
    }
    refusal.map(|refusal| (refusal.status.code(), refusal.reason))
}

fn barred(simulation: &Simulation, bar: Bar) -> u64 {
    let at = Bar::ALL.iter().position(|known| *known == bar).unwrap();
    simulation.switchboard.counters().barred[at]
}

#[test]
fn an_agent_calls_the_countries_of_its_policy_and_no_others() {
    for (allowed, number, why) in [
        (countries(&["DE", "US"]), "+4930123456", None),
        (countries(&["DE", "US"]), "+15551234567", None),
        (countries(&["DE", "US"]), "+447400123456", Some("Calls to +44 (GB) are not allowed for this agent")),
        // What +1 is shared by is not all the same.
        (countries(&["US"]), "+18765550100", Some("Calls to +1876 (JM) are not allowed for this agent")),
        (countries(&["+1876"]), "+18765550100", None),
        (countries(&["+44"]), "+447400123456", None),
        (countries(&["DE"]), "+99912345678", Some("Calls to +99912345678 are not allowed for this agent")),
        (DialPolicy::default(), "+447400123456", None),
    ] {
        let mut simulation = cautious(FraudConfig::default(), allowed.clone(), |_| {});
        let refused = why.map(|why| (403, why.to_owned()));
        assert_eq!(told(&mut simulation, number), refused, "{allowed:?} {number}");
        assert_eq!(barred(&simulation, Bar::Country), u64::from(why.is_some()));
    }
}

#[test]
fn blocked_beginnings_of_numbers_are_refused_whatever_the_country() {
    let policy = DialPolicy { blocked_prefixes: vec!["+49180".to_owned()], ..countries(&["DE"]) };
    let mut simulation = cautious(FraudConfig::default(), policy, |_| {});
    let why = "Calls to +49180 are not allowed for this agent".to_owned();
    assert_eq!(told(&mut simulation, "+49180555555"), Some((403, why)));
    assert_eq!(barred(&simulation, Bar::Prefix), 1);
    assert_eq!(told(&mut simulation, "+4930123456"), None);
}

#[test]
fn costly_ranges_are_refused_unless_a_policy_names_them() {
    let why = |range: &str| {
        (403, format!("Calls to {range} are refused for their cost: premium rate, satellite or the like"))
    };
    for (allowed, number, refused) in [
        (countries(&[]), "+88161234567", Some(why("+881"))),
        (countries(&["US"]), "+19005550100", Some(why("+1900"))),
        (countries(&["+1"]), "+19005550100", Some(why("+1900"))),
        (countries(&["+881"]), "+88161234567", None),
        (countries(&["US", "+1900"]), "+19005550100", None),
    ] {
        let mut simulation = cautious(fraud(), allowed.clone(), |_| {});
        assert_eq!(told(&mut simulation, number), refused, "{allowed:?} {number}");
        assert_eq!(barred(&simulation, Bar::HighCost), u64::from(refused.is_some()));
    }
    let mut careless = cautious(FraudConfig { enabled: false, ..fraud() }, countries(&[]), |_| {});
    assert_eq!(told(&mut careless, "+88161234567"), None, "it can be switched off");
}

/// Agent 100 talks to a number behind `main`.
fn talking(simulation: &mut Simulation) -> (SocketAddr, SessionId, SocketAddr) {
    let (browser, trunk) = peers(simulation);
    let session = simulation.call(browser, "100", "+4930123456");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0"));
    assert!(simulation.is_answered(browser, session));
    (browser, session, trunk)
}

#[test]
fn transfers_consultations_and_participants_go_nowhere_the_agent_may_not_call() {
    let target = || TransferTarget::Number("+447400123456".to_owned());
    let asks: [fn(&mut Simulation, TransferTarget); 3] = [
        |simulation, target| {
            let (call, mode) = (simulation.views.last().unwrap().id.clone(), switchboard::TransferMode::Blind);
            let asked = Operator::Transfer { call, mode, leg: None, target };
            simulation.switchboard.handle_operator(simulation.now, asked).unwrap();
        },
        |simulation, target| {
            let (call, mode) = (simulation.views.last().unwrap().id.clone(), switchboard::TransferMode::Attended);
            let asked = Operator::Transfer { call, mode, leg: None, target };
            simulation.switchboard.handle_operator(simulation.now, asked).unwrap();
        },
        |simulation, target| {
            let call = simulation.views.last().unwrap().id.clone();
            let asked = Operator::AddParticipant { call, leg: None, target };
            simulation.switchboard.handle_operator(simulation.now, asked).unwrap();
        },
    ];
    for ask in asks {
        let mut simulation = cautious(FraudConfig::default(), countries(&["DE"]), |_| {});
        let (browser, session, trunk) = talking(&mut simulation);
        ask(&mut simulation, target());
        simulation.settle();
        assert_eq!(simulation.requests_to(trunk, &Method::Invite).len(), 1, "the call itself alone");
        assert_eq!(barred(&simulation, Bar::Country), 1);
        simulation.hang_up(browser, session);
        simulation.assert_all_over();
    }
    let mut simulation = cautious(FraudConfig::default(), countries(&["DE"]), |_| {});
    let (browser, session, trunk) = talking(&mut simulation);
    simulation.refer(browser, session, "<sip:+447400123456@phone.example.com>");
    assert_eq!(simulation.requests_to(trunk, &Method::Invite).len(), 1);
    assert_eq!(barred(&simulation, Bar::Country), 1);
}

/// Calls out and is hung up on by the trunk's refusal: a call made, and over.
fn attempt(simulation: &mut Simulation) -> Option<u16> {
    let (browser, trunk) = peers(simulation);
    let before = simulation.invites(trunk).len();
    let session = simulation.call(browser, "100", "+4930123456");
    if simulation.invites(trunk).len() > before {
        let incoming = simulation.incoming(trunk);
        simulation.answer(trunk, incoming, StatusCode::BUSY_HERE, None);
    }
    simulation.refusal(browser, session).map(|refusal| refusal.status.code())
}

#[test]
fn an_agent_makes_so_many_calls_a_minute() {
    let mut simulation = cautious(FraudConfig { calls_per_minute: 2, ..fraud() }, DialPolicy::default(), |_| {});
    assert_eq!((attempt(&mut simulation), attempt(&mut simulation)), (Some(486), Some(486)));
    simulation.pass(Duration::from_secs(20));
    assert_eq!(attempt(&mut simulation), Some(503));
    let (browser, last) = (simulation.browser(200), simulation.records.last().unwrap().clone());
    assert_eq!(last.explanation, "The agent may make 2 calls outside a minute, and has made them.");
    assert_eq!(barred(&simulation, Bar::PerMinute), 1);
    let session = simulation.call(browser, "101", "+4930123456");
    assert!(simulation.refusal(browser, session).is_none(), "each agent for itself");
    simulation.pass(Duration::from_secs(40));
    assert_eq!(attempt(&mut simulation), Some(486));
}

#[test]
fn who_is_too_fast_is_told_when_to_try_again() {
    let mut simulation = cautious(FraudConfig { calls_per_minute: 1, ..fraud() }, DialPolicy::default(), |_| {});
    attempt(&mut simulation);
    simulation.pass(Duration::from_secs(20));
    let (browser, _) = peers(&mut simulation);
    let session = simulation.call(browser, "100", "+4930123456");
    assert_eq!(simulation.refusal(browser, session).unwrap().headers.get("Retry-After"), Some("40"));
}

#[test]
fn an_agent_makes_so_many_calls_a_day_and_its_own_policy_goes_first() {
    let day = FraudConfig { calls_per_day: 2, ..fraud() };
    let mut simulation = cautious(day.clone(), DialPolicy::default(), |_| {});
    assert_eq!([(); 3].map(|()| attempt(&mut simulation)), [Some(486), Some(486), Some(403)]);
    let why = "The agent may make 2 calls outside a day, and has made them.";
    assert_eq!(simulation.records.last().unwrap().explanation, why);
    assert_eq!(barred(&simulation, Bar::PerDay), 1);
    simulation.pass(Duration::from_secs(24 * 60 * 60));
    assert_eq!(attempt(&mut simulation), Some(486), "tomorrow is another day");
    let own = DialPolicy { max_per_day: Some(1), ..DialPolicy::default() };
    let mut simulation = cautious(day.clone(), own, |_| {});
    assert_eq!([(); 2].map(|()| attempt(&mut simulation)), [Some(486), Some(403)]);
    let any = DialPolicy { max_per_day: Some(0), ..DialPolicy::default() };
    let mut simulation = cautious(day, any, |_| {});
    assert_eq!([(); 3].map(|()| attempt(&mut simulation)), [Some(486); 3]);
}

#[test]
fn an_agent_has_so_many_calls_outside_at_once_also_those_it_handed_on() {
    let mut simulation = cautious(FraudConfig { simultaneous_calls: 2, ..fraud() }, DialPolicy::default(), |_| {});
    let (browser, session, trunk) = talking(&mut simulation);
    simulation.refer(browser, session, "<sip:+4930777777@phone.example.com>");
    let incoming = simulation.incoming(trunk);
    simulation.answer(trunk, incoming, StatusCode::OK, Some("v=0"));
    assert!(simulation.is_hung_up(browser, session), "two talk outside, at the agent's cost");
    assert_eq!(attempt(&mut simulation), Some(403));
    assert_eq!(barred(&simulation, Bar::AtOnce), 1);
    simulation.hang_up(trunk, incoming);
    assert_eq!(attempt(&mut simulation), Some(486));
}

#[test]
fn suddenly_many_calls_raise_one_alarm_also_when_they_are_refused() {
    let caution = FraudConfig { burst_calls: 3, ..fraud() };
    let mut simulation = cautious(caution, DialPolicy { max_per_day: Some(1), ..DialPolicy::default() }, |_| {});
    for _ in 0..3 {
        attempt(&mut simulation);
    }
    assert!(simulation.alarms.is_empty());
    attempt(&mut simulation);
    attempt(&mut simulation);
    assert_eq!(simulation.alarms, [Alarm::Burst { payer: "agt_100".to_owned(), calls: 4 }]);
    assert_eq!(simulation.switchboard.counters().bursts, 1);
    simulation.pass(Duration::from_secs(61));
    for _ in 0..4 {
        attempt(&mut simulation);
    }
    assert_eq!(simulation.switchboard.counters().bursts, 2, "another time, another alarm");
}

#[test]
fn an_emergency_call_is_held_up_by_no_limit() {
    let caution = FraudConfig { calls_per_day: 1, calls_per_minute: 1, simultaneous_calls: 1, ..fraud() };
    let mut simulation = cautious(caution, countries(&["DE"]), |directory| {
        directory.agents.get_mut("agt_100").unwrap().max_cps = 1;
        directory.agents.get_mut("agt_100").unwrap().max_concurrent_calls = 1;
        let trunk = directory.trunks.get_mut("trk_main").unwrap();
        (trunk.limits.max_channels, trunk.limits.max_cps) = (1, 1);
    });
    let (browser, _, trunk) = talking(&mut simulation);
    assert_ne!(attempt(&mut simulation), None);
    let session = simulation.call(browser, "100", "112");
    assert!(simulation.refusal(browser, session).is_none());
    assert_eq!(simulation.requests_to(trunk, &Method::Invite).len(), 2);
}

#[test]
fn a_phone_that_is_nobodys_and_a_trunk_led_on_are_cautious_too() {
    let mut simulation = cautious(FraudConfig { calls_per_day: 1, ..fraud() }, DialPolicy::default(), |directory| {
        directory.extensions.get_mut("100").unwrap().agent_id = None;
    });
    assert!(told(&mut simulation, "+88161234567").is_some());
    assert_eq!([(); 2].map(|()| attempt(&mut simulation)), [Some(486), Some(403)]);
    let plan = "[[rule]]\ncontext = \"trunks\"\nname = \"on\"\nprefix = \"+\"\ntargets = [{ trunks = [\"spare\"], number = \"$e164\" }]\n";
    let mut simulation = Simulation::with(plan, |config, _| config.fraud = fraud());
    let (main, spare) = (simulation.gateway(1), simulation.gateway(2));
    let now = simulation.now;
    for (to, status) in [("+88161234567", Some(403)), ("+4930123456", None)] {
        let to = format!("sip:{to}@203.0.113.1");
        let session = simulation.peer(main).invite(now, "sip:+15550001111@x.example", &to, Some("v=0"), None);
        simulation.settle();
        assert_eq!(simulation.refusal(main, session).map(|refusal| refusal.status.code()), status, "{to}");
    }
    assert_eq!(simulation.invites(spare).len(), 1);
}
