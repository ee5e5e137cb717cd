//! Interest: the readiness that a file descriptor is registered for.

use nix::sys::epoll::EpollFlags;

/// The readiness that `epoll_wait(2)` reports for one file descriptor.
///
/// The kernel always adds `EPOLLERR` and `EPOLLHUP`, even to [`Interest::NONE`].
///
/// ```
/// use stage3_epoll::Interest;
///
/// assert_eq!(Interest::wanting(true, false), Interest::READABLE);
/// assert_eq!(Interest::wanting(false, false), Interest::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(EpollFlags);

impl Interest {
    /// Nothing for now: the file descriptor stays registered and silent.
    pub const NONE: Self = Self(EpollFlags::empty());
    /// `EPOLLIN`, and `EPOLLRDHUP` so that the peer's FIN shows at once.
    pub const READABLE: Self = Self(EpollFlags::EPOLLIN.union(EpollFlags::EPOLLRDHUP));
    /// `EPOLLOUT`: the send buffer has room. It nearly always has, so ask only while
    /// bytes are unsent.
    pub const WRITABLE: Self = Self(EpollFlags::EPOLLOUT);
    /// Both directions.
    pub const BOTH: Self = Self(Self::READABLE.0.union(Self::WRITABLE.0));

    /// Returns the interest in reading, in writing, in both or in neither.
    pub fn wanting(read: bool, write: bool) -> Self {
        match (read, write) {
            (false, false) => Self::NONE,
            (true, false) => Self::READABLE,
            (false, true) => Self::WRITABLE,
            (true, true) => Self::BOTH,
        }
    }

    /// Returns the same interest, edge-triggered: reported when it begins, not while it lasts.
    #[must_use]
    pub fn edge(self) -> Self {
        Self(self.0 | EpollFlags::EPOLLET)
    }

    /// Returns the same interest and `EPOLLPRI`, which announces urgent data (`tcp(7)`).
    ///
    /// A read stops in front of urgent data, so it may return fewer bytes than there are: do
    /// not take a short read for "nothing left".
    #[must_use]
    pub fn urgent(self) -> Self {
        Self(self.0 | EpollFlags::EPOLLPRI)
    }

    pub(crate) fn flags(self) -> EpollFlags {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_wishes_has_its_interest() {
        let table = [
            (false, false, Interest::NONE),
            (true, false, Interest::READABLE),
            (false, true, Interest::WRITABLE),
            (true, true, Interest::BOTH),
        ];
        for (read, write, interest) in table {
            let wanted = Interest::wanting(read, write);
            assert_eq!(wanted, interest, "wanting(read: {read}, write: {write})");
            let mut flags = EpollFlags::empty();
            flags.set(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, read);
            flags.set(EpollFlags::EPOLLOUT, write);
            assert_eq!(interest.flags(), flags, "the flags of {interest:?}");
        }
    }

    #[test]
    fn edge_keeps_the_wish_and_adds_the_trigger() {
        let flags = Interest::BOTH.edge().flags();
        let expected = Interest::BOTH.flags() | EpollFlags::EPOLLET;
        assert_eq!(
            flags, expected,
            "edge() keeps the other flags, and adds one"
        );
        let urgent = Interest::NONE.urgent().flags();
        assert_eq!(urgent, EpollFlags::EPOLLPRI);
    }

    #[test]
    fn a_wish_said_twice_stays_a_wish() {
        let once = Interest::READABLE.edge().urgent();
        assert_eq!(once.edge().urgent(), once, "edge() and urgent() twice");
    }
}
