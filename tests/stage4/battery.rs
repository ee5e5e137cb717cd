//! The battery: every spelling of an inner address, through every way in, is refused and not dialled.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use harness::inner_addresses::{Spelling, spellings};
use harness::{Client, Hand, Program, Scripted, Test, strace};

use crate::datagrams::Datagrams;
use crate::support::{Proxy, in_path, program};
use crate::udp_associate::Association;
use crate::{http_ingress, socks5, udp_associate};

/// A way to ask a proxy for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// SOCKS5 with the type of a name.
    SocksName,
    /// SOCKS5 with the type of an IPv4 or IPv6 address.
    SocksAddress,
    /// HTTP CONNECT.
    Connect,
    /// An HTTP request with a whole URL.
    Page,
    /// The chain's request header with the type of a name.
    HopName,
    /// The chain's request header with the type of an address.
    HopAddress,
}

impl Way {
    /// The ways of each ingress.
    const OF: [(&str, [Self; 2]); 3] = [
        ("socks5", [Self::SocksName, Self::SocksAddress]),
        ("http", [Self::Connect, Self::Page]),
        ("hop", [Self::HopName, Self::HopAddress]),
    ];

    /// Asks for a host, and returns the code in the reply; `None` if the host cannot be said in this way.
    #[track_caller]
    pub(crate) fn ask(self, proxy: &Proxy, host: &str, port: u16) -> Option<u16> {
        let address = host.parse::<IpAddr>().ok();
        let target = match address {
            Some(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            Some(IpAddr::V4(_)) | None => format!("{host}:{port}"),
        };
        let by_address = || Some(socks5::request((address?, port).into()));
        let by_name = || Some(socks5::named(host, port));
        match self {
            Self::SocksName => ask_socks5(proxy, by_name()),
            Self::SocksAddress => ask_socks5(proxy, by_address()),
            Self::Connect => Some(http_ingress::status(
                proxy,
                http_ingress::connect_to(target),
            )),
            Self::Page => Some(http_ingress::status(
                proxy,
                format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n"),
            )),
            Self::HopName => ask_hop(proxy, by_name()),
            Self::HopAddress => ask_hop(proxy, by_address()),
        }
    }

    /// Returns the codes that say "not allowed by the rules" and "the name was not found".
    fn refusals(self) -> [u16; 2] {
        match self {
            Self::SocksName | Self::SocksAddress => [2, 4],
            Self::Connect | Self::Page => [403, 502],
            Self::HopName | Self::HopAddress => [5, 1],
        }
    }
}

#[track_caller]
fn ask_socks5(proxy: &Proxy, request: Option<Vec<u8>>) -> Option<u16> {
    let reply = socks5::reply(&socks5::ask(proxy, &request?));
    Some(reply.into())
}

/// Sends a hop's request header, whose address has the form of SOCKS5.
#[track_caller]
fn ask_hop(proxy: &Proxy, request: Option<Vec<u8>>) -> Option<u16> {
    let client = Client::connect(proxy.addr());
    client.send(&[&[1], &request?[3..]].concat());
    Some(client.read_exact(3)[1].into())
}

/// Names are allowed, too, so that the address behind them decides.
const PUBLIC: [&str; 4] = [
    "--allow",
    "public,localhost,*.localhost",
    "--connect-timeout",
    "500ms",
];

/// The spellings, and last those for which a name server is asked, because this may take as long as it likes.
fn numbers_first() -> Vec<Spelling> {
    let mut all: Vec<_> = spellings().collect();
    all.sort_by_key(|spelling| !spelling.is_numeric());
    all
}

/// Asks for every spelling through every way of an ingress.
#[track_caller]
fn none_is_reached_by(ingress: &str) {
    let (proxy, echo) = (Proxy::choosing(ingress, &PUBLIC), Scripted::echo());
    let (_, ways) = Way::OF
        .into_iter()
        .find(|(name, _)| *name == ingress)
        .expect("an ingress");
    let mut asked = 0;
    for spelling in numbers_first() {
        for way in ways {
            let Some(code) = way.ask(&proxy, spelling.host, echo.addr().port()) else {
                continue;
            };
            let [denied, not_found] = way.refusals();
            let is_refused = code == denied || code == not_found && !spelling.is_numeric();
            assert!(
                is_refused,
                "{way:?}: the reply to {} is {code}",
                spelling.host
            );
            asked += 1;
        }
    }
    assert!(asked >= 60, "{asked} spellings");
    assert_eq!(echo.accepts(), 0, "connections that the echo has accepted");
}

/// What each of these tests is about.
const HINT: &str = "Judge the address that is about to be dialled, not the text that names it.";

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_socks5() {
    let _test = Test::begin(HINT);
    none_is_reached_by("socks5");
}

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_http() {
    let _test = Test::begin(HINT);
    none_is_reached_by("http");
}

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_hop() {
    let _test = Test::begin(HINT);
    none_is_reached_by("hop");
}

/// Returns how many datagrams the rules have refused, and how many more led to a name without an address.
#[track_caller]
fn dropped(proxy: &Proxy) -> [f64; 2] {
    let metrics = proxy.metrics();
    ["denied", "unresolved"]
        .map(|reason| metrics[&format!("proxy_udp_dropped_total{{reason=\"{reason}\"}}")])
}

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_datagrams() {
    let _test = Test::begin("Each datagram names its target, so each one is judged.");
    let proxy = Proxy::choosing("socks5", &PUBLIC);
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    let inner = Datagrams::new();
    let port = inner.addr().port();
    let mut sent = 0.0;
    for spelling in numbers_first() {
        let address = spelling.host.parse::<IpAddr>().ok();
        let by_address = address.map(|address| udp_associate::packet((address, port).into(), b"?"));
        let by_name = udp_associate::named(spelling.host, port, b"?");
        for datagram in by_address.into_iter().chain([by_name]) {
            client.send(association.socket, &datagram);
            sent += 1.0;
            // One after the other, because names that are being looked up have a bound of their own.
            let what = format!("the datagram to {} is dropped", spelling.host);
            harness::eventually(&what, harness::PATIENCE, || {
                let [denied, unresolved] = dropped(&proxy);
                denied + unresolved == sent && (unresolved == 0.0 || !spelling.is_numeric())
            });
        }
    }
    assert!(sent >= 100.0, "{sent} datagrams");
    inner.expect_nothing();
}

/// A sample: one spelling of each kind.
const SAMPLE: [&str; 9] = [
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "localhost",
];

#[test]
fn rules_a_refused_address_gets_no_connect() {
    let _test = Test::begin("Judge before connect(2): even a SYN tells that a port is open.");
    let folder = tempfile::tempdir().expect("a folder for the trace");
    let file = folder.path().join("trace");
    for (ingress, ways) in Way::OF {
        let Some(traced) = strace::record(&Program::new(program()), "connect", &file) else {
            return;
        };
        let arguments = [&["--ingress", ingress], &PUBLIC[..]].concat();
        let echo = Scripted::echo();
        // The only inner address with a rule of its own: it shows that the trace has what is dialled.
        let allowed: SocketAddr = ([127, 0, 0, 9], echo.addr().port()).into();
        let rule = allowed.to_string();
        let proxy = Proxy::launch(traced.args(&arguments).args(["--allow", &rule]));
        for host in SAMPLE {
            for way in ways {
                let code = way.ask(&proxy, host, allowed.port());
                let [denied, _] = way.refusals();
                assert!(
                    code.is_none_or(|code| code == denied),
                    "{way:?} {host}: {code:?}"
                );
            }
        }
        let last = ways[0].ask(&proxy, "127.0.0.9", allowed.port());
        let [denied, _] = ways[0].refusals();
        assert_ne!(last, Some(denied), "a rule allows it");
        // A resolver asks its own servers by connect(2), so the port of the target tells.
        let port = format!("htons({})", allowed.port());
        let of_port = || {
            let trace = fs::read_to_string(&file).unwrap_or_default();
            let lines = trace.lines().filter(|line| line.contains(&port));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        harness::eventually(
            "the trace has the allowed address",
            harness::PATIENCE,
            || !of_port().is_empty(),
        );
        let calls = of_port();
        assert!(
            calls.iter().all(|call| call.contains("127.0.0.9")),
            "{calls:?}"
        );
        fs::remove_file(&file).expect("the trace is removed");
    }
}

#[test]
fn rules_a_redirect_to_an_inner_address_is_judged_like_any_request() {
    let _test =
        Test::begin("A target may send its client elsewhere, and the client asks us again.");
    let Some(curl) = in_path("curl") else {
        return;
    };
    let (target, inner) = (Hand::start(), Scripted::echo());
    let proxy = Proxy::choosing("http", &["--allow", &target.addr().to_string()]);
    let (through, url) = (
        format!("http://{}", proxy.addr()),
        format!("http://{}/", target.addr()),
    );
    let mut command = Command::new(curl);
    command.args([
        "-s",
        "-L",
        "--max-time",
        "30",
        "--noproxy",
        "",
        "-x",
        &through,
        &url,
    ]);
    let curl = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("curl runs");
    let upstream = target.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    let location = format!("http://2130706433:{}/", inner.addr().port());
    upstream.send(
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .as_bytes(),
    );
    upstream.close();
    let output = curl.wait_with_output().expect("curl ends");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("403 Forbidden: "), "{told}");
    assert!(!told.contains("127.0.0.1"), "{told}");
    assert_eq!(
        inner.accepts(),
        0,
        "connections that the inner upstream has accepted"
    );
}
