//! The threads around the cache of names.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use stage1_server::cli::cannot;
use stage2_client::{Host, Target};

use crate::connect_error::ConnectError;
use crate::inspect::Section;
use crate::resolve::cache::{Asked, Counts, Found, NameCache};
use crate::resolve::limits::ResolverLimits;
use crate::resolve::lookup::Lookup;
use crate::resolve::section::section;

/// The addresses of a target, in the order in which to try them, or the reason why there are none.
pub type Answer = Result<Vec<SocketAddr>, ConnectError>;

/// Where the addresses to dial come from.
#[derive(Debug)]
pub enum Resolution {
    /// Nothing has to be looked up: dial these addresses.
    Known(Vec<SocketAddr>),
    /// A thread looks the name up; its answer is delivered unless the ticket is dropped before.
    Asked(Ticket),
}

/// Looks names up on threads, and keeps the answers for a while; clones share both.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Owner>);

/// A client's place among those that wait for a name; to drop it is to leave.
///
/// An answer that is on its way already may still be delivered after that.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    name: Arc<Target>,
    number: u64,
}

/// Ends the threads when the last clone of the resolver is dropped.
#[derive(Debug)]
struct Owner(Arc<Shared>);

/// The memory that workers and threads share.
struct Shared {
    names: Mutex<Names>,
    /// Wakes a thread: a name was queued, or the end has come.
    changed: Condvar,
}

struct Names {
    cache: NameCache<Deliver>,
    stopped: bool,
}

type Deliver = Box<dyn FnOnce(Answer) + Send>;

impl Resolver {
    /// Starts the threads; each ends by itself once the last clone of the resolver is dropped, or at
    /// the end of its lookup. Nothing waits for them, because a lookup may take long.
    ///
    /// # Errors
    ///
    /// Fails if a thread cannot be started.
    pub fn start(limits: &ResolverLimits, lookup: &Lookup) -> io::Result<Self> {
        let names = Names {
            cache: NameCache::new(limits.clone()),
            stopped: false,
        };
        let shared = Arc::new(Shared {
            names: Mutex::new(names),
            changed: Condvar::new(),
        });
        let resolver = Self(Arc::new(Owner(Arc::clone(&shared))));
        for number in 0..limits.threads.max(1) {
            let (shared, lookup) = (Arc::clone(&shared), lookup.clone());
            thread::Builder::new()
                .name(format!("resolver-{number}"))
                .spawn(move || look_names_up(&shared, &lookup))
                .map_err(cannot("start a thread that resolves names"))?;
        }
        Ok(resolver)
    }

    /// Returns the addresses of a target if they are known, and otherwise has a thread look them up.
    ///
    /// This never blocks. `deliver` gets the answer of a thread, on that thread, and should return
    /// soon: it is called at most once, and not at all if the ticket is dropped before.
    ///
    /// # Errors
    ///
    /// Fails if a lookup has just failed, with the reason that it had, or if too many names are being
    /// looked up already.
    pub fn resolve(
        &self,
        target: &Arc<Target>,
        now: Instant,
        deliver: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Resolution, ConnectError> {
        if let Host::Address(address) = target.host {
            return Ok(Resolution::Known(vec![(address, target.port).into()]));
        }
        let name = in_lower_case(target);
        let shared = &self.0.0;
        match shared.ask(&name, deliver, now) {
            Asked::Known(found) => answer(found).map(Resolution::Known),
            Asked::Waits(number) => Ok(Resolution::Asked(Ticket {
                shared: Arc::clone(shared),
                name,
                number,
            })),
            Asked::Full => Err(no_answer("too many names are being resolved")),
        }
    }

    /// Notes that none of the addresses of a target could be reached, so that its name is looked up
    /// again soon: it may have moved.
    pub fn distrust(&self, target: &Arc<Target>, now: Instant) {
        let name = in_lower_case(target);
        self.0.0.lock().cache.distrust(&name, now);
    }

    /// Returns how names were resolved since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.0.lock().cache.counts()
    }

    /// Returns the section of the inspector that shows these counters.
    #[must_use]
    pub fn section(&self) -> Section {
        section(self.counts())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let left = self.shared.lock().cache.leave(&self.name, self.number);
        // Only now, without the lock: a closure may own anything.
        drop(left);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(
        &self,
        name: &Arc<Target>,
        deliver: impl FnOnce(Answer) + Send + 'static,
        now: Instant,
    ) -> Asked {
        let asked = self.lock().cache.ask(name, || Box::new(deliver), now);
        if let Asked::Waits(_) = asked {
            self.changed.notify_one();
        }
        asked
    }

    /// Waits for a name that has to be looked up; returns `None` at the end.
    fn next_lookup(&self) -> Option<Arc<Target>> {
        let mut names = self.lock();
        loop {
            if names.stopped {
                return None;
            }
            if let Some(name) = names.cache.next_lookup() {
                return Some(name);
            }
            let woken = self.changed.wait(names);
            names = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn look_names_up(shared: &Shared, lookup: &Lookup) {
    while let Some(name) = shared.next_lookup() {
        let found = match lookup.resolve(&name) {
            Ok(addresses) if addresses.is_empty() => {
                Err(Arc::new(io::Error::other("the name has no address")))
            }
            found => found.map_err(Arc::new),
        };
        let answered = shared.lock().cache.answered(&name, &found, Instant::now());
        for deliver in answered {
            deliver(answer(found.clone()));
        }
    }
}

/// Returns one client's copy of an answer; a failure keeps its kind and its words.
fn answer(found: Found) -> Answer {
    found.map_err(|error| ConnectError::Resolve(io::Error::new(error.kind(), error)))
}

fn no_answer(why: &str) -> ConnectError {
    ConnectError::Resolve(io::Error::other(why))
}

/// Returns the target with its name in lower case, because the case of a name means nothing (RFC
/// 1035 section 2.3.3): otherwise each spelling would cost a lookup.
fn in_lower_case(target: &Arc<Target>) -> Arc<Target> {
    match &target.host {
        // Behind a % is the name of an interface, whose case counts.
        Host::Name(name)
            if !name.contains('%') && name.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            let host = Host::Name(name.to_ascii_lowercase());
            Arc::new(Target { host, ..**target })
        }
        Host::Name(_) | Host::Address(_) => Arc::clone(target),
    }
}
