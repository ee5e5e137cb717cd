//! Policies: what the operator permits, and what holds if nothing is said.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::class::Class;
use crate::access::clients::Clients;
use crate::access::denial::Denial;
use crate::access::rule::{Dialled, Rule};
use crate::access::scope::Scope;

/// What the operator permits: which clients may come, and where they may go.
///
/// | ingress | clients without `--clients` | targets without `--allow` |
/// |---|---|---|
/// | fixed: the operator names the target | any | the target, at whatever address |
/// | choosing, on a loopback address | loopback, private | public, private, loopback |
/// | choosing, with a chain | loopback, private | judged by the last hop |
/// | choosing, on any other address | loopback, private | none: the program does not start |
#[derive(Clone, Debug)]
pub struct Policy {
    clients: Clients,
    /// `None` where the operator has named the target.
    rules: Option<Arc<Rules>>,
}

#[derive(Debug)]
struct Rules {
    allow: Vec<Rule>,
    deny: Vec<Arc<Rule>>,
}

/// Why flags make no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Other machines can reach the listener, and choose a target that only this machine can.
    #[error(
        "clients of {0} could reach every network of this machine: say with --allow what they may reach, for example --allow public, \
         or listen on a loopback address"
    )]
    AllowMissing(SocketAddr),
    /// The rules would never be asked.
    #[error(
        "--allow and --deny are rules for clients that choose their targets, and those of the fixed ingress all go to --upstream"
    )]
    NothingToChoose,
    /// The rules would be asked about the first hop only.
    #[error(
        "--allow and --deny judge addresses about to be dialled, and with --chain it is the last hop that dials them: give the rules to it"
    )]
    LastHopDials,
}

impl Policy {
    /// Creates the policy of an ingress whose target the operator has named; no `clients` means any.
    #[must_use]
    pub fn for_fixed(clients: &[Scope]) -> Self {
        Self {
            clients: if clients.is_empty() {
                Clients::any()
            } else {
                Clients::of(clients)
            },
            rules: None,
        }
    }

    /// Creates the policy of a proxy whose clients choose, but whose last hop dials; no `clients` means
    /// loopback and private ones.
    #[must_use]
    pub fn for_chain(clients: &[Scope]) -> Self {
        Self {
            clients: Self::of_choosing(clients),
            rules: None,
        }
    }

    fn of_choosing(clients: &[Scope]) -> Clients {
        match clients {
            [] => Clients::of(&[Scope::Loopback, Scope::Private]),
            scopes => Clients::of(scopes),
        }
    }

    /// Creates the policy of an ingress whose clients choose their targets; an empty list means that the
    /// flag was not given.
    ///
    /// `listen` is where clients come in, and `None` means a Unix socket: only this machine's users get there.
    ///
    /// # Errors
    ///
    /// Fails if other machines can come in and no rule says where they may go.
    pub fn for_choosing(
        listen: Option<SocketAddr>,
        allow: &[Rule],
        deny: &[Rule],
        clients: &[Scope],
    ) -> Result<Self, PolicyError> {
        let is_exposed = |listen: &SocketAddr| !listen.ip().to_canonical().is_loopback();
        let allow = match (allow, listen.filter(is_exposed)) {
            ([], Some(listen)) => return Err(PolicyError::AllowMissing(listen)),
            ([], None) => [Scope::Public, Scope::Private, Scope::Loopback]
                .map(Rule::every_port)
                .to_vec(),
            (rules, _) => rules.to_vec(),
        };
        let deny = deny.iter().cloned().map(Arc::new).collect();
        Ok(Self {
            clients: Self::of_choosing(clients),
            rules: Some(Arc::new(Rules { allow, deny })),
        })
    }

    /// Returns the clients that may come.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Returns whether the rules have a say, because clients choose their targets.
    pub(super) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Judges an address by the rules, if there are any.
    pub(super) fn judge(&self, dialled: &Dialled<'_>) -> Result<(), Denial> {
        self.rules
            .as_ref()
            .map_or(Ok(()), |rules| rules.judge(dialled))
    }
}

impl Rules {
    fn judge(&self, dialled: &Dialled<'_>) -> Result<(), Denial> {
        if let Some(rule) = self.deny.iter().find(|rule| rule.matches(dialled)) {
            return Err(Denial::Rule(Arc::clone(rule)));
        }
        if self.allow.iter().any(|rule| rule.opens(dialled)) {
            return Ok(());
        }
        Err(self.why_not(dialled))
    }

    /// Returns what a rule would have needed to open the address.
    fn why_not(&self, dialled: &Dialled<'_>) -> Denial {
        if self
            .allow
            .iter()
            .any(|rule| rule.opens_but_for_smtp(dialled))
        {
            return Denial::Mail;
        }
        match dialled.class {
            class @ Class::Special(_) => Denial::NotNamed(class),
            class @ (Class::Public | Class::Private | Class::Loopback | Class::Reserved) => {
                Denial::NotAllowed(class)
            }
        }
    }
}
