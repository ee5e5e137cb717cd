//! The flags of the access rules, for the command line of every program that needs them.

use std::net::SocketAddr;

use clap::Args;

use crate::access::clients::ClientScope;
use crate::access::policy::{Policy, PolicyError};
use crate::access::rule::Rule;
use crate::access::scope::Scope;

/// `--allow`, `--deny` and `--clients`.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct AccessFlags {
    /// Where clients that choose their targets may go: public, private, loopback, any, ADDRESS, CIDR,
    /// NAME or *.NAME, each with :PORT for one port, as in 10.1.0.0/16:443 or [2001:db8::/32]:443
    ///
    /// Judged on the address of each connect; a name opens its public addresses only. Link-local, metadata,
    /// unspecified and multicast addresses have to be allowed by an address or a CIDR within their range, port
    /// 25 by a rule with :25. [default on a loopback address:
    /// public,private,loopback; on any other, the flag is needed]
    #[arg(long, value_name = "RULE,...", value_delimiter = ',')]
    allow: Vec<Rule>,

    /// Where clients that choose their targets may not go, whatever --allow says; the same rules
    #[arg(long, value_name = "RULE,...", value_delimiter = ',')]
    deny: Vec<Rule>,

    /// Where clients may come from: any, loopback, private, public, ADDRESS or CIDR; others are reset
    /// [default: any if all go to --upstream, loopback,private if they choose]
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',')]
    clients: Vec<ClientScope>,
}

impl AccessFlags {
    /// Makes the policy of an ingress whose target the operator has named.
    ///
    /// # Errors
    ///
    /// Fails if there are rules for targets, because they would never be asked.
    pub fn for_fixed(&self) -> Result<Policy, PolicyError> {
        if !self.allow.is_empty() || !self.deny.is_empty() {
            return Err(PolicyError::NothingToChoose);
        }
        Ok(Policy::for_fixed(&self.scopes()))
    }

    /// Makes the policy of an ingress whose clients choose; see [`Policy::for_choosing`].
    ///
    /// # Errors
    ///
    /// Fails if other machines can come in and no rule says where they may go.
    pub fn for_choosing(&self, listen: Option<SocketAddr>) -> Result<Policy, PolicyError> {
        Policy::for_choosing(listen, &self.allow, &self.deny, &self.scopes())
    }

    /// Makes the policy of a proxy whose clients choose, and whose last hop dials what they have chosen.
    ///
    /// # Errors
    ///
    /// Fails if there are rules for targets, because only the last hop knows their addresses.
    pub fn for_chain(&self) -> Result<Policy, PolicyError> {
        if !self.allow.is_empty() || !self.deny.is_empty() {
            return Err(PolicyError::LastHopDials);
        }
        Ok(Policy::for_chain(&self.scopes()))
    }

    /// Returns whether the operator has said which clients may come.
    #[must_use]
    pub fn name_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    fn scopes(&self) -> Vec<Scope> {
        self.clients.iter().map(|client| client.0).collect()
    }
}
