//! How the stream of an application has ended, as far as its socket cannot say that.

use std::io;
use std::sync::OnceLock;

use stage4_proxy::chain::Status;

/// What the worker tells an application before it closes the other end of the application's socket.
///
/// A Unix socket ends alike if its peer has finished and if it has broken off; so the application looks here.
#[derive(Debug, Default)]
pub(in crate::tunnel) struct Ending(OnceLock<End>);

#[derive(Debug)]
enum End {
    /// The far end has sent everything.
    Finished,
    /// The stream was never connected.
    Refused { status: Status, sentence: String },
}

impl Ending {
    /// Notes that the far end has sent everything.
    pub(in crate::tunnel) fn finish(&self) {
        // The first ending counts, and there is no other in order.
        let _ = self.0.set(End::Finished);
    }

    /// Notes that the stream is not connected, for this reason.
    pub(in crate::tunnel) fn refuse(&self, status: Status, sentence: String) {
        let _ = self.0.set(End::Refused { status, sentence });
    }

    /// Returns whether the far end has sent everything.
    pub(super) fn has_finished(&self) -> bool {
        matches!(self.0.get(), Some(End::Finished))
    }

    /// Returns why the stream was refused, if it was.
    pub(super) fn refusal(&self) -> Option<io::Error> {
        match self.0.get()? {
            End::Finished => None,
            End::Refused { status, sentence } => {
                Some(io::Error::new(kind(*status), sentence.clone()))
            }
        }
    }
}

/// Returns the kind of error that a connect(2) of the application's own would have failed with, as far as there is one.
fn kind(status: Status) -> io::ErrorKind {
    match status {
        Status::Resolve => io::ErrorKind::NotFound,
        Status::Refused => io::ErrorKind::ConnectionRefused,
        Status::TimedOut => io::ErrorKind::TimedOut,
        Status::Unreachable => io::ErrorKind::HostUnreachable,
        Status::NotAllowed => io::ErrorKind::PermissionDenied,
        Status::Malformed => io::ErrorKind::InvalidInput,
        Status::LimitReached => io::ErrorKind::ResourceBusy,
        Status::Ok | Status::Other => io::ErrorKind::ConnectionReset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_kind_of_its_own() {
        let mut kinds = Vec::new();
        for status in [1, 2, 3, 4, 5, 6, 7, 255].map(Status::of) {
            let ending = Ending::default();
            ending.refuse(status, status.to_string());
            let error = ending.refusal().unwrap();
            assert_eq!(error.to_string(), status.to_string());
            assert!(!kinds.contains(&error.kind()), "{status}");
            kinds.push(error.kind());
        }
    }

    #[test]
    fn the_first_ending_counts() {
        let ending = Ending::default();
        assert!(!ending.has_finished() && ending.refusal().is_none());
        ending.finish();
        ending.refuse(Status::Other, "too late".to_owned());
        assert!(ending.has_finished() && ending.refusal().is_none());
    }
}
