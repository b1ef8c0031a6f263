//! Who is joined with whom, by the commands that shards got; and whether those went where the sessions are.

use std::collections::{BTreeMap, BTreeSet};

use media::{Command, Keying, LinkEnd, MediaSessionId, MixId};
use switchboard::ShardIndex;

/// What the shards have between them.
#[derive(Debug, Default)]
pub struct Wiring {
    open: BTreeMap<MediaSessionId, (ShardIndex, Keying)>,
    hears: BTreeMap<MediaSessionId, Hearing>,
    mixes: BTreeMap<MixId, ShardIndex>,
    /// The sessions of legs, in the order in which they were opened; closed ones too.
    pub legs: Vec<MediaSessionId>,
    /// How many links were opened.
    pub linked: usize,
}

/// What a session hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    One(MediaSessionId),
    Mix(MixId),
}

impl Wiring {
    /// Who hears whom: the sessions of legs that are joined with each, on whatever shard; itself in the echo test.
    #[must_use]
    pub fn joined(&self) -> BTreeMap<MediaSessionId, BTreeSet<MediaSessionId>> {
        let legs = self.hears.keys().filter(|session| self.peer(**session).is_none());
        legs.map(|session| (*session, self.heard(*session))).collect()
    }

    /// The shard of an open session.
    #[must_use]
    pub fn shard(&self, session: MediaSessionId) -> Option<ShardIndex> {
        self.open.get(&session).map(|(shard, _)| *shard)
    }

    /// The links that are open.
    #[must_use]
    pub fn links(&self) -> usize {
        self.open.keys().filter(|session| self.peer(**session).is_some()).count() / 2
    }

    /// What a session hears, a link's end included: the sessions of legs, on whatever shard.
    #[must_use]
    pub fn heard(&self, session: MediaSessionId) -> BTreeSet<MediaSessionId> {
        match self.hears.get(&session) {
            Some(Hearing::One(other)) => self.behind(*other),
            Some(Hearing::Mix(mix)) => self.others(session, *mix).flat_map(|other| self.behind(other)).collect(),
            None => BTreeSet::new(),
        }
    }

    fn others(&self, session: MediaSessionId, mix: MixId) -> impl Iterator<Item = MediaSessionId> {
        let members = self.hears.iter().filter(move |(_, hearing)| **hearing == Hearing::Mix(mix));
        members.map(|(member, _)| *member).filter(move |member| *member != session)
    }

    /// Whom one hears who is joined with a session.
    fn behind(&self, session: MediaSessionId) -> BTreeSet<MediaSessionId> {
        match self.peer(session) {
            Some(peer) => self.heard(peer.session),
            None => BTreeSet::from([session]),
        }
    }

    fn peer(&self, session: MediaSessionId) -> Option<LinkEnd> {
        match self.open.get(&session)? {
            (_, Keying::Link { peer }) => Some(*peer),
            (_, Keying::Plain { .. } | Keying::Sdes { .. } | Keying::DtlsSrtp) => None,
        }
    }

    /// Takes note of a command.
    pub(crate) fn note(&mut self, shard: ShardIndex, command: &Command) {
        match command {
            Command::Open { session, keying, .. } => {
                match keying {
                    // The second end.
                    Keying::Link { peer } if self.open.contains_key(&peer.session) => self.linked += 1,
                    Keying::Link { .. } => {}
                    Keying::Plain { .. } | Keying::Sdes { .. } | Keying::DtlsSrtp => self.legs.push(*session),
                }
                let before = self.open.insert(*session, (shard, keying.clone()));
                assert!(before.is_none(), "{session:?} is opened twice");
            }
            Command::Bridge { a, b } => {
                for (session, other) in [(*a, *b), (*b, *a)] {
                    self.assert_at(shard, session, command);
                    self.join(session, Some(Hearing::One(other)));
                }
                self.hears.insert(*a, Hearing::One(*b));
            }
            Command::Mix { session, mix } => {
                self.assert_at(shard, *session, command);
                self.join(*session, Some(Hearing::Mix(*mix)));
                assert_eq!(*self.mixes.entry(*mix).or_insert(shard), shard, "a mix is on one shard");
            }
            Command::Echo { session } => {
                self.assert_at(shard, *session, command);
                self.join(*session, Some(Hearing::One(*session)));
            }
            Command::Ringback { session } | Command::Music { session } => {
                self.assert_at(shard, *session, command);
                self.join(*session, None);
            }
            Command::Close { session } => {
                self.assert_at(shard, *session, command);
                self.join(*session, None);
                self.open.remove(session);
            }
            Command::SetDtmf { session, .. }
            | Command::SetPacketTime { session, .. }
            | Command::CreateOffer { session, .. }
            | Command::HandleOffer { session, .. }
            | Command::HandleAnswer { session, .. }
            | Command::Adopt { session }
            | Command::Hold { session, .. }
            | Command::PressDigit { session, .. }
            | Command::SendDigits { session, .. } => self.assert_at(shard, *session, command),
        }
    }

    /// A session is joined anew; whoever was joined with it alone is joined with nobody any more.
    fn join(&mut self, session: MediaSessionId, hearing: Option<Hearing>) {
        match self.hears.remove(&session) {
            Some(Hearing::One(other)) if self.hears.get(&other) == Some(&Hearing::One(session)) => {
                self.hears.remove(&other);
            }
            Some(Hearing::Mix(mix)) if self.others(session, mix).next().is_none() => {
                self.mixes.remove(&mix);
            }
            Some(Hearing::One(_) | Hearing::Mix(_)) | None => {}
        }
        if let Some(hearing) = hearing {
            self.hears.insert(session, hearing);
        }
    }

    fn assert_at(&self, shard: ShardIndex, session: MediaSessionId, command: &Command) {
        assert_eq!(self.shard(session), Some(shard), "where {session:?} is, for {command:?}");
    }

    /// Whether every link joins a leg of one shard with a leg or a mix of another.
    pub(crate) fn assert_sound(&self) {
        for (session, (shard, _)) in &self.open {
            let Some(peer) = self.peer(*session) else { continue };
            let back = self.peer(peer.session).map(|back| back.session);
            assert_eq!(back, Some(*session), "the ends of a link know each other");
            assert_eq!(self.shard(peer.session), Some(ShardIndex(peer.shard)));
            assert_ne!(peer.shard, shard.0, "a link between two shards");
            match self.hears.get(session).expect("a link with nobody there") {
                Hearing::One(leg) => assert!(self.peer(*leg).is_none(), "a chain of links"),
                Hearing::Mix(_) => {
                    let beyond = self.hears.get(&peer.session);
                    assert!(matches!(beyond, Some(Hearing::One(_))), "a link between two mixes");
                }
            }
        }
    }
}
