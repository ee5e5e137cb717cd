//! The bounds of the resolver.

use std::time::Duration;

/// The bounds of the threads that look names up, and of the cache for their answers.
#[derive(Clone, Debug)]
pub struct ResolverLimits {
    /// Threads that look names up: that many lookups run at the same time.
    pub threads: usize,
    /// Names that are in the cache or being looked up; a name has a few hundred bytes.
    pub names: usize,
    /// How long the addresses of a name are used before it is looked up again.
    ///
    /// getaddrinfo(3) does not tell the time to live that the name server gives (RFC 1035 section
    /// 3.2.1), so this is a guess: long enough for a burst of clients, short enough for an upstream
    /// that moves.
    pub lifetime: Duration,
    /// How long a failure is the answer.
    ///
    /// Not zero, because otherwise each of a thousand clients of a broken name would cost a lookup of
    /// its own. But a second only, because the name may be about to exist, or its name server to
    /// come back, and its clients should notice at once.
    pub failure_lifetime: Duration,
}

impl Default for ResolverLimits {
    fn default() -> Self {
        Self {
            threads: 4,
            names: 1024,
            lifetime: Duration::from_secs(10),
            failure_lifetime: Duration::from_secs(1),
        }
    }
}
