//! How cost grows: more and more sessions, of which always the same few are active.

/// A number of sessions, and the manner in which a proxy serves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Growth {
    pub(crate) manner: Manner,
    pub(crate) sessions: usize,
}

/// The manners of serving them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    OneThread,
    /// Two event loops, on the one core of the proxy like everything that is measured.
    TwoThreads,
    /// One event loop, and an upstream that is given by its name.
    ByName,
}

impl Growth {
    /// The sessions that are active; all others have nothing to say.
    pub(crate) const ACTIVE: usize = 10;

    const MANNERS: [Manner; 3] = [Manner::OneThread, Manner::TwoThreads, Manner::ByName];
    /// With a limit of 20,000 open files, 8,000 is the last that fits.
    const SIZES: [usize; 5] = [10, 1_000, 8_000, 10_000, 30_000];

    /// Returns all of them, manner by manner.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let sizes = |manner| Self::SIZES.map(|sessions| Self { manner, sessions });
        Self::MANNERS.into_iter().flat_map(sizes)
    }

    /// Returns for how many sessions a proxy is configured that must be told.
    pub(crate) fn capacity(self) -> usize {
        const RESERVE: usize = 100;
        self.sessions + self.sessions / 10 + RESERVE
    }
}

impl Manner {
    pub(crate) fn threads(self) -> u8 {
        match self {
            Self::TwoThreads => 2,
            Self::OneThread | Self::ByName => 1,
        }
    }

    /// Returns the part of its keys.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::OneThread => "1",
            Self::TwoThreads => "2",
            Self::ByName => "name",
        }
    }

    /// Returns the heading above its rows.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneThread => "Growth, 10 sessions active",
            Self::TwoThreads => "Growth, two threads",
            Self::ByName => "Growth, upstream by name",
        }
    }
}
