//! Threads that look names up, because getaddrinfo(3) blocks and the event loop must not.
//!
//! ```text
//!   worker --- Question{target, token} ---> queue ---> thread: getaddrinfo
//!     ^                                                   |
//!     +-------- mailbox: Resolved(token, addresses) ------+
//! ```
//!
//! The answer carries the token of the client that asked. When that client has gone meanwhile,
//! the token is stale and the answer reaches nobody.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use stage2_client::{Prefer, Target, resolve};

use crate::connect_error::ConnectError;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Message};
use crate::token::Token;

/// Looks one target up; may block. Tests put their own in the place of getaddrinfo(3).
pub type Lookup = Arc<dyn Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Returns the lookup of the system, which prefers one family of addresses.
#[must_use]
pub fn system_lookup(prefer: Prefer) -> Lookup {
    Arc::new(move |target| resolve(target, prefer))
}

/// A bounded queue of questions and the threads that answer them.
#[derive(Clone)]
pub(crate) struct Resolver {
    questions: SyncSender<Question>,
}

struct Question {
    target: Arc<Target>,
    token: Token,
    reply_to: Mailbox,
}

impl Resolver {
    /// Starts the threads; each ends by itself when the last clone of the resolver is gone.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub(crate) fn start(limits: &Limits, lookup: &Lookup) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(limits.resolver_queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..limits.resolver_threads {
            let (receiver, lookup) = (Arc::clone(&receiver), Arc::clone(lookup));
            thread::Builder::new()
                .name(format!("resolver-{number}"))
                .spawn(move || answer_questions(&receiver, &lookup))?;
        }
        Ok(Self { questions: sender })
    }

    /// Asks for the addresses of a target; the answer comes to `reply_to`.
    ///
    /// # Errors
    ///
    /// When as many names wait already as may.
    pub(crate) fn ask(
        &self,
        target: &Arc<Target>,
        token: Token,
        reply_to: &Mailbox,
    ) -> Result<(), ConnectError> {
        let question = Question {
            target: Arc::clone(target),
            token,
            reply_to: reply_to.clone(),
        };
        self.questions.try_send(question).map_err(|error| {
            let why = match error {
                TrySendError::Full(_) => "too many names are being resolved",
                TrySendError::Disconnected(_) => "the resolver has stopped",
            };
            ConnectError::Resolve(io::Error::other(why))
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

fn answer_questions(questions: &Mutex<Receiver<Question>>, lookup: &Lookup) {
    loop {
        // The lock is held while waiting, and released before the slow part.
        let next = questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(Question {
            target,
            token,
            reply_to,
        }) = next
        else {
            return;
        };
        let answer = match lookup(&target) {
            Ok(addresses) if addresses.is_empty() => Err(ConnectError::Resolve(io::Error::other(
                "the name has no address",
            ))),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(ConnectError::Resolve(error)),
        };
        reply_to.send(Message::Resolved(token, answer));
    }
}
