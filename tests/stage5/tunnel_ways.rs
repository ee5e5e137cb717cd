//! The ways through a tunnel: several ingresses over one link, each stream with a target of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::{Client, Hand, Rng, Scripted, Test, proc};

use crate::support::MIB;
use crate::ways::{
    ESTABLISHED, Ways, connect, connect_to, echoes, socks, socks_address, socks_name, socks_reply,
    through,
};

/// A server that says its name first.
fn named(name: &'static str) -> Scripted {
    Scripted::start(name, move |peer| {
        peer.send(format!("{name}\n").as_bytes());
        let bytes = peer.read_exact(24);
        peer.send(&bytes);
    })
}

#[test]
fn tunnel_ways_http_and_socks_clients_reach_different_targets_over_one_link() {
    let _test = Test::begin("Each stream begins with a header that names its own target.");
    let (one, two) = (named("one"), named("two"));
    let ways = Ways::start(&["http", "socks5"], &[], &[]);
    let before = proc::fd_count(ways.server.pid());
    let http = connect(ways.at(0), one.addr());
    let (by_name, code) = socks(ways.at(1), &socks_name("localhost", two.addr().port()));
    assert_eq!(code, 0, "the code of the reply");
    http.expect(b"one\n");
    by_name.expect(b"two\n");
    echoes(&http);
    echoes(&by_name);
    drop((http, by_name));
    proc::fds_return_to(ways.server.pid(), before);
    let log = ways.server.stderr();
    assert_eq!(log.matches("the link is up").count(), 1, "{log}");
}

#[test]
fn tunnel_ways_a_fixed_client_names_its_target_and_sends_before_it_is_connected() {
    let _test = Test::begin("The client's first bytes follow the header at once.");
    let hand = Hand::start();
    let ways = Ways::start(&["fixed"], &["--upstream", &hand.addr().to_string()], &[]);
    let client = Client::connect(ways.at(0));
    client.send(b"early bytes");
    let upstream = hand.next();
    upstream.expect(b"early bytes");
    upstream.send(b"answer");
    client.expect(b"answer");
    client.half_close();
    upstream.expect_eof();
    upstream.close();
    client.expect_eof();
}

#[test]
fn tunnel_ways_everything_may_come_at_once() {
    let _test = Test::begin("Bytes behind a request belong to the target.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &[], &[]);
    let nonce = Rng::for_test().nonce(100_000);
    let client = Client::connect(ways.at(0));
    client.send(&[&[5, 1, 0], &socks_address(echo.addr())[..], &nonce].concat());
    client.half_close();
    client.expect(&[5, 0]);
    assert_eq!(
        socks_reply(&client),
        0,
        "the code of the reply to the client"
    );
    assert!(client.read_to_end() == nonce, "the bytes have come back");
    let client = Client::connect(ways.at(1));
    client.send(&[connect_to(echo.addr()).as_bytes(), &nonce].concat());
    client.half_close();
    client.expect(ESTABLISHED);
    assert!(client.read_to_end() == nonce, "the bytes have come back");
    // And one byte at a time.
    let client = Client::connect(ways.at(0));
    client.send_chunked(&[&[5, 1, 0], &socks_address(echo.addr())[..]].concat(), 1);
    client.expect(&[5, 0]);
    assert_eq!(
        socks_reply(&client),
        0,
        "the code of the reply to the client"
    );
    echoes(&client);
}

#[test]
fn tunnel_ways_half_close_passes_every_ingress_on_both_wires() {
    let _test = Test::begin("8 MiB up, FIN, then 1 MiB down: a half-close is no end.");
    let mut rng = Rng::for_test();
    let (up, down) = (rng.bytes(8 * MIB), rng.bytes(MIB));
    for wire in ["yamux", "multiplex"] {
        let hand = Hand::start();
        let target = hand.addr().to_string();
        let names = ["fixed", "socks5", "http"];
        let arguments = ["--wire", wire, "--upstream", &target];
        let ways = Ways::start(&names, &arguments, &["--wire", wire]);
        for (place, name) in names.into_iter().enumerate() {
            let client = through(name, ways.at(place), hand.addr());
            let sending = client.send_in_background(up.clone());
            let upstream = hand.next();
            upstream.expect(&up);
            sending.join();
            client.half_close();
            upstream.expect_eof();
            let sending = upstream.send_in_background(down.clone());
            client.expect(&down);
            sending.join();
            upstream.close();
            client.expect_eof();
        }
    }
}

#[test]
fn tunnel_ways_a_name_with_both_families_is_reached_over_the_one_that_works() {
    let _test =
        Test::begin("localhost may be ::1 first, where nobody listens: the next address is tried.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5"], &[], &["--prefer", "ipv6"]);
    let (client, code) = socks(ways.at(0), &socks_name("localhost", echo.addr().port()));
    assert_eq!(code, 0, "the code of the reply");
    echoes(&client);
    let address: SocketAddr = ([0_u16, 0, 0, 0, 0, 0, 0, 1], 0).into();
    let six = Scripted::options("echo over IPv6").address(address);
    let six = six.start(|peer| {
        let bytes = peer.read_exact(24);
        peer.send(&bytes);
    });
    let (client, code) = socks(ways.at(0), &socks_address(six.addr()));
    assert_eq!(code, 0, "the code of the reply");
    echoes(&client);
}

#[test]
fn tunnel_ways_two_hundred_clients_share_one_link() {
    let _test = Test::begin("A handshake holds a row and a socket, and nothing else.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &[], &[]);
    let before = [&ways.client, &ways.server].map(|end| proc::fd_count(end.pid()));
    let clients: Vec<_> = (0..100)
        .flat_map(|_| {
            let (socks, code) = socks(ways.at(0), &socks_address(echo.addr()));
            assert_eq!(code, 0, "the code of the reply");
            [socks, connect(ways.at(1), echo.addr())]
        })
        .collect();
    clients.iter().for_each(echoes);
    assert_eq!(proc::fd_count(ways.client.pid()), before[0] + 200);
    assert_eq!(proc::fd_count(ways.server.pid()), before[1] + 200);
    drop(clients);
    proc::fds_return_to(ways.client.pid(), before[0]);
    proc::fds_return_to(ways.server.pid(), before[1]);
    proc::assert_cpu_idle(ways.client.pid(), Duration::from_millis(200));
}

/// A web server with two pages.
fn curl(options: &[&str], url: &str) -> Option<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "30",
        "--noproxy",
        "",
    ]);
    match command.args(options).arg(url).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            harness::ensure(output.status.success(), errors);
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("skipped: curl is not there: {error}");
            None
        }
    }
}

#[test]
fn tunnel_ways_curl_takes_each_of_them() {
    let _test = Test::begin("curl has an option for each kind of proxy.");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("index.html"), b"a page\n").expect("a file in it");
    let site = harness::Upstream::python(folder.path());
    let port = site.addr().port();
    let url = format!("http://localhost:{port}/");
    let ways = Ways::start(
        &["socks5", "http", "fixed"],
        &["--upstream", &site.addr().to_string()],
        &[],
    );
    let (socks5, http) = (ways.at(0).to_string(), format!("http://{}", ways.at(1)));
    let table: [&[&str]; 4] = [
        &["--socks5-hostname", &socks5],
        &["--socks5", &socks5],
        &["-x", &http],
        &["-x", &http, "--proxytunnel"],
    ];
    for options in table {
        let Some(page) = curl(options, &url) else {
            return;
        };
        assert_eq!(page, b"a page\n", "{options:?}");
    }
    let direct = format!("http://{}/", ways.at(2));
    assert_eq!(curl(&[], &direct).as_deref(), Some(&b"a page\n"[..]));
}
