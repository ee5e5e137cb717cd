//! The access rules: where clients that choose their targets may go, through every ingress.

use std::net::SocketAddr;

use harness::{Client, Program, Scripted, Test, command_line};

use crate::battery::Way;
use crate::support::{Proxy, echoes, program};
use crate::{http_ingress, socks5};

/// The replies of SOCKS5 and HTTP that say "not allowed by the rules".
const DENIED: (u8, u16) = (2, 403);

/// Asks a SOCKS5 proxy for a host as a name and as an address, and returns the replies.
#[track_caller]
fn ask_socks5(proxy: &Proxy, host: &str, port: u16) -> Vec<u8> {
    let ways = [Way::SocksName, Way::SocksAddress];
    let ask = |way: Way| way.ask(proxy, host, port);
    let codes = ways.into_iter().filter_map(ask);
    codes
        .map(|code| u8::try_from(code).expect("a reply"))
        .collect()
}

/// Asks an HTTP proxy for a tunnel and for a page, and returns the status codes.
#[track_caller]
fn ask_http(proxy: &Proxy, host: &str, port: u16) -> [Option<u16>; 2] {
    [Way::Connect, Way::Page].map(|way| way.ask(proxy, host, port))
}

#[test]
fn rules_without_flags_this_machine_is_reached_and_metadata_is_not() {
    let _test = Test::begin("On a loopback address the default is public,private,loopback.");
    let echo = Scripted::echo();
    let socks = Proxy::choosing("socks5", &[]);
    let client = socks5::ask(&socks, &socks5::request(echo.addr()));
    assert_eq!(
        socks5::reply(&client),
        0,
        "the code of the reply to the client"
    );
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
        assert_eq!(ask_http(&http, host, 80), [Some(DENIED.1); 2], "{host}");
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
            assert_eq!(
                socks5::reply(&client),
                0,
                "the code of the reply to the client"
            );
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
