//! The access rules in a running proxy: judged on each address, before each connect.

use super::*;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::resolve::ResolverLimits;

/// A proxy whose clients choose, and all choose `example:80`.
fn choosing(allow: &[&str], lookup: Lookup, limits: Limits) -> Running {
    let allow: Vec<_> = allow.iter().map(|rule| rule.parse().unwrap()).collect();
    Running::from(&Config {
        listen: anywhere().into(),
        ingress: Arc::new(by_name()),
        access: Policy::for_choosing(None, &allow, &[], &[]).unwrap(),
        proxy_protocol: ProxyProtocol::default(),
        chain: Vec::new(),
        lookup,
        threads: 1,
        udp: false,
        limits,
        inspect: None,
    })
}

#[test]
fn a_name_rule_opens_no_inner_address() {
    let echo = Scripted::echo();
    let connected = Gate::new("the client is connected");
    let lookup = answering_behind(&connected, answering(vec![echo.addr()]));
    let proxy = choosing(&["public", "example"], lookup, Limits::default());
    let client = proxy.client();
    connected.open();
    client.expect_reset();
    assert_eq!((proxy.totals().failures.denied, echo.accepts()), (1, 0));
}

#[test]
fn each_address_of_a_name_is_judged() {
    let (denied, allowed) = (Scripted::echo(), Scripted::echo());
    let rule = allowed.addr().to_string();
    let lookup = answering(vec![denied.addr(), allowed.addr()]);
    let proxy = choosing(&[&rule], lookup, Limits::default());
    assert_echoes(&proxy.client());
    assert_eq!((denied.accepts(), allowed.accepts()), (0, 1));
}

#[test]
fn a_resolver_that_answers_differently_the_second_time_gets_nowhere() {
    let (first, second) = (Scripted::echo(), Scripted::echo());
    let answers = [first.addr(), second.addr()];
    let asked = AtomicUsize::new(0);
    let connected = [
        Gate::new("the first client"),
        Gate::new("the second client"),
    ];
    let gates = connected.clone();
    let lookup = Lookup::new(move |_| {
        let number = asked.fetch_add(1, Ordering::SeqCst).min(1);
        gates[number].wait();
        Ok(vec![answers[number]])
    });
    let resolver = ResolverLimits {
        lifetime: Duration::ZERO,
        ..ResolverLimits::default()
    };
    let limits = Limits {
        resolver,
        ..Limits::default()
    };
    let proxy = choosing(&[&first.addr_text()], lookup, limits);
    connected[0].open();
    assert_echoes(&proxy.client());
    let client = proxy.client();
    connected[1].open();
    client.expect_reset();
    assert_eq!((proxy.totals().failures.denied, second.accepts()), (1, 0));
}

/// Returns an address of this machine that is not loopback, if it has one.
fn of_this_machine() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // A datagram socket sends nothing when it connects.
    socket.connect("198.51.100.1:9").ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(address) => Some(*address.ip()).filter(|ip| !ip.is_loopback()),
        SocketAddr::V6(_) => None,
    }
}

#[test]
fn a_listener_on_every_address_does_not_connect_to_itself() {
    let Some(own) = of_this_machine() else {
        eprintln!("skipped: this machine has loopback addresses only");
        return;
    };
    let target = Arc::new(OnceLock::new());
    let connected = Gate::new("the client is connected");
    let (answer, gate) = (Arc::clone(&target), connected.clone());
    let lookup = Lookup::new(move |_| {
        gate.wait();
        Ok(answer.get().copied().into_iter().collect())
    });
    let proxy = Running::from(&Config {
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into(),
        ingress: Arc::new(by_name()),
        access: Policy::for_fixed(&[]),
        proxy_protocol: ProxyProtocol::default(),
        chain: Vec::new(),
        lookup,
        threads: 1,
        udp: false,
        limits: Limits::default(),
        inspect: None,
    });
    let port = proxy.proxy().local_addr().port();
    target.set((own, port).into()).unwrap();
    let client = Peer::connect((Ipv4Addr::LOCALHOST, port).into());
    connected.open();
    client.expect_reset();
    let totals = proxy.totals();
    assert_eq!((totals.failures.denied, totals.sessions_total), (1, 1));
}
