//! The redirect ingress: clients that the kernel has redirected, in a network that the test makes for itself.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use harness::inner_addresses::spellings;
use harness::{Client, Connect, Hand, Program, Scripted, Server, Test, fail};

use crate::support::{Proxy, in_path, program, talk};

/// Set for the run of a test in its own network.
const INSIDE: &str = "STAGE4_OWN_NETWORK";

/// Where the clients want to go.
const TARGET: [&str; 2] = ["10.9.8.7", "fd00:9::7"];
/// The address that only clients have: connections from it are redirected.
const CLIENT: [&str; 2] = ["127.0.0.5", "fd00:9::5"];

/// Raises the network and gives it its addresses; fails where the kernel has no NAT.
const PREPARE: &str = "ip link set lo up &&
ip address add 10.9.8.7/32 dev lo &&
ip -6 address add fd00:9::7/128 dev lo nodad &&
ip -6 address add fd00:9::5/128 dev lo nodad &&
nft 'add table ip probe; add chain ip probe out { type nat hook output priority -100; };
     add rule ip probe out tcp dport 1 redirect to :2; delete table ip probe' &&
exec \"$@\"";

/// Runs a test once more, in a network namespace of its own (`network_namespaces(7)`), and `body` there; a test that is
/// inside already is left alone by the rules of the machine, and its rules leave the machine alone.
#[track_caller]
pub(crate) fn in_an_own_network(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (Some(unshare), Some(_), Some(_)) = (in_path("unshare"), in_path("ip"), in_path("nft"))
    else {
        return;
    };
    let inside = |command: &[&str]| {
        let words = [
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            PREPARE,
            "sh",
        ];
        let program = Program::new(&unshare).args(words).args(command);
        program.env(INSIDE, "1").run()
    };
    let probe = inside(&["true"]);
    if !probe.status.success() {
        return eprintln!(
            "skipped: no network namespace with NAT here: {}",
            probe.stderr
        );
    }
    let tests = std::env::current_exe().unwrap_or_else(|error| fail(error.to_string()));
    let end = inside(&[&tests.to_string_lossy(), "--exact", name, "--nocapture"]);
    if !end.status.success() {
        fail(format!(
            "{}{}",
            String::from_utf8_lossy(&end.stdout),
            end.stderr
        ));
    }
}

/// Adds a rule that redirects what `matches` to the proxy.
#[track_caller]
fn redirect(family: &str, matches: &str, proxy: SocketAddr) {
    let rules = format!(
        "add table {family} test; add chain {family} test out {{ type nat hook output priority -100; }}; \
         add rule {family} test out {matches} tcp dport 1-65535 redirect to :{}",
        proxy.port()
    );
    let added = Command::new("nft").arg(&rules).status();
    harness::ensure(added.is_ok_and(|status| status.success()), rules);
}

/// Starts a proxy for one family: 0 is IPv4, 1 is IPv6.
#[track_caller]
fn proxy(family: usize, arguments: &[&str]) -> Server {
    let listen = ["127.0.0.1:0", "[::1]:0"][family];
    let program = Program::new(program()).args(["--ingress", "redirect", "--listen", listen]);
    program.args(arguments).serve()
}

/// A target that is played by hand.
#[track_caller]
fn hand(family: usize) -> Hand {
    Hand::with(Scripted::options("target").address(at(TARGET[family])))
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 0)
}

/// A client that the rule applies to.
fn client(family: usize) -> Connect {
    Connect::new().from(at(CLIENT[family]))
}

/// The match for the clients of a family.
fn of_clients(family: usize) -> String {
    format!("{} saddr {}", ["ip", "ip6"][family], CLIENT[family])
}

#[test]
fn redirect_a_client_reaches_where_it_wanted_to_go() {
    let _test = Test::begin(
        "The client connects to the target; the kernel leads it here, and remembers where it wanted to go.",
    );
    in_an_own_network(
        "redirect::redirect_a_client_reaches_where_it_wanted_to_go",
        || {
            for family in [0, 1] {
                let (proxy, hand) = (proxy(family, &["--send-proxy", "v1"]), hand(family));
                redirect(["ip", "ip6"][family], &of_clients(family), proxy.addr());
                let client = client(family).to(hand.addr());
                client.send(b"early");
                let upstream = hand.next();
                // The target learns which address the client knows, not ours.
                let (from, to) = (client.local(), hand.addr());
                let line = format!(
                    "PROXY TCP{} {} {} {} {}\r\nearly",
                    ["4", "6"][family],
                    from.ip(),
                    to.ip(),
                    from.port(),
                    to.port()
                );
                upstream.expect(line.as_bytes());
                talk(&client, &upstream);
                client.half_close();
                upstream.expect_eof();
            }
        },
    );
}

#[test]
fn redirect_a_header_of_the_proxy_protocol_may_come_first() {
    let _test =
        Test::begin("The header says who the client is, and the kernel where it wanted to go.");
    in_an_own_network(
        "redirect::redirect_a_header_of_the_proxy_protocol_may_come_first",
        || {
            let options = ["--accept-proxy", CLIENT[0], "--clients", "203.0.113.0/24"];
            let (proxy, hand) = (proxy(0, &options), hand(0));
            redirect("ip", &of_clients(0), proxy.addr());
            let balancer = client(0).to(hand.addr());
            balancer.send(b"PROXY TCP4 203.0.113.7 198.51.100.1 50312 443\r\nearly");
            let upstream = hand.next();
            upstream.expect(b"early");
            talk(&balancer, &upstream);
        },
    );
}

#[test]
fn redirect_a_client_that_came_directly_is_refused() {
    let _test = Test::begin(
        "Its destination is the listener itself: a proxy that dialled it would meet itself again and again.",
    );
    let proxy = Proxy::choosing("redirect", &[]);
    Client::connect(proxy.addr()).expect_reset();
    let line = proxy.wait_for_stderr("no rule of the firewall");
    assert!(line.contains("redirect["), "{line}");
    assert_eq!(proxy.routes().totals["sessions_total"], 1, "no loop");
}

#[test]
fn redirect_a_direct_client_is_refused_where_connections_are_tracked() {
    let _test = Test::begin(
        "With a rule for others, the kernel tracks this connection, too, and names our own address.",
    );
    in_an_own_network(
        "redirect::redirect_a_direct_client_is_refused_where_connections_are_tracked",
        || {
            for family in [0, 1] {
                let (proxy, hand) = (proxy(family, &[]), hand(family));
                redirect(["ip", "ip6"][family], &of_clients(family), proxy.addr());
                for _ in 0..3 {
                    Client::connect(proxy.addr()).expect_reset();
                }
                proxy.wait_for_stderr("no rule of the firewall");
                assert_eq!(
                    hand.accepts(),
                    0,
                    "connections that the upstream has accepted"
                );
            }
        },
    );
}

#[test]
fn redirect_the_access_rules_hold() {
    let _test =
        Test::begin("The client chooses, so its destination is judged like that of any other.");
    in_an_own_network("redirect::redirect_the_access_rules_hold", || {
        for family in [0, 1] {
            let (proxy, hand) = (proxy(family, &["--deny", TARGET[family]]), hand(family));
            redirect(["ip", "ip6"][family], &of_clients(family), proxy.addr());
            client(family).to(hand.addr()).expect_reset();
            proxy.wait_for_stderr("--deny");
            assert_eq!(
                hand.accepts(),
                0,
                "connections that the upstream has accepted"
            );
        }
    });
}

/// More inner addresses than the spellings have: of metadata services, of loopback, and one that the kernel takes for
/// loopback.
const MORE: [&str; 9] = [
    "127.0.0.2",
    "127.255.255.254",
    "0.0.0.0",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "::1",
    "64:ff9b::a9fe:a9fe",
];

/// The inner addresses of a family. A mapped one is none of IPv6: the kernel connects it with IPv4.
fn inner(family: usize) -> BTreeSet<IpAddr> {
    let hosts = spellings().map(|spelling| spelling.host).chain(MORE);
    let addresses = hosts.filter_map(|host| host.parse::<IpAddr>().ok());
    let is_of = |address: &IpAddr| match address {
        IpAddr::V4(_) => family == 0,
        IpAddr::V6(address) => family == 1 && address.to_ipv4_mapped().is_none(),
    };
    addresses.filter(is_of).collect()
}

#[test]
fn redirect_no_inner_address_is_reached() {
    let _test = Test::begin("Who sets the destination of a packet chooses: judge it by the rules.");
    in_an_own_network("redirect::redirect_no_inner_address_is_reached", || {
        for family in [0, 1] {
            // Every address is one of this machine, so that the target would get whatever is dialled.
            let add = ["-4", "-6"][family];
            let words = [add, "route", "add", "local", "default", "dev", "lo"];
            let routed = Command::new("ip").args(words).status();
            harness::ensure(routed.is_ok_and(|status| status.success()), "a route");
            let any = Scripted::options("target").address(at(["0.0.0.0", "::"][family]));
            let hand = Hand::with(any);
            let port = hand.addr().port();
            let allowed = format!("public,{}", TARGET[family]);
            let proxy = proxy(family, &["--allow", &allowed]);
            redirect(["ip", "ip6"][family], &of_clients(family), proxy.addr());
            let mut asked = 0;
            for address in inner(family) {
                asked += usize::from(is_refused(family, (address, port).into()));
            }
            assert!(asked >= [12, 8][family], "{asked} addresses");
            client(family).to(proxy.addr()).expect_reset();
            proxy.wait_for_stderr("not allowed");
            assert_eq!(hand.accepts(), 0, "none is dialled");
            let target: IpAddr = TARGET[family].parse().expect("an address");
            let client = client(family).to((target, port).into());
            talk(&client, &hand.next());
        }
    });
}

/// Checks that a client is reset; returns whether the kernel has a way to the address at all.
#[track_caller]
fn is_refused(family: usize, address: SocketAddr) -> bool {
    let unroutable = [ErrorKind::NetworkUnreachable, ErrorKind::InvalidInput];
    match client(family).try_to(address) {
        Err(error) if unroutable.contains(&error.kind()) => false,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => false,
        _ => {
            client(family).to(address).expect_reset();
            true
        }
    }
}

#[test]
fn redirect_a_rule_that_catches_the_proxy_itself_makes_no_loop() {
    let _test = Test::begin(
        "The proxy knows the connections that it has begun, and says which exception the rule lacks.",
    );
    in_an_own_network(
        "redirect::redirect_a_rule_that_catches_the_proxy_itself_makes_no_loop",
        || {
            for family in [0, 1] {
                let options = ["--inspect", "0", "--threads", "2"];
                let (proxy, hand) = (proxy(family, &options), hand(family));
                let matches = format!("{} daddr {}", ["ip", "ip6"][family], TARGET[family]);
                redirect(["ip", "ip6"][family], &matches, proxy.addr());
                for _ in 0..10 {
                    client(family).to(hand.addr()).expect_reset();
                }
                proxy.wait_for_stderr("meta skuid");
                let routes = harness::Inspector::of(&proxy).body("/routes.json");
                assert!(
                    routes.contains("\"sessions_total\":20"),
                    "one round each: {routes}"
                );
                assert_eq!(
                    hand.accepts(),
                    0,
                    "connections that the upstream has accepted"
                );
            }
        },
    );
}

#[test]
fn redirect_flags_that_cannot_be_are_told_why() {
    let _test =
        Test::begin("It is a choosing ingress, so on an address of the network it needs --allow.");
    let table: [(&[&str], &str); 3] = [
        (&["--listen", "0.0.0.0:0"], "--allow"),
        (&["--listen", "unix:a"], "Unix socket"),
        (&["--udp"], "--udp"),
    ];
    for (arguments, words) in table {
        let program = Program::new(program()).args(["--ingress", "redirect"]);
        let end = program.args(arguments).run();
        end.expect_code(2);
        assert!(end.stderr.contains(words), "{}", end.stderr);
    }
}
