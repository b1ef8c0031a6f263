//! What it costs to route a number by few and by very many rules, and to bring it into E.164 form.
//! `cargo bench -p patchcord-testkit --bench dialplan`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write;
use std::hint::black_box;
use std::rc::Rc;

use bench::{Bench, Counting, Meter, Mode};
use switchboard::{Dialplan, Lookup, Origin};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FEW: usize = 10;
const MANY: usize = 10_000;

/// How the rules of a plan are told apart.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// By whole numbers, all of one area.
    Numbers,
    /// By the beginnings of numbers.
    Prefixes,
    /// By patterns, each with a capture.
    Patterns,
    /// By who calls: any number.
    Callers,
}

impl Kind {
    fn rule(self, n: usize) -> String {
        match self {
            Self::Numbers => format!("number = \"+493020{n:05}\""),
            Self::Prefixes => format!("prefix = \"+493020{n:05}\""),
            Self::Patterns => format!("pattern = \"+493020{n:05}(X.)\""),
            Self::Callers => format!("caller = \"{}\"", 30_000 + n),
        }
    }

    /// What is dialled, and by whom, for the rule with this number.
    fn call(self, n: usize) -> (String, String) {
        match self {
            Self::Numbers => (format!("03020{n:05}"), "100".to_owned()),
            Self::Prefixes | Self::Patterns => (format!("03020{n:05}42"), "100".to_owned()),
            Self::Callers => ("0302000000".to_owned(), (30_000 + n).to_string()),
        }
    }
}

fn plan(kind: Kind, rules: usize) -> Dialplan {
    let mut text =
        "[numbers]\ncountry_code = \"49\"\ninternational_prefix = \"00\"\nnational_prefix = \"0\"\n".to_owned();
    for n in 0..rules {
        let rule = kind.rule(n);
        let targets = "targets = [{ trunks = [\"main\", \"backup\"] }]";
        write!(text, "[[rule]]\ncontext = \"agents\"\nname = \"rule {n}\"\n{rule}\n{targets}\n").unwrap();
    }
    Dialplan::parse(&[("many.toml".to_owned(), text)]).expect("a valid plan")
}

fn main() {
    let bench = Bench::new("dialplan");
    let kinds = [
        ("numbers", Kind::Numbers),
        ("prefixes", Kind::Prefixes),
        ("patterns", Kind::Patterns),
        ("callers", Kind::Callers),
    ];
    for (name, kind) in kinds {
        let sizes = if bench.mode() == Mode::Once { &[FEW][..] } else { &[FEW, MANY] };
        let plans: Vec<Rc<Dialplan>> = sizes.iter().map(|rules| Rc::new(plan(kind, *rules))).collect();
        let mut group = bench.group(&format!("Route by {name}"));
        for (rules, plan) in sizes.iter().zip(plans) {
            for (which, at) in [("first", Some(0)), ("last", Some(rules - 1)), ("none", None)] {
                let plan = plan.clone();
                group = group.side(&format!("{rules} rules, {which} matches"), move || route(plan, kind, at));
            }
        }
        group.run();
    }
    let plan = plan(Kind::Numbers, 1);
    let normalise = move |meter: &mut Meter| meter.repeat(1000, || plan.e164(black_box("(030) 123-456 78")));
    bench.group("Bring a number into E.164 form").side("", move || normalise).run();
}

fn route(plan: Rc<Dialplan>, kind: Kind, at: Option<usize>) -> impl FnMut(&mut Meter) -> usize + 'static {
    let (dialled, caller) = kind.call(at.unwrap_or(99_999));
    move |meter| {
        let lookup =
            Lookup { origin: Origin::Agents, dialled: &dialled, caller: &caller, trunk: None, is_extension: false };
        let expected = at.map(|at| format!("rule {at}"));
        assert_eq!(plan.route(&lookup).map(|decision| decision.rule), expected);
        meter.repeat(1000, || plan.route(black_box(&lookup)))
    }
}
