//! The clients that may come, by their addresses.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::access::class::Class;
use crate::access::network::NetworkError;
use crate::access::scope::Scope;

/// The addresses that clients may come from, as `--clients` takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients(Option<Arc<[Scope]>>);

/// One entry of `--clients`: a word, an address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientScope(pub Scope);

/// Why a text is not a [`ClientScope`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; clients are any, loopback, private, public, ADDRESS or CIDR: 192.168.1.0/24, 2001:db8::/32"
)]
pub struct ClientScopeError(NetworkError);

impl Clients {
    /// Creates the list without a limit.
    #[must_use]
    pub fn any() -> Self {
        Self(None)
    }

    /// Creates the list of these addresses; an empty list admits no client.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        let is_limited = !scopes.contains(&Scope::Any);
        Self(is_limited.then(|| scopes.into()))
    }

    /// Returns whether a client at this address may come.
    ///
    /// The address is taken as it stands: one that only embeds a private IPv4 address is not private, because
    /// the internet routes it.
    #[must_use]
    pub fn contains(&self, client: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|scopes| {
            let client = client.to_canonical();
            let class = Class::of(client);
            scopes.iter().any(|scope| scope.contains(client, class))
        })
    }

    /// Creates the list of the addresses that are in this one or in the other.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let both = self.0.as_ref().zip(other.0.as_ref());
        Self(both.map(|(own, other)| own.iter().chain(other.iter()).copied().collect()))
    }

    /// Returns whether the list has no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(|scopes| scopes.is_empty())
    }
}

impl FromStr for ClientScope {
    type Err = ClientScopeError;

    /// Parses one entry.
    ///
    /// # Errors
    ///
    /// Fails if the text is neither a word nor a network.
    fn from_str(text: &str) -> Result<Self, ClientScopeError> {
        text.trim().parse().map(Self).map_err(ClientScopeError)
    }
}
