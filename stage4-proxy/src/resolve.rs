//! Threads that look names up, because getaddrinfo(3) blocks and the event loop must not.
//!
//! ```text
//!   worker --- Question{target, token} ---> queue ---> thread: getaddrinfo
//!     ^                                                   |
//!     +-------- mailbox: Resolved(token, addresses) ------+
//! ```
//!
//! The answer carries the token of the client that asked. If that client has left in the meantime,
//! its token is stale and the worker drops the answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use stage1_server::cli::cannot;
use stage2_client::{Prefer, Target, resolve};

use crate::connect_error::ConnectError;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Message};
use crate::token::Token;

/// The way from a target to its addresses; a test puts its own in the place of getaddrinfo(3).
#[derive(Clone)]
pub struct Lookup(Arc<LookupFn>);

type LookupFn = dyn Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Lookup {
    /// Creates a lookup that asks the system, and prefers one family of addresses.
    #[must_use]
    pub fn system(prefer: Prefer) -> Self {
        Self::new(move |target| resolve(target, prefer))
    }

    /// Creates a lookup that calls a function.
    ///
    /// The function may block. It is called from several threads at once.
    #[must_use]
    pub fn new(
        look_up: impl Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look_up))
    }

    /// Looks a target up, and blocks until there is an answer.
    ///
    /// # Errors
    ///
    /// Fails if the name is not known or the system's resolver cannot be asked.
    pub fn resolve(&self, target: &Target) -> io::Result<Vec<SocketAddr>> {
        (self.0)(target)
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// A bounded queue of questions and the threads that answer them.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    questions: SyncSender<Question>,
}

struct Question {
    target: Arc<Target>,
    token: Token,
    reply_to: Mailbox,
}

impl Resolver {
    /// Starts the threads; each ends by itself when the last clone of the resolver is dropped.
    ///
    /// # Errors
    ///
    /// Fails if a thread cannot be started.
    pub(crate) fn start(limits: &Limits, lookup: &Lookup) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(limits.resolver_queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..limits.resolver_threads {
            let (receiver, lookup) = (Arc::clone(&receiver), lookup.clone());
            thread::Builder::new()
                .name(format!("resolver-{number}"))
                .spawn(move || answer_questions(&receiver, &lookup))
                .map_err(cannot("start a thread that resolves names"))?;
        }
        Ok(Self { questions: sender })
    }

    /// Asks for the addresses of a target; the answer is sent to `reply_to`.
    ///
    /// # Errors
    ///
    /// Fails if `resolver_queue` questions are pending already: the loop must not block here.
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

fn answer_questions(questions: &Mutex<Receiver<Question>>, lookup: &Lookup) {
    loop {
        // One idle thread holds the lock while it waits. It is released at the end of this
        // statement, so the next thread can wait while this one looks the name up.
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
        let answer = match lookup.resolve(&target) {
            Ok(addresses) if addresses.is_empty() => Err(ConnectError::Resolve(io::Error::other(
                "the name has no address",
            ))),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(ConnectError::Resolve(error)),
        };
        reply_to.send(Message::Resolved(token, answer));
    }
}
