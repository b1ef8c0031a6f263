use proptest::prelude::*;

use super::*;

const SHIPPED: &str = include_str!("../../../../dialplan/00-default.toml");

fn plan(text: &str) -> Dialplan {
    Dialplan::parse(&[("plan.toml".to_owned(), text.to_owned())]).unwrap()
}

fn errors(text: &str) -> Vec<String> {
    let errors = Dialplan::parse(&[("plan.toml".to_owned(), text.to_owned())]).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn agent(dialled: &str) -> Lookup<'_> {
    Lookup { origin: Origin::Agents, dialled, caller: "100", trunk: None, is_extension: false }
}

fn first(plan: &Dialplan, lookup: Lookup<'_>) -> Option<(String, Target)> {
    plan.route(&lookup).map(|decision| (decision.rule.clone(), decision.steps[0].target.clone()))
}

#[test]
fn the_shipped_plan_echoes_dials_colleagues_goes_out_and_comes_in() {
    let plan = plan(SHIPPED);
    assert_eq!(first(&plan, agent("9196")).unwrap().1, Target::Echo);
    let colleague = Lookup { is_extension: true, ..agent("101") };
    assert_eq!(first(&plan, colleague).unwrap().1, Target::Extension("101".into()));
    let out = plan.route(&agent("+49 30 1234567")).unwrap();
    assert_eq!(out.steps[0].target, Target::Trunks { names: vec!["*".into()], number: "+49301234567".into() });
    assert_eq!(out.e164.as_deref(), Some("+49301234567"));
    assert_eq!(plan.route(&agent("nobody")), None);
    let inbound = Lookup { origin: Origin::Trunks, trunk: Some("main"), ..agent("+49301234567") };
    assert_eq!(first(&plan, inbound).unwrap().1, Target::NumberAssignment);
}

#[test]
fn the_first_matching_rule_wins_across_files_in_order() {
    let rule = |name: &str, pattern: &str| {
        format!(
            "[[rule]]\ncontext = \"agents\"\nname = \"{name}\"\npattern = \"{pattern}\"\ntargets = [{{ echo = true }}]\n"
        )
    };
    let files = [("a".to_owned(), rule("three", "1XX")), ("b".to_owned(), rule("open", "1.") + &rule("exact", "100"))];
    let plan = Dialplan::parse(&files).unwrap();
    assert_eq!(plan.route(&agent("100")).unwrap().rule, "three");
    assert_eq!(plan.route(&agent("1000")).unwrap().rule, "open");
    assert_eq!(plan.route(&Lookup { origin: Origin::Trunks, ..agent("100") }), None);
}

#[test]
fn numbers_are_compared_in_e164_form_when_the_rule_starts_with_plus() {
    let plan = plan(
        r#"
        [numbers]
        country_code = "49"
        international_prefix = "00"
        national_prefix = "0"
        [[rule]]
        context = "agents"
        name = "berlin"
        pattern = "+49(30)(.)"
        targets = [{ trunks = ["a", "b"], number = "0$1/$2", timeout_s = 45 }, { reject = 503 }]
        [[rule]]
        context = "agents"
        name = "world"
        prefix = "+"
        targets = [{ trunks = ["a"] }]
        "#,
    );
    for dialled in ["0049301234567", "+49301234567", "0301234567", "(030) 123-4567"] {
        let decision = plan.route(&agent(dialled)).unwrap();
        let number = "030/1234567".to_owned();
        assert_eq!(
            decision.steps[0].target,
            Target::Trunks { names: vec!["a".into(), "b".into()], number },
            "{dialled}"
        );
        assert_eq!(decision.steps[0].timeout, Some(Duration::from_secs(45)));
        assert_eq!(decision.steps[1].target, Target::Reject { status: 503, reason: "Service Unavailable".into() });
    }
    let abroad = plan.route(&agent("00441234567890")).unwrap();
    assert_eq!(abroad.steps[0].target, Target::Trunks { names: vec!["a".into()], number: "+441234567890".into() });
    assert_eq!(plan.route(&agent("110")), None);
}

#[test]
fn caller_and_trunk_narrow_a_rule() {
    let plan = plan(
        r#"
        [[rule]]
        context = "trunks"
        name = "vip"
        caller = "+4930."
        trunk = ["main", "backup"]
        targets = [{ ring_group = ["100", "101"], timeout_s = 20 }, { extension = "102" }]
        [[rule]]
        context = "trunks"
        name = "rest"
        targets = [{ number_assignment = true }]
        "#,
    );
    let call = |caller, trunk| {
        plan.route(&Lookup { origin: Origin::Trunks, dialled: "+4940", caller, trunk, is_extension: false })
            .unwrap()
            .rule
    };
    assert_eq!(call("+49301234567", Some("backup")), "vip");
    assert_eq!(call("+49301234567", Some("other")), "rest");
    assert_eq!(call("+49401234567", Some("main")), "rest");
    assert_eq!(call("+49301234567", None), "rest");
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = r#"[[rule]]
context = "agents"
name = "a"
pattern = "1(X"
targets = [{ extension = "$2" }, { reject = 399 }]
colour = "red"

[[rule]]
context = "agents"
name = "b"
targets = [{ trunks = [] }, { trunks = ["x", "x"] }, { trunks = ["*", "y"] }, { echo = true, timeout_s = 5 }]

[[rule]]
context = "agents"
name = "b"
number = "1"
prefix = "2"
targets = []
"#;
    let errors = errors(text);
    for (line, part) in [
        (4, "without"),
        (5, "from 400 to 699"),
        (6, "unknown key `colour`"),
        (11, "at least one"),
        (11, "`x` is listed twice"),
        (11, "must stand alone"),
        (11, "unknown key `timeout_s`"),
        (13, "can never be reached"),
        (13, "the name `b` is taken"),
        (17, "only one of"),
        (18, "at least one"),
    ] {
        let start = format!("plan.toml:{line}: ");
        assert!(errors.iter().any(|e| e.starts_with(&start) && e.contains(part)), "{line} {part} in {errors:#?}");
    }
    assert_eq!(errors.len(), 11, "{errors:#?}");
}

#[test]
fn broken_toml_is_reported_with_its_line_beside_the_mistakes_of_other_files() {
    let files = [
        ("a.toml".to_owned(), "[[rule]]\nname = \n".to_owned()),
        ("b.toml".to_owned(), "\n[numbers]\nnational_prefix = \"x\"\n[other]\n".to_owned()),
    ];
    let errors = Dialplan::parse(&files).unwrap_err();
    assert_eq!((errors[0].file.as_str(), errors[0].line), ("a.toml", 2));
    assert!(errors.iter().any(|e| e.file == "b.toml" && e.line == 3));
    assert!(errors.iter().any(|e| e.file == "b.toml" && e.line == 4 && e.message.contains("`other`")));
}

#[test]
fn a_rule_without_name_context_or_targets_is_refused() {
    for text in [
        "[[rule]]\nname = \"a\"\ntargets = [{ echo = true }]",
        "[[rule]]\ncontext = \"agents\"\ntargets = [{ echo = true }]",
        "[[rule]]\ncontext = \"agents\"\nname = \"a\"",
        "[[rule]]\ncontext = \"agents\"\nname = \"a\"\ntargets = [{ echo = true, reject = 404 }]",
        "[[rule]]\ncontext = \"agents\"\nname = \"a\"\ntargets = [{ echo = false }]",
    ] {
        assert_eq!(errors(text).len(), 1, "{text}");
    }
}

#[test]
fn a_context_that_no_call_comes_from_is_refused_with_its_line() {
    let rule = |context: &str| {
        format!("\n[[rule]]\nname = \"a\"\ncontext = \"{context}\"\nnumber = \"1\"\ntargets = [{{ echo = true }}]\n")
    };
    for wrong in ["agent", "Agents", "twilio"] {
        let expected = format!("plan.toml:4: there is no context `{wrong}`; there are `agents` and `trunks`");
        assert_eq!(errors(&rule(wrong)), [expected]);
    }
    for right in ["agents", "trunks"] {
        plan(&rule(right));
    }
}

#[test]
fn ten_thousand_rules_are_narrowed_to_a_few_before_any_is_tried() {
    let mut text = String::new();
    for n in 0..10_000 {
        text.push_str(&format!(
            "[[rule]]\ncontext = \"agents\"\nname = \"r{n}\"\nnumber = \"+4930{n:04}\"\ntargets = [{{ extension = \"{n}\" }}]\n"
        ));
    }
    let plan = plan(&text);
    assert_eq!(plan.route(&agent("+49307654")).unwrap().rule, "r7654");
    let (dialled, caller) = (plan.numbers("+49307654"), plan.numbers("100"));
    let candidates = plan.contexts[&Origin::Agents].index.candidates(&dialled, &caller).count();
    assert!(candidates <= 2, "{candidates}");
}

/// A number, a prefix, a pattern or nothing, of few digits so that many rules take the same number.
fn demand() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "\\+?[01]{1,6}".prop_map(|text| format!("number = \"{text}\"")),
        "\\+?[01]{1,6}".prop_map(|text| format!("prefix = \"{text}\"")),
        "\\+?[01]{0,4}X[01]{0,2}!".prop_map(|text| format!("pattern = \"{text}\"")),
    ]
}

fn caller_demand() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\+?[01]{1,4}[X!]".prop_map(|text| format!("caller = \"{text}\""))]
}

proptest! {
    #[test]
    fn the_index_finds_the_rule_that_trying_all_in_order_finds(
        rules in prop::collection::vec((demand(), caller_demand()), 1..40),
        dialled in "\\+?[01]{1,10}",
        caller in "\\+?[01]{1,10}",
    ) {
        let mut text = "[numbers]\ncountry_code = \"1\"\ninternational_prefix = \"00\"\nnational_prefix = \"0\"\n".to_owned();
        for (n, (number, caller)) in rules.iter().enumerate() {
            // With a trunk asked for no rule takes every call, and hides those behind it.
            let trunk = "trunk = [\"main\"]";
            text += &format!("[[rule]]\ncontext = \"agents\"\nname = \"{n}\"\n{number}\n{caller}\n{trunk}\ntargets = [{{ echo = true }}]\n");
        }
        let plan = plan(&text);
        let lookup = Lookup { caller: &caller, trunk: Some("main"), ..agent(&dialled) };
        let (of_dialled, of_caller) = (plan.numbers(&dialled), plan.numbers(&caller));
        let all = &plan.contexts[&Origin::Agents].rules;
        let first = all.iter().find(|rule| rule.captures(&lookup, &of_dialled, &of_caller).is_some());
        prop_assert_eq!(plan.route(&lookup).map(|decision| decision.rule), first.map(|rule| rule.name.clone()));
    }
}
