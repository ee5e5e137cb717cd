//! The egress without hops: resolve the target, dial its addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use stage1_server::Keepalive;
use stage2_client::{Host, Target, start_connect};

use crate::access::Access;
use crate::connect_error::ConnectError;
use crate::egress::Resolution;
use crate::endpoint::Endpoint;
use crate::mailbox::Mailbox;
use crate::resolve::Resolver;
use crate::token::Token;

/// Connects straight to each target.
#[derive(Debug)]
pub(crate) struct Direct {
    resolver: Resolver,
    access: Access,
    keepalive: Option<Keepalive>,
}

impl Direct {
    /// Creates the egress that dials what `access` allows.
    pub(crate) fn new(resolver: Resolver, access: Access, keepalive: Option<Keepalive>) -> Self {
        Self {
            resolver,
            access,
            keepalive,
        }
    }

    /// Asks for the target's addresses on another thread, if the target is a name.
    ///
    /// # Errors
    ///
    /// Fails if too many names are being resolved.
    pub(crate) fn resolve(
        &self,
        target: &Arc<Target>,
        token: Token,
        reply_to: &Mailbox,
    ) -> Result<Resolution, ConnectError> {
        match target.host {
            Host::Address(address) => Ok(Resolution::Known((address, target.port).into())),
            Host::Name(_) => {
                self.resolver.ask(target, token, reply_to)?;
                Ok(Resolution::Asked)
            }
        }
    }

    /// Checks the address, then begins a non-blocking connect(2).
    ///
    /// `TCP_NODELAY` is on, as on the client's side, because a relay passes small messages on at once
    /// and must not wait for an acknowledgement of the one before (`tcp(7)`).
    ///
    /// # Errors
    ///
    /// Fails if a rule forbids the address, or if connect(2) fails at once.
    pub(crate) fn dial(&self, address: SocketAddr) -> Result<Endpoint, ConnectError> {
        self.access.check(address).map_err(ConnectError::Denied)?;
        let socket = start_connect(address)?;
        socket.set_tcp_nodelay(true)?;
        // A client's socket has inherited this from its listener; a socket that connects inherits nothing.
        if let Some(keepalive) = self.keepalive {
            keepalive.set_on(&socket)?;
        }
        Ok(Endpoint::connecting(socket, address))
    }
}
