//! Sessions and errors in one line of text, for the log and the inspector.

use std::error::Error;
use std::fmt;

use crate::address::unix_text;
use crate::endpoint::Endpoint;
use crate::inspect::Described;
use crate::session::Session;

/// Writes a session as `fixed[127.0.0.1:50312 -> localhost:3000]`, and its user, if there is one, as
/// `socks5[alice@127.0.0.1:50312 -> localhost:3000]`.
pub(super) struct Description<'a>(pub(super) &'a str, pub(super) &'a Session);

impl fmt::Display for Description<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ingress, session) = self;
        write!(formatter, "{ingress}[")?;
        let granted = session.granted.as_ref();
        if let Some(user) = granted.and_then(|granted| granted.user.as_ref()) {
            write!(formatter, "{user}@")?;
        }
        write!(formatter, "{} -> ", session.client.peer_addr())?;
        write!(formatter, "{}]", asked(session).as_deref().unwrap_or("?"))
    }
}

/// Returns the target of a session as it was asked for, once it is known.
pub(super) fn asked(session: &Session) -> Option<String> {
    let target = session.target.as_ref().map(ToString::to_string);
    target.or_else(|| session.facts.unix_path().map(unix_text))
}

/// Returns the address that was dialled for a session: its upstream's, or the last one tried.
pub(super) fn dialled(session: &Session) -> Option<Described> {
    let shown = session.shown_upstream().map(Endpoint::peer_addr);
    shown.or(session.facts.last_tried()).map(Described)
}

/// Writes an error and all its sources in one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::connect_error::ConnectError;
    use crate::session::Reason;

    #[test]
    fn a_sentence_names_every_cause() {
        let cause = io::Error::other("no such host");
        let reason = Reason::Unreached(ConnectError::Resolve(cause));
        let sentence = Chain(&reason).to_string();
        assert_eq!(
            sentence,
            "cannot connect: name resolution failed: no such host"
        );
    }
}
