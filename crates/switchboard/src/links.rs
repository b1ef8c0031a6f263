//! Where each media session is, and what joins those of different shards. Calls say who is joined with whom and know nothing of
//! shards; here that becomes commands to the shards concerned, and links between them where they are several. There is at most one link
//! between two legs, or a leg and a mix, closed as soon as the leg is joined in another way.

use std::collections::HashMap;

use media::{Codec, Command, Keying, LinkEnd, MediaSessionId, MixId};

use crate::output::ShardIndex;

/// Commands, and whom each is for, in order.
pub(crate) type Orders = Vec<(ShardIndex, Command)>;

/// The open sessions of all legs, and the links between them.
#[derive(Debug, Default)]
pub(crate) struct Links {
    seats: HashMap<MediaSessionId, Seat>,
    /// The legs' sessions for which there are links, by either end.
    ends: HashMap<MediaSessionId, MediaSessionId>,
    mixes: HashMap<MixId, Mixing>,
}

/// Where a leg's session is.
#[derive(Debug)]
struct Seat {
    shard: ShardIndex,
    link: Option<Link>,
    mix: Option<MixId>,
}

/// Where a mix is: where its first member was, for as long as it has any.
#[derive(Debug)]
struct Mixing {
    shard: ShardIndex,
    members: usize,
}

/// A link as a session sees it that it joins.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// The end on its own shard.
    near: MediaSessionId,
    /// The end on the other, and which that is.
    far: MediaSessionId,
    shard: ShardIndex,
    /// The session joined with the other end, unless that is in a mix.
    other: Option<MediaSessionId>,
}

impl Links {
    /// The shard of a leg's session that is open.
    pub(crate) fn shard(&self, session: MediaSessionId) -> Option<ShardIndex> {
        self.seats.get(&session).map(|seat| seat.shard)
    }

    /// The leg's session that a link's end is there for.
    pub(crate) fn leg_of(&self, end: MediaSessionId) -> Option<MediaSessionId> {
        self.ends.get(&end).copied()
    }

    /// What a call's command means to the shards. A new session is opened on `home`; `new_id` names the ends of links.
    pub(crate) fn resolve(
        &mut self,
        home: ShardIndex,
        command: Command,
        new_id: impl FnMut() -> MediaSessionId,
    ) -> Orders {
        match command {
            Command::Open { session, .. } => {
                self.seats.insert(session, Seat { shard: home, link: None, mix: None });
                vec![(home, command)]
            }
            Command::Bridge { a, b } => self.bridge(home, a, b, new_id),
            Command::Mix { session, mix } => self.mix(home, session, mix, new_id),
            // Joined with nobody any more.
            Command::Echo { session } | Command::Ringback { session } | Command::Music { session } => {
                let mut orders = vec![(self.shard(session).unwrap_or(home), command)];
                self.leave(session, &mut orders);
                orders
            }
            Command::Close { session } => {
                let mut orders = vec![(self.shard(session).unwrap_or(home), command)];
                self.leave(session, &mut orders);
                self.seats.remove(&session);
                orders
            }
            Command::SetDtmf { session, .. }
            | Command::SetPacketTime { session, .. }
            | Command::CreateOffer { session, .. }
            | Command::HandleOffer { session, .. }
            | Command::HandleAnswer { session, .. }
            | Command::Adopt { session }
            | Command::Hold { session, .. }
            | Command::PressDigit { session, .. }
            | Command::SendDigits { session, .. } => vec![(self.shard(session).unwrap_or(home), command)],
        }
    }

    fn bridge(
        &mut self,
        home: ShardIndex,
        a: MediaSessionId,
        b: MediaSessionId,
        mut new_id: impl FnMut() -> MediaSessionId,
    ) -> Orders {
        let (at_a, at_b) = match (self.shard(a), self.shard(b)) {
            (Some(at_a), Some(at_b)) => (at_a, at_b),
            (Some(known), None) | (None, Some(known)) => (known, known),
            (None, None) => (home, home),
        };
        if at_a == at_b {
            let mut orders = vec![(at_a, Command::Bridge { a, b })];
            self.leave(a, &mut orders);
            self.leave(b, &mut orders);
            return orders;
        }
        let known = self.seats.get(&a).and_then(|seat| seat.link).filter(|link| link.other == Some(b));
        let link = known.unwrap_or_else(|| Link { near: new_id(), far: new_id(), shard: at_b, other: Some(b) });
        let mut orders = if known.is_none() { open(at_a, link) } else { Orders::new() };
        orders.push((at_a, Command::Bridge { a, b: link.near }));
        orders.push((at_b, Command::Bridge { a: b, b: link.far }));
        if known.is_none() {
            self.leave(a, &mut orders);
            self.leave(b, &mut orders);
            self.enter(a, link);
            self.enter(b, Link { near: link.far, far: link.near, shard: at_a, other: Some(a) });
        }
        orders
    }

    fn mix(
        &mut self,
        home: ShardIndex,
        session: MediaSessionId,
        mix: MixId,
        mut new_id: impl FnMut() -> MediaSessionId,
    ) -> Orders {
        let here = self.shard(session).unwrap_or(home);
        let Some(seat) = self.seats.get(&session) else { return vec![(here, Command::Mix { session, mix })] };
        if seat.mix == Some(mix) {
            return Orders::new();
        }
        let mixing = self.mixes.entry(mix).or_insert(Mixing { shard: here, members: 0 });
        mixing.members += 1;
        let there = mixing.shard;
        let link = (here != there).then(|| Link { near: new_id(), far: new_id(), shard: there, other: None });
        let mut orders = match link {
            None => vec![(here, Command::Mix { session, mix })],
            Some(link) => {
                let mut orders = open(here, link);
                orders.push((here, Command::Bridge { a: session, b: link.near }));
                orders.push((there, Command::Mix { session: link.far, mix }));
                orders
            }
        };
        self.leave(session, &mut orders);
        if let Some(link) = link {
            self.enter(session, link);
            self.ends.insert(link.far, session);
        }
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.mix = Some(mix);
        }
        orders
    }

    fn enter(&mut self, session: MediaSessionId, link: Link) {
        self.ends.insert(link.near, session);
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.link = Some(link);
        }
    }

    /// A session is not joined any more as it was: its link is closed. That comes after what it is joined with now, so that nobody is
    /// told of a moment with nobody in between.
    fn leave(&mut self, session: MediaSessionId, orders: &mut Orders) {
        let Some(seat) = self.seats.get_mut(&session) else { return };
        if let Some(mix) = seat.mix.take()
            && let Some(mixing) = self.mixes.get_mut(&mix)
        {
            mixing.members = mixing.members.saturating_sub(1);
            if mixing.members == 0 {
                self.mixes.remove(&mix);
            }
        }
        let here = seat.shard;
        let Some(link) = seat.link.take() else { return };
        for (shard, end) in [(here, link.near), (link.shard, link.far)] {
            self.ends.remove(&end);
            orders.push((shard, Command::Close { session: end }));
        }
        if let Some(other) = link.other.and_then(|other| self.seats.get_mut(&other)) {
            other.link = None;
        }
    }
}

/// Opens both ends of a link. They need no agreement on codecs, and their silence says nothing: who is silent is told of where it is heard.
fn open(here: ShardIndex, link: Link) -> Orders {
    let end = |session, peer_shard: ShardIndex, peer| Command::Open {
        session,
        keying: Keying::Link { peer: LinkEnd { shard: peer_shard.0, session: peer } },
        codecs: vec![Codec::Pcmu],
        silence_timeout: std::time::Duration::ZERO,
    };
    vec![(here, end(link.near, link.shard, link.far)), (link.shard, end(link.far, here, link.near))]
}
