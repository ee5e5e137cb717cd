//! Denials: why an address is not dialled, as the log says it.

use std::sync::Arc;

use crate::access::class::Class;
use crate::access::rule::Rule;

/// The rule that forbids an address: for the log, never for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Every session would open another one, until no row is left.
    #[error("the proxy would connect to itself")]
    OwnListener,
    /// A rule of `--deny` forbids it, whatever `--allow` says.
    #[error("the rule {0} of --deny forbids it")]
    Rule(Arc<Rule>),
    /// No rule of `--allow` opens it.
    #[error("no rule of --allow opens this {0} address")]
    NotAllowed(Class),
    /// It is reached only if a rule names it.
    #[error("this {0} address is reached only if a rule of --allow has the address or its network")]
    NotNamed(Class),
    /// Port 25 is reached only if a rule names it.
    #[error(
        "port 25 is reached only if a rule of --allow has this port, because a proxy must not send mail for others"
    )]
    Mail,
}
