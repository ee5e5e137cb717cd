//! The access rules: where clients that choose their targets may go, through every ingress.

use std::net::{IpAddr, SocketAddr};

use harness::inner_addresses::{Spelling, spellings};
use harness::{Client, Program, Scripted, Test, command_line};

use crate::support::{Proxy, echoes, program};
use crate::{http_ingress, socks5};

/// The replies of SOCKS5 and HTTP that say "not allowed by the rules" and "the name was not found".
const DENIED: (u8, u16) = (2, 403);
const NOT_FOUND: (u8, u16) = (4, 502);

/// Asks a SOCKS5 proxy for a host as a name, and also as an address if it is one, and returns the replies.
#[track_caller]
fn ask_socks5(proxy: &Proxy, host: &str, port: u16) -> Vec<u8> {
    let mut requests = vec![socks5::named(host, port)];
    if let Ok(address) = host.parse::<IpAddr>() {
        requests.push(socks5::request((address, port).into()));
    }
    let ask = |request: Vec<u8>| socks5::reply(&socks5::ask(proxy, &request));
    requests.into_iter().map(ask).collect()
}

/// Asks an HTTP proxy for a tunnel and for a page, and returns the status codes.
#[track_caller]
fn ask_http(proxy: &Proxy, target: &str) -> [u16; 2] {
    let page = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n");
    [http_ingress::connect_to(target), page].map(|request| http_ingress::status(proxy, request))
}

/// The spellings, and last those for which a name server is asked, because this may take as long as it likes.
fn numbers_first() -> Vec<Spelling> {
    let mut all: Vec<_> = spellings().collect();
    all.sort_by_key(|spelling| !spelling.is_numeric());
    all
}

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_socks5() {
    let _test =
        Test::begin("Judge the address that is about to be dialled, not the text that names it.");
    let arguments = [
        "--allow",
        "public,localhost,*.localhost",
        "--connect-timeout",
        "500ms",
    ];
    let (proxy, echo) = (Proxy::choosing("socks5", &arguments), Scripted::echo());
    for spelling in numbers_first() {
        for code in ask_socks5(&proxy, spelling.host, echo.addr().port()) {
            let is_refused = code == DENIED.0 || code == NOT_FOUND.0 && !spelling.is_numeric();
            assert!(is_refused, "the reply to {} is {code}", spelling.host);
        }
    }
    assert_eq!(echo.accepts(), 0);
}

#[test]
fn rules_no_spelling_of_an_inner_address_is_reached_by_http() {
    let _test =
        Test::begin("Judge the address that is about to be dialled, not the text that names it.");
    let arguments = [
        "--allow",
        "public,localhost,*.localhost",
        "--connect-timeout",
        "500ms",
    ];
    let (proxy, echo) = (Proxy::choosing("http", &arguments), Scripted::echo());
    for spelling in numbers_first() {
        for code in ask_http(&proxy, &spelling.at(echo.addr().port())) {
            let is_refused = code == DENIED.1 || code == NOT_FOUND.1 && !spelling.is_numeric();
            assert!(is_refused, "the reply to {} is {code}", spelling.host);
        }
    }
    assert_eq!(echo.accepts(), 0);
}

#[test]
fn rules_without_flags_this_machine_is_reached_and_metadata_is_not() {
    let _test = Test::begin("On a loopback address the default is public,private,loopback.");
    let echo = Scripted::echo();
    let socks = Proxy::choosing("socks5", &[]);
    let client = socks5::ask(&socks, &socks5::request(echo.addr()));
    assert_eq!(socks5::reply(&client), 0);
    echoes(&client);
    let http = Proxy::choosing("http", &[]);
    for host in [
        "169.254.169.254",
        "2852039166",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
        "0.0.0.0",
    ] {
        let denied = ask_socks5(&socks, host, 80);
        assert!(
            denied.iter().all(|&code| code == DENIED.0),
            "{host}: {denied:?}"
        );
        let target = SocketAddr::new(host.parse().unwrap_or([0; 4].into()), 80).to_string();
        assert_eq!(ask_http(&http, &target), [DENIED.1; 2], "{target}");
    }
    assert_eq!(
        ask_socks5(&socks, "127.0.0.1", 25),
        [DENIED.0; 2],
        "port 25"
    );
    let inspector = socks.inspector().addr();
    assert_eq!(
        ask_socks5(&socks, "127.0.0.1", inspector.port()),
        [DENIED.0; 2],
        "the inspector"
    );
}

#[test]
fn rules_the_log_says_which_rule_and_the_client_does_not() {
    let _test =
        Test::begin("The operator learns which rule it was; the client only that it was refused.");
    let proxy = Proxy::choosing("http", &["--allow", "any", "--deny", "127.0.0.0/8:80"]);
    let client = Client::connect(proxy.addr());
    client.send(http_ingress::connect_to("2130706433:80").as_bytes());
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(reply.contains("403") && !reply.contains("127."), "{reply}");
    harness::eventually("the log names the rule", harness::PATIENCE, || {
        proxy.stderr().contains("127.0.0.0/8:80 of --deny")
    });
    proxy.wait_for_metric("proxy_failures_total{reason=\"denied\"}", 1.0);
}

#[test]
fn rules_a_proxy_that_others_can_reach_does_not_start_without_rules() {
    let _test = Test::begin(
        "No proxy becomes an open relay by accident: --allow says where its clients may go.",
    );
    for ingress in ["socks5", "http"] {
        let anywhere: &[&str] = &["--ingress", ingress, "--listen", "0.0.0.0:0"];
        let denied = [anywhere, &["--deny", "private"]].concat();
        let wrong = [(anywhere, "--allow"), (&denied[..], "--allow")];
        command_line::refuses(&Program::new(program()), &wrong);
        let allowed = Program::new(program())
            .args(anywhere)
            .args(["--allow", "loopback"]);
        let (server, echo) = (allowed.serve(), Scripted::echo());
        let client = Client::connect(SocketAddr::new([127, 0, 0, 1].into(), server.addr().port()));
        let target = echo.addr();
        if ingress == "http" {
            client.send(http_ingress::connect_to(target).as_bytes());
            let _ = client.read_until(b"\r\n\r\n");
        } else {
            client.send(&[&[5, 1, 0][..], &socks5::request(target)].concat());
            client.expect(&[5, 0]);
            assert_eq!(socks5::reply(&client), 0);
        }
        echoes(&client);
    }
}

#[test]
fn rules_that_are_malformed_end_with_2() {
    let _test = Test::begin("A rule that is not understood must not be taken for another one.");
    let wrong: [(&[&str], &str); 9] = [
        (&["--clients", "10.0.0.0/33"], "--clients"),
        (&["--clients", "example.com"], "--clients"),
        (&["--clients", "private,10.0.0.1/8"], "--clients"),
        (&["--allow", "0177.1"], "--allow"),
        (&["--allow", "10.0.0.0/8,"], "--allow"),
        (&["--allow", "2001:db8::1:99999"], "--allow"),
        (&["--deny", "public:0"], "--deny"),
        (&["--deny", "*example.com"], "--deny"),
        // The operator has named the target already.
        (&["--deny", "private"], "--upstream"),
    ];
    command_line::refuses(&Program::new(program()), &wrong);
    let flags = [
        ("--allow", "RULE"),
        ("--deny", "RULE"),
        ("--clients", "CIDR"),
    ];
    command_line::help_of_flags(&Program::new(program()), &flags);
}
