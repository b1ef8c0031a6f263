//! Who may call a number outside: the gateway's own caution against toll fraud, then the agent's dial policy. The one place that every call
//! over a trunk passes, whether it is dialled, transferred, asked for or joined.

use super::cause::Failure;
use super::context::{Context, Occupation};
use super::facts::Facts;
use super::leg::Party;
use super::seeker::Seeker;
use crate::config::{FraudConfig, SwitchboardConfig};
use crate::countries::country_of;
use crate::directory::DialPolicy;
use crate::number::e164;
use crate::tolls::Bar;

/// Whose account a seeker's calls are on: the agent's, or that of a phone which is nobody's. A trunk's caller has none.
pub(super) fn payer(seeker: &Seeker, facts: &Facts) -> Option<String> {
    let asks = seeker.transferor.unwrap_or(seeker.leg);
    seeker.agent.clone().or_else(|| match &facts.leg(asks)?.party {
        Party::Extension { number, .. } => Some(number.clone()),
        Party::Trunk { .. } => None,
    })
}

/// Whether a number is one that must always be reached.
pub(crate) fn is_emergency(number: &str, config: &SwitchboardConfig) -> bool {
    config.emergency_numbers.iter().any(|known| known == number)
}

/// Lets a seeker call a number outside, or says why not. What is let through counts when it `is_first` of its call.
pub(super) fn clear(
    number: &str,
    is_first: bool,
    seeker: &Seeker,
    facts: &Facts,
    ctx: &mut Context<'_>,
) -> Result<(), Failure> {
    if is_emergency(number, ctx.config) {
        return Ok(());
    }
    let payer = payer(seeker, facts);
    let agent = seeker.agent.as_ref().and_then(|agent| ctx.directory.agents.get(agent));
    let policy = agent.map(|agent| &agent.dial_policy);
    let fraud = Some(&ctx.config.fraud).filter(|fraud| fraud.enabled);
    let mut verdict = destination(number, policy, fraud);
    if let (true, Ok(()), Some(payer)) = (is_first, &verdict, &payer) {
        verdict = quantity(payer, policy, fraud, facts, ctx);
    }
    if let (true, Some(payer)) = (is_first, &payer) {
        ctx.tolls.note(ctx.now, payer, verdict.is_ok(), fraud.map_or(0, |fraud| fraud.burst_calls));
    }
    verdict.map_err(|(bar, failure)| {
        ctx.tolls.bar(bar);
        failure
    })
}

type Verdict = Result<(), (Bar, Failure)>;

fn refused(bar: Bar, why: String) -> Verdict {
    Err((bar, Failure::refusal(403, why)))
}

/// Whether the number may be called at all.
fn destination(number: &str, policy: Option<&DialPolicy>, fraud: Option<&FraudConfig>) -> Verdict {
    let international = e164(number);
    let begins =
        |start: &str| number.starts_with(start) || international.as_ref().is_some_and(|n| n.starts_with(start));
    let countries = policy.map(|policy| policy.countries.as_slice()).unwrap_or_default();
    let costly = fraud.and_then(|fraud| fraud.high_cost_prefixes.iter().find(|range| begins(range)));
    if let Some(range) = costly {
        let is_allowed = |entry: &String| entry.starts_with(range.as_str()) && begins(entry);
        if !countries.iter().any(is_allowed) {
            let why = format!("Calls to {range} are refused for their cost: premium rate, satellite or the like.");
            return refused(Bar::HighCost, why);
        }
    }
    if let Some(start) = policy.and_then(|policy| policy.blocked_prefixes.iter().find(|start| begins(start))) {
        return refused(Bar::Prefix, format!("Calls to {start} are not allowed for this agent."));
    }
    if countries.is_empty() {
        return Ok(());
    }
    let country = international.as_deref().and_then(country_of);
    let is_allowed = |entry: &String| match entry.starts_with('+') {
        true => begins(entry),
        false => country.as_ref().is_some_and(|(_, iso)| iso == entry),
    };
    if countries.iter().any(is_allowed) {
        return Ok(());
    }
    let whither = match (&country, &international) {
        (Some((code, iso)), _) => format!("{code} ({iso})"),
        (None, Some(number)) => number.clone(),
        (None, None) => format!("{number}, which is not in international form,"),
    };
    refused(Bar::Country, format!("Calls to {whither} are not allowed for this agent."))
}

/// Whether one more call may be made.
fn quantity(
    payer: &str,
    policy: Option<&DialPolicy>,
    fraud: Option<&FraudConfig>,
    facts: &Facts,
    ctx: &Context<'_>,
) -> Verdict {
    let now = ctx.now;
    let per_day = policy.and_then(|policy| policy.max_per_day).or(fraud.map(|fraud| fraud.calls_per_day)).unwrap_or(0);
    if per_day > 0 && ctx.tolls.today(now, payer) >= per_day {
        return refused(Bar::PerDay, format!("The agent may make {per_day} calls outside a day, and has made them."));
    }
    let Some(fraud) = fraud else { return Ok(()) };
    let at_once = fraud.simultaneous_calls;
    if at_once > 0 && ctx.taken(&Occupation::Outside(payer.to_owned()), facts) >= at_once {
        return refused(Bar::AtOnce, format!("The agent may have {at_once} calls outside at once, and has them."));
    }
    let per_minute = fraud.calls_per_minute;
    if let Some(wait) = ctx.tolls.wait(now, payer, per_minute) {
        let why = format!("The agent may make {per_minute} calls outside a minute, and has made them.");
        return Err((Bar::PerMinute, Failure { retry_after: Some(wait), ..Failure::refusal(503, why) }));
    }
    Ok(())
}
