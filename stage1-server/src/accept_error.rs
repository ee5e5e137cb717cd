//! Classifies the errors of `accept(2)`: retry, pause or stop.

use std::io;

use nix::errno::Errno;

/// The server's reaction to a failed `accept(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFailure {
    /// This one client is gone, or a signal interrupted the call: accept the next one at once.
    Retry,
    /// The process or the machine has run out of descriptors or memory. The client stays in the
    /// accept queue and the listener stays ready, so trying again at once would only burn the
    /// processor: pause.
    Pause,
    /// The listener itself is broken: the server ends.
    Fatal,
}

impl AcceptFailure {
    /// Classifies an error as `accept(2)` recommends under "Error handling".
    ///
    /// On Linux, `accept(2)` also returns network errors that are pending on the new connection;
    /// they say nothing about the listener. An unknown error pauses, because that is right or
    /// harmless in every case.
    pub fn of(error: &io::Error) -> Self {
        // A client that is gone, a signal, an empty queue, a firewall; then network errors.
        const GONE: [Errno; 12] = [
            Errno::ECONNABORTED,
            Errno::EINTR,
            Errno::EAGAIN,
            Errno::EPERM,
            Errno::EPROTO,
            Errno::ENOPROTOOPT,
            Errno::ENETDOWN,
            Errno::ENETUNREACH,
            Errno::EHOSTDOWN,
            Errno::EHOSTUNREACH,
            Errno::ENONET,
            Errno::ETIMEDOUT,
        ];
        const BROKEN: [Errno; 4] = [
            Errno::EBADF,
            Errno::EINVAL,
            Errno::ENOTSOCK,
            Errno::EOPNOTSUPP,
        ];
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        if GONE.contains(&errno) {
            Self::Retry
        } else if BROKEN.contains(&errno) {
            Self::Fatal
        } else {
            Self::Pause
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_consequence() {
        let table = [
            (Errno::ECONNABORTED, AcceptFailure::Retry),
            (Errno::EINTR, AcceptFailure::Retry),
            (Errno::EMFILE, AcceptFailure::Pause),
            (Errno::ENFILE, AcceptFailure::Pause),
            (Errno::ENOBUFS, AcceptFailure::Pause),
            (Errno::ENOMEM, AcceptFailure::Pause),
            (Errno::EBADF, AcceptFailure::Fatal),
            (Errno::EINVAL, AcceptFailure::Fatal),
        ];
        for (errno, consequence) in table {
            assert_eq!(AcceptFailure::of(&errno.into()), consequence, "{errno}");
        }
        let unknown = io::Error::other("something new");
        assert_eq!(AcceptFailure::of(&unknown), AcceptFailure::Pause);
    }
}
