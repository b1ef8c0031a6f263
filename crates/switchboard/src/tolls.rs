//! What calls outside may cost: how many a second over each trunk and by each agent, how many a minute and a day for each that pays, and
//! what was refused. Counts; who may call where is `call/clearing.rs`.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Clock;
use crate::directory::Directory;

/// How far back a burst looks, and a limit by the minute.
const MINUTE: Duration = Duration::from_secs(60);

/// Attempts remembered of one that pays: more within a minute are a burst whatever the limit.
const MOST_REMEMBERED: usize = 1000;

/// Whose calls are paced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Pace {
    /// Those that come over a trunk.
    From(String),
    /// Those that leave over a trunk.
    To(String),
    /// Those an agent makes.
    By(String),
}

/// Why a call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// The number to be shown is not the agent's.
    CallerId,
    /// The agent may not call the country.
    Country,
    /// The agent may not call numbers that begin so.
    Prefix,
    /// The number is in a range refused for its cost.
    HighCost,
    /// As many as it may have today.
    PerDay,
    /// As many as it may have within a minute.
    PerMinute,
    /// As many as it may have at once.
    AtOnce,
    /// Faster than the trunk allows.
    TrunkPace,
    /// Faster than the agent may.
    AgentPace,
}

impl Bar {
    /// Each, in the order they are counted in.
    pub const ALL: [Self; 9] = [
        Self::CallerId,
        Self::Country,
        Self::Prefix,
        Self::HighCost,
        Self::PerDay,
        Self::PerMinute,
        Self::AtOnce,
        Self::TrunkPace,
        Self::AgentPace,
    ];

    /// As figures show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CallerId => "caller_id",
            Self::Country => "country",
            Self::Prefix => "prefix",
            Self::HighCost => "high_cost",
            Self::PerDay => "per_day",
            Self::PerMinute => "per_minute",
            Self::AtOnce => "simultaneous",
            Self::TrunkPace => "trunk_cps",
            Self::AgentPace => "agent_cps",
        }
    }
}

/// How often each [`Bar`] was met, in the order of [`Bar::ALL`].
pub type Barred = [u64; Bar::ALL.len()];

/// Something somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// Suddenly many calls outside, those refused included.
    Burst {
        /// The agent, or the extension of a phone that is nobody's.
        payer: String,
        /// How many within a minute.
        calls: usize,
    },
}

/// Everything counted.
pub(crate) struct Tolls {
    clock: Clock,
    /// When the next call of a steady stream would be due.
    due: HashMap<Pace, Instant>,
    accounts: HashMap<String, Account>,
    pub(crate) barred: Barred,
    pub(crate) bursts: u64,
    pub(crate) alarms: Vec<Alarm>,
}

#[derive(Default)]
struct Account {
    /// Attempts of the last minute, and whether each was let through.
    recent: VecDeque<(Instant, bool)>,
    /// Days since 1970.
    day: u64,
    today: u32,
    is_alarmed: bool,
}

impl Tolls {
    pub(crate) fn new(clock: Clock) -> Self {
        let (due, accounts) = (HashMap::new(), HashMap::new());
        Self { clock, due, accounts, barred: Barred::default(), bursts: 0, alarms: Vec::new() }
    }

    pub(crate) fn bar(&mut self, bar: Bar) {
        if let Some(count) = Bar::ALL.iter().position(|known| *known == bar).and_then(|at| self.barred.get_mut(at)) {
            *count += 1;
        }
    }

    /// Takes one call of so many a second, or says how long to wait. A second's worth may come at once; 0 = no limit.
    pub(crate) fn take(&mut self, now: Instant, pace: Pace, per_second: u32) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let apart = Duration::from_secs(1) / per_second;
        let due = self.due.entry(pace).or_insert(now);
        let early = due.saturating_duration_since(now);
        let leeway = apart * (per_second - 1);
        if early > leeway {
            return Err(early - leeway);
        }
        *due = (*due).max(now) + apart;
        Ok(())
    }

    /// Calls outside that were let through today (UTC).
    pub(crate) fn today(&self, now: Instant, payer: &str) -> u32 {
        let day = self.day(now);
        self.accounts.get(payer).filter(|account| account.day == day).map_or(0, |account| account.today)
    }

    /// When one more may be made of so many a minute; `None` = now.
    pub(crate) fn wait(&self, now: Instant, payer: &str, per_minute: u32) -> Option<Duration> {
        let most = usize::try_from(per_minute).unwrap_or(usize::MAX);
        let account = self.accounts.get(payer)?;
        let mut made = account.recent.iter().rev().filter(|(_, let_through)| *let_through).map(|(at, _)| *at);
        let oldest = made.nth(most.checked_sub(1)?)?;
        (oldest + MINUTE).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Notes an attempt to call outside; more than `burst` within a minute raise an alarm once, 0 = never.
    pub(crate) fn note(&mut self, now: Instant, payer: &str, let_through: bool, burst: u32) {
        let day = self.day(now);
        let account = self.accounts.entry(payer.to_owned()).or_default();
        if account.day != day {
            (account.day, account.today) = (day, 0);
        }
        account.today += u32::from(let_through);
        account.recent.push_back((now, let_through));
        while account.recent.len() > MOST_REMEMBERED
            || account.recent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= MINUTE)
        {
            account.recent.pop_front();
        }
        let calls = account.recent.len();
        let is_burst = burst > 0 && calls > usize::try_from(burst).unwrap_or(usize::MAX);
        if is_burst && !account.is_alarmed {
            self.bursts += 1;
            self.alarms.push(Alarm::Burst { payer: payer.to_owned(), calls });
        }
        account.is_alarmed = is_burst;
    }

    /// Forgets trunks, agents and extensions that are gone.
    pub(crate) fn retain(&mut self, directory: &Directory) {
        self.due.retain(|pace, _| match pace {
            Pace::From(trunk) | Pace::To(trunk) => directory.trunks.contains_key(trunk),
            Pace::By(agent) => directory.agents.contains_key(agent),
        });
        let is_known =
            |payer: &String| directory.agents.contains_key(payer) || directory.extensions.contains_key(payer);
        self.accounts.retain(|payer, _| is_known(payer));
    }

    fn day(&self, now: Instant) -> u64 {
        let since = self.clock.at(now).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.as_secs() / (24 * 60 * 60)
    }
}
