//! How a trunk is presented to and believed, as the switchboard works from it.

use switchboard::{Border, NumberFormat};

use crate::store::{CallerId, CallerIdFormat, CallerIdHeader, HeaderRule, RuleAction, RuleDirection, TrunkSettings};

fn caller_id(stored: CallerId) -> switchboard::CallerId {
    switchboard::CallerId {
        header: match stored.header {
            CallerIdHeader::From => switchboard::CallerIdHeader::From,
            CallerIdHeader::Pai => switchboard::CallerIdHeader::Asserted,
            CallerIdHeader::Rpid => switchboard::CallerIdHeader::RemoteParty,
        },
        fallback: stored.fallback,
        user: stored.user,
        domain: stored.domain,
        format: match stored.format {
            CallerIdFormat::E164 => NumberFormat::E164,
            CallerIdFormat::E164WithoutPlus => NumberFormat::E164WithoutPlus,
        },
        pass_through: stored.pass_through,
    }
}

pub(super) fn border(stored: CallerId, settings: &TrunkSettings) -> Border {
    Border {
        caller_id: caller_id(stored),
        trusted: settings.trusted,
        header_rules: settings.header_rules.iter().cloned().map(header_rule).collect(),
        pass_headers: settings.pass_headers.clone(),
    }
}

fn header_rule(rule: HeaderRule) -> switchboard::HeaderRule {
    let (value, to) = (rule.value.unwrap_or_default(), rule.to.unwrap_or_default());
    switchboard::HeaderRule {
        direction: match rule.direction {
            RuleDirection::Inbound => switchboard::RuleDirection::Inbound,
            RuleDirection::Outbound => switchboard::RuleDirection::Outbound,
        },
        name: rule.name,
        action: match rule.action {
            RuleAction::Add => switchboard::RuleAction::Add(value),
            RuleAction::Set => switchboard::RuleAction::Set(value),
            RuleAction::Remove => switchboard::RuleAction::Remove,
            RuleAction::Rename => switchboard::RuleAction::Rename(to),
        },
    }
}
