//! The facts of a session that only its report needs: when it got on, and what is rare.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::address::PeerAddr;
use crate::inspect::Carried;
use crate::session::reason::Reason;

/// When a session got on, and what has gone wrong on the way.
///
/// ```text
///   accept(2)         target known      addresses known      upstream connected          end
///      ├── handshake ──────┼───── resolve ──────┼────── connect ───────┼────── relay ─────┤
/// ```
#[derive(Debug, Default)]
pub(crate) struct Facts {
    asked: Mark,
    connected: Mark,
    /// Boxed, because every row of the table has room for the facts, and few sessions have any of these.
    rare: Option<Box<Rare>>,
}

/// What most sessions never have.
#[derive(Debug, Default)]
struct Rare {
    /// When the last request was answered.
    answered: Mark,
    /// The bytes of the requests until then.
    before: Carried,
    /// When the addresses were known, if the session had to wait for them.
    lookup: Option<Mark>,
    /// The address of the last attempt, kept when its socket is gone.
    tried: Option<PeerAddr>,
    /// The Unix socket that the session goes to, instead of a target.
    unix_path: Option<Arc<Path>>,
    /// Why the client was refused, while it is told so.
    refusal: Option<Reason>,
}

/// The lengths of the phases; `None` for one that was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// From accept(2), or from the answer to the request before, to the target.
    pub(crate) handshake: Duration,
    /// From the target to its addresses.
    pub(crate) resolve: Option<Duration>,
    /// From the addresses to the connected upstream, with the responses of the hops.
    pub(crate) connect: Option<Duration>,
    /// From there to the end.
    pub(crate) relay: Option<Duration>,
}

impl Facts {
    /// Notes that the target is known, `after` the session was opened.
    pub(crate) fn asked(&mut self, after: Duration) {
        self.asked = Mark::new(after);
        // Those of an earlier target, if there was one.
        self.connected = Mark::default();
        if let Some(rare) = &mut self.rare {
            (rare.lookup, rare.tried) = (None, None);
        }
    }

    /// Notes that a request was answered, and that the session waits for the next one; `before` are the bytes of all
    /// requests so far.
    pub(crate) fn next_request(&mut self, after: Duration, before: Carried) {
        (self.asked, self.connected) = (Mark::default(), Mark::default());
        *self.rare_mut() = Rare {
            answered: Mark::new(after),
            before,
            ..Rare::default()
        };
    }

    /// Returns whether a request was answered, and so the next one has begun or may come.
    pub(crate) fn has_answered(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.answered.get().is_some())
    }

    /// Returns the bytes of the requests before the present one.
    pub(crate) fn carried_before(&self) -> Carried {
        self.rare
            .as_ref()
            .map_or(Carried::default(), |rare| rare.before)
    }

    /// Notes that the session has to wait for the addresses of the target.
    pub(crate) fn looks_up(&mut self) {
        self.rare_mut().lookup = Some(Mark::default());
    }

    /// Notes that the addresses of the target are known.
    pub(crate) fn resolved(&mut self, after: Duration) {
        // Otherwise they were known at once.
        if let Some(lookup) = self.rare.as_mut().and_then(|rare| rare.lookup.as_mut()) {
            *lookup = Mark::new(after);
        }
    }

    /// Notes that the upstream is connected.
    pub(crate) fn connected(&mut self, after: Duration) {
        self.connected = Mark::new(after);
    }

    /// Returns the lengths of the phases of a session that is `age` old.
    pub(crate) fn lengths(&self, age: Duration) -> Lengths {
        let lookup = self.rare.as_ref().and_then(|rare| rare.lookup);
        let marks = [self.asked, lookup.unwrap_or(self.asked), self.connected].map(Mark::get);
        let [asked, resolved, connected] = marks;
        // The phase in which the session is, or has ended, lasts until now.
        let between = |begin: Option<Duration>, end: Option<Duration>| {
            Some(end.unwrap_or(age).saturating_sub(begin?))
        };
        let begun = self.rare.as_ref().and_then(|rare| rare.answered.get());
        Lengths {
            handshake: asked
                .unwrap_or(age)
                .saturating_sub(begun.unwrap_or_default()),
            resolve: between(asked, resolved),
            connect: between(resolved, connected),
            relay: between(connected, None),
        }
    }

    /// Notes the address of an attempt whose socket is closed, or may be soon.
    pub(crate) fn tried(&mut self, address: PeerAddr) {
        self.rare_mut().tried = Some(address);
    }

    /// Returns the last address that was noted as tried.
    pub(crate) fn last_tried(&self) -> Option<PeerAddr> {
        self.rare.as_ref()?.tried
    }

    /// Notes that the session goes to a Unix socket.
    pub(crate) fn goes_to_unix(&mut self, path: &Arc<Path>) {
        self.rare_mut().unix_path = Some(Arc::clone(path));
    }

    /// Returns the path of the Unix socket that the session goes to, if it is one.
    pub(crate) fn unix_path(&self) -> Option<&Path> {
        self.rare.as_ref()?.unix_path.as_deref()
    }

    /// Notes why the client was refused.
    pub(crate) fn refused(&mut self, reason: Reason) {
        self.rare_mut().refusal = Some(reason);
    }

    /// Returns why the client was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<&Reason> {
        self.rare.as_ref()?.refusal.as_ref()
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

/// A moment in the life of a session, or none yet, in four bytes: microseconds, and one more so that it is
/// never zero. After 71 minutes it stays the same, and no phase before the relay lasts that long.
#[derive(Clone, Copy, Debug, Default)]
struct Mark(Option<NonZeroU32>);

impl Mark {
    fn new(after: Duration) -> Self {
        let micros = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(micros.saturating_add(1)))
    }

    fn get(self) -> Option<Duration> {
        let micros = self.0?.get() - 1;
        Some(Duration::from_micros(micros.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_phase_lasts_from_its_mark_to_the_next() {
        let mut facts = Facts::default();
        let none = Lengths {
            handshake: 50 * MS,
            resolve: None,
            connect: None,
            relay: None,
        };
        assert_eq!(facts.lengths(50 * MS), none);
        facts.asked(2 * MS);
        facts.looks_up();
        let resolving = Lengths {
            handshake: 2 * MS,
            resolve: Some(48 * MS),
            ..none
        };
        assert_eq!(facts.lengths(50 * MS), resolving);
        facts.resolved(5 * MS);
        facts.connected(12 * MS);
        let all = Lengths {
            handshake: 2 * MS,
            resolve: Some(3 * MS),
            connect: Some(7 * MS),
            relay: Some(38 * MS),
        };
        assert_eq!(facts.lengths(50 * MS), all);
        facts.asked(40 * MS);
        let again = Lengths {
            handshake: 40 * MS,
            resolve: Some(Duration::ZERO),
            connect: Some(10 * MS),
            ..none
        };
        assert_eq!(facts.lengths(50 * MS), again);
    }

    #[test]
    fn each_request_of_a_client_has_its_own_phases() {
        let mut facts = Facts::default();
        facts.asked(2 * MS);
        facts.connected(3 * MS);
        assert!(!facts.has_answered());
        let before = Carried { up: 10, down: 20 };
        facts.next_request(10 * MS, before);
        assert!(facts.has_answered());
        assert_eq!(facts.carried_before(), before);
        facts.asked(14 * MS);
        facts.connected(15 * MS);
        let second = Lengths {
            handshake: 4 * MS,
            resolve: Some(Duration::ZERO),
            connect: Some(MS),
            relay: Some(5 * MS),
        };
        assert_eq!(facts.lengths(20 * MS), second);
    }

    #[test]
    fn a_mark_at_once_is_one_and_a_late_one_does_not_overflow() {
        let mut facts = Facts::default();
        facts.asked(Duration::ZERO);
        facts.resolved(Duration::ZERO);
        let lengths = facts.lengths(MS);
        assert_eq!(lengths.resolve, Some(Duration::ZERO));
        assert_eq!(lengths.connect, Some(MS));
        facts.connected(Duration::MAX);
        assert_eq!(facts.lengths(MS).relay, Some(Duration::ZERO));
    }

    #[test]
    fn the_rare_facts_cost_a_pointer() {
        assert!(size_of::<Facts>() <= 16);
        let mut facts = Facts::default();
        assert!(facts.refusal().is_none() && facts.last_tried().is_none());
        facts.refused(Reason::TooLong);
        let address = PeerAddr::Internet("192.0.2.1:80".parse().unwrap());
        facts.tried(address);
        assert!(matches!(facts.refusal(), Some(Reason::TooLong)));
        assert_eq!(facts.last_tried(), Some(address));
    }
}
