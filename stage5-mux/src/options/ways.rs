//! The flags that say where clients of a tunnel come in, and where its streams lead.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use stage2_client::Target;
use stage4_proxy::access::{
    AccessFlags, ClientScope, Clients, Policy, PolicyError, Scope, UserFlags, Users, UsersError,
};
use stage4_proxy::address::ListenAddress;
use stage4_proxy::flags::parse_listen_address;
use stage4_proxy::http::proxy_name::ProxyName;
use stage4_proxy::ingress::{Fixed, Http, Ingress, Socks5};
use stage5_mux::tunnel::service::{Ends, WayIn};

/// The name of this end in the messages of HTTP that it passes on.
const NAME: ProxyName = ProxyName::new("stage5-mux");

/// The flags of the client's end.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct WayFlags {
    /// Address to accept clients on, or a name; :PORT is every IPv4 address of this machine, [::]:PORT
    /// every IPv6 address, and port 0 takes a free one. unix:PATH is a Unix socket: the permissions of the file say
    /// which users may connect. May be repeated, with one --ingress for each
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = parse_listen_address)]
    listen: Vec<ListenAddress>,

    /// How the clients of a --listen name their targets, in the same order [default: fixed for all]
    #[arg(long, value_enum)]
    ingress: Vec<IngressName>,

    /// Target of the fixed ingress, which the server dials: NAME:PORT, IPV4:PORT, [IPV6]:PORT or [IPV6%ZONE]:PORT
    /// [default: the server's own --upstream]
    #[arg(long, value_name = "TARGET")]
    upstream: Option<Target>,

    /// Where clients may come from, and the link if this end waits for it: any, loopback, private, public, ADDRESS or
    /// CIDR; others are reset [default: any, or loopback,private if clients choose their targets]
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',')]
    clients: Vec<ClientScope>,

    /// Connections of one client's address at the same time; a further client is closed at once [default: no limit]
    ///
    /// All addresses of an IPv6 /64 count as one client, because one machine may have them all, and so do all programs at a
    /// Unix socket, as 127.0.0.1.
    #[arg(long, value_name = "N")]
    max_per_client: Option<NonZeroU32>,

    #[command(flatten)]
    users: UserFlags,
}

/// The ways to a target that clients have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IngressName {
    /// Every client goes to --upstream, here or at the server
    Fixed,
    /// The client names its target with SOCKS5 (RFC 1928): CONNECT only
    Socks5,
    /// The client names its target as to an HTTP proxy: CONNECT, or a whole URL
    Http,
}

/// The flags of the server's end.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct TargetFlags {
    /// Where all streams lead: NAME:PORT, IPV4:PORT, [IPV6]:PORT or [IPV6%ZONE]:PORT [default: each stream names its
    /// target, as those of a client with --ingress socks5, --ingress http or --upstream do]
    #[arg(long, value_name = "TARGET")]
    upstream: Option<Target>,

    #[command(flatten)]
    access: AccessFlags,
}

/// Why the command line makes no end of a tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    /// Two lists belong together.
    #[error(
        "--listen and --ingress come in pairs: there are {listeners} of --listen and {ingresses} of --ingress"
    )]
    Unpaired {
        /// The number of `--listen`.
        listeners: usize,
        /// The number of `--ingress`.
        ingresses: usize,
    },
    /// The target would never be used.
    #[error("--upstream is the target of --ingress fixed, and there is none")]
    NoFixed,
    /// Other machines could use the far end's network.
    #[error(
        "clients of {0} could reach everything that the server may: say with --clients where they may come from, for \
         example --clients private, or listen on a loopback address"
    )]
    ExposedIngress(SocketAddr),
    /// Other machines could bring the link.
    #[error(
        "a link at {0} is not authenticated: give both ends a --secret-file, say with --clients where it may come from, \
         or listen on a loopback address, and reach it for example over ssh -L"
    )]
    ExposedLink(SocketAddr),
    /// The access rules do not fit.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The peer has no transport, as the sentence says.
    #[error("{0}")]
    Peer(String),
    /// The file of the link's secret cannot be used, as the sentence says.
    #[error("{0}")]
    Secret(String),
    /// There is no list of users.
    #[error(transparent)]
    Users(#[from] UsersError),
}

impl WayFlags {
    /// Returns the client's end, and its users, if it has any; `link` is where it waits for the link, and
    /// `is_authenticated` whether the link proves who has made it.
    ///
    /// # Errors
    ///
    /// Fails if the flags contradict each other, or if other machines could do what the operator has not permitted.
    pub(crate) fn into_ends(
        self,
        link: Option<SocketAddr>,
        is_authenticated: bool,
    ) -> Result<(Ends, Option<Users>), OptionsError> {
        let names = self.names()?;
        self.check_exposure(&names, link, is_authenticated)?;
        let users = match self.choosing(&names).next() {
            Some(_) => self.users.read()?,
            None => {
                self.users.never_asked()?;
                None
            }
        };
        let ways = self.listen.iter().zip(&names);
        let ways = ways.map(|(listen, &name)| WayIn {
            listen: listen.clone(),
            ingress: self.ingress_of(name, users.as_ref()),
        });
        let ends = Ends::Client {
            ways: ways.collect(),
            clients: self.admitted(&names),
        };
        Ok((ends, users))
    }

    /// Returns the name of the ingress of each listener.
    fn names(&self) -> Result<Vec<IngressName>, OptionsError> {
        let (listeners, ingresses) = (self.listen.len(), self.ingress.len());
        let names = match ingresses {
            0 => vec![IngressName::Fixed; listeners],
            _ if ingresses == listeners => self.ingress.clone(),
            _ => {
                return Err(OptionsError::Unpaired {
                    listeners,
                    ingresses,
                });
            }
        };
        if self.upstream.is_some() && !names.contains(&IngressName::Fixed) {
            return Err(OptionsError::NoFixed);
        }
        Ok(names)
    }

    /// Returns the bound on the connections of each client's address.
    pub(crate) fn max_per_client(&self) -> Option<NonZeroU32> {
        self.max_per_client
    }

    /// Iterates over the addresses whose clients choose their targets.
    fn choosing(&self, names: &[IngressName]) -> impl Iterator<Item = &ListenAddress> {
        let ways = self.listen.iter().zip(names);
        ways.filter(|(_, name)| **name != IngressName::Fixed)
            .map(|(listen, _)| listen)
    }

    fn check_exposure(
        &self,
        names: &[IngressName],
        link: Option<SocketAddr>,
        is_authenticated: bool,
    ) -> Result<(), OptionsError> {
        if !self.clients.is_empty() {
            return Ok(());
        }
        let mut choosing = self.choosing(names).filter_map(ListenAddress::socket_addr);
        if let Some(listen) = choosing.find(is_exposed) {
            return Err(OptionsError::ExposedIngress(listen));
        }
        check_link(link, is_authenticated)
    }

    fn ingress_of(&self, name: IngressName, users: Option<&Users>) -> Option<Arc<dyn Ingress>> {
        match name {
            IngressName::Fixed => {
                let upstream = self.upstream.clone()?;
                Some(Arc::new(Fixed::new(upstream)))
            }
            IngressName::Socks5 => Some(Arc::new(Socks5::new(users.cloned()).without_datagrams())),
            IngressName::Http => Some(Arc::new(Http::new(users.cloned()).named(NAME))),
        }
    }

    fn admitted(&self, names: &[IngressName]) -> Clients {
        let scopes: Vec<Scope> = self.clients.iter().map(|client| client.0).collect();
        let policy = match self.choosing(names).next() {
            Some(_) => Policy::for_chain(&scopes),
            None => Policy::for_fixed(&scopes),
        };
        policy.clients().clone()
    }
}

impl TargetFlags {
    /// Returns the server's end; the arguments are those of [`WayFlags::into_ends`].
    ///
    /// # Errors
    ///
    /// Fails if the rules do not fit, or if other machines could do what the operator has not permitted.
    pub(crate) fn into_ends(
        self,
        link: Option<SocketAddr>,
        is_authenticated: bool,
    ) -> Result<Ends, OptionsError> {
        if !self.access.name_clients() {
            check_link(link, is_authenticated)?;
        }
        let access = match &self.upstream {
            Some(_) => self.access.for_fixed()?,
            None => self.access.for_choosing(link)?,
        };
        let upstream = self.upstream;
        Ok(Ends::Server { upstream, access })
    }
}

/// Checks that not every machine can bring the link.
fn check_link(link: Option<SocketAddr>, is_authenticated: bool) -> Result<(), OptionsError> {
    match link.filter(is_exposed) {
        Some(link) if !is_authenticated => Err(OptionsError::ExposedLink(link)),
        Some(_) | None => Ok(()),
    }
}

fn is_exposed(listen: &SocketAddr) -> bool {
    !listen.ip().to_canonical().is_loopback()
}
