//! The life of a link: its peer vanishes, freezes, is killed, comes back; and what clients see of that.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{Client, Connect, Hand, PATIENCE, Scripted, Server, Signal, Test, eventually, proc};

use crate::support::MIB;
use crate::tunnel_ends::{
    Tunnel, WIRES, client_program, echoes, secret_file, server_on, wait_until_it_carries,
};

/// What opens stream 1 with the byte `x` on a link, as a client does.
fn opening(wire: &str) -> &'static [u8] {
    match wire {
        "yamux" => b"\0\0\0\x01\0\0\0\x01\0\0\0\x01x",
        _ => b"\0\0\x02\x01x",
    }
}

/// Connects to a server's end as a client's end does, opens a stream, and waits until its byte has reached the upstream.
#[track_caller]
fn link_by_hand(server: &Server, upstream: &Hand, wire: &str) -> (Client, Client) {
    let link = Client::connect(server.addr());
    link.send(opening(wire));
    let stream = upstream.next();
    stream.expect(b"x");
    (link, stream)
}

#[test]
fn tunnel_life_a_vanished_peer_ends_its_streams_within_the_keepalive() {
    let _test = Test::begin(
        "No FIN comes through a cut cable: pings find that, or the probes of the kernel (TCP_USER_TIMEOUT).",
    );
    for wire in WIRES {
        let upstream = Hand::start();
        let arguments = ["--wire", wire, "--keepalive", "1s"];
        let server = server_on("127.0.0.1:0", upstream.addr(), &arguments);
        let before = proc::fd_count(server.pid());
        let (link, stream) = link_by_hand(&server, &upstream, wire);
        link.vanish();
        stream.expect_reset();
        let log = server.wait_for_stderr("the link is down");
        assert!(log.contains("timed out"), "{log}");
        proc::fds_return_to(server.pid(), before);
    }
}

#[test]
fn tunnel_life_a_vanished_server_ends_its_streams_within_the_keepalive() {
    let _test = Test::begin("The client's end watches the link as well, on both wires.");
    for wire in WIRES {
        let far = Hand::start();
        let arguments = ["--wire", wire, "--keepalive", "1s"];
        let client = client_program(far.addr(), &arguments).serve();
        let link = far.next();
        client.wait_for_stderr("the link is up");
        let before = proc::fd_count(client.pid());
        let local = Client::connect(client.addr());
        local.send(b"x");
        let _ = link.read_exact(3);
        link.vanish();
        local.expect_reset();
        let log = client.wait_for_stderr("the link is down");
        assert!(log.contains("timed out"), "{log}");
        let _next = far.next();
        proc::fds_return_to(client.pid(), before);
    }
}

#[test]
fn tunnel_life_a_new_link_takes_the_place_of_one_whose_peer_has_vanished() {
    let _test = Test::begin(
        "A client whose cable was cut comes back while the server still holds its old link: ask the old one for a sign of life.",
    );
    for wire in WIRES {
        let upstream = Hand::start();
        let server = server_on("127.0.0.1:0", upstream.addr(), &["--wire", wire]);
        let (link, stream) = link_by_hand(&server, &upstream, wire);
        link.vanish();
        let begun = Instant::now();
        let (_link, other) = link_by_hand(&server, &upstream, wire);
        let taken = begun.elapsed();
        stream.expect_reset();
        assert!(taken < harness::scaled(Duration::from_secs(8)), "{taken:?}");
        other.send(b"served");
    }
}

#[test]
fn tunnel_life_a_new_link_takes_the_place_of_one_whose_peer_is_frozen() {
    let _test =
        Test::begin("The kernel of a frozen process still acknowledges; only a ping tells.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--keepalive", "60s"]);
    let client = tunnel.connect();
    echoes(&client);
    tunnel.client.stop();
    let next = client_program(tunnel.server.addr(), &[]).serve();
    wait_until_it_carries(next.addr());
    tunnel
        .server
        .wait_for_stderr("another link waits for a sign of life");
    tunnel.client.cont();
}

#[test]
fn tunnel_life_a_living_link_keeps_its_place() {
    let _test =
        Test::begin("A second link is refused as soon as the first has given a sign of life.");
    for wire in WIRES {
        let upstream = Scripted::echo();
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
        let client = tunnel.connect();
        echoes(&client);
        for _ in 0..3 {
            Client::connect(tunnel.server.addr()).expect_reset();
        }
        echoes(&client);
        echoes(&tunnel.connect());
        let log = tunnel
            .server
            .wait_for_stderr("refused: there is a link already");
        assert!(!log.contains("the link is down"), "{log}");
    }
}

#[test]
fn tunnel_life_a_killed_client_ends_all_of_its_streams_and_leaves_no_descriptor() {
    let _test = Test::begin("A FIN or a reset of the link is an error for every stream of it.");
    for wire in WIRES {
        let upstream = Hand::start();
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
        let before = proc::fd_count(tunnel.server.pid());
        let clients: Vec<_> = (0..10).map(|_| tunnel.connect()).collect();
        let streams: Vec<_> = clients.iter().map(|_| upstream.next()).collect();
        tunnel.client.signal(Signal::SIGKILL);
        streams.iter().for_each(Client::expect_reset);
        proc::fds_return_to(tunnel.server.pid(), before);
        let next = client_program(tunnel.server.addr(), &["--wire", wire]).serve();
        let local = Client::connect(next.addr());
        upstream.next().send(b"hello");
        local.expect(b"hello");
    }
}

#[test]
fn tunnel_life_without_a_link_clients_fail_at_once() {
    let _test = Test::begin(
        "An attempt to come back may last as long as --connect-timeout; clients do not wait for it.",
    );
    let upstream = Scripted::echo();
    let secret = secret_file("at once");
    let arguments = ["--secret-file", secret.path().to_str().unwrap_or_default()];
    let more = ["--keepalive", "600ms", "--connect-timeout", "60s"];
    let tunnel = Tunnel::to(upstream.addr(), &[&arguments[..], &more].concat());
    let client = tunnel.connect();
    echoes(&client);
    tunnel.server.stop();
    client.expect_reset();
    tunnel.client.wait_for_stderr("the link is down");
    // The kernel of the frozen server takes the next connection, and no proof comes over it.
    let begun = Instant::now();
    for _ in 0..20 {
        Client::connect(tunnel.client.addr()).expect_reset();
    }
    let taken = begun.elapsed();
    assert!(taken < harness::scaled(Duration::from_secs(5)), "{taken:?}");
    tunnel.server.cont();
    tunnel.wait_until_it_carries();
}

#[test]
fn tunnel_life_a_client_that_is_gone_before_the_link_is_up_does_no_harm() {
    let _test =
        Test::begin("Clients wait for the first link; one that resets meanwhile is forgotten.");
    let upstream = Scripted::echo();
    let secret = secret_file("gone");
    let arguments = ["--secret-file", secret.path().to_str().unwrap_or_default()];
    let server = server_on("127.0.0.1:0", upstream.addr(), &arguments);
    server.stop();
    let client = client_program(server.addr(), &arguments).serve();
    let before = proc::fd_count(client.pid());
    for _ in 0..5 {
        Client::connect(client.addr()).reset();
    }
    let patient = Client::connect(client.addr());
    patient.send(b"patient");
    server.cont();
    patient.expect(b"patient");
    drop(patient);
    wait_until_it_carries(client.addr());
    proc::fds_return_to(client.pid(), before + 1);
    proc::fds_return_to(server.pid(), before + 1);
}

#[test]
fn tunnel_life_a_reader_that_stalls_multiplex_is_reset_so_that_the_others_live() {
    let _test = Test::begin(
        "Without windows one reader holds up all; after half of --keepalive it is reset.",
    );
    let upstream = Scripted::start("pour or echo", |peer| match peer.read_exact(1)[..] {
        [b'p'] => {
            let chunk = vec![7; MIB];
            while peer.try_send(&chunk).is_ok() {}
        }
        _ => {
            let line = peer.read_until(b"\n");
            peer.send(&line);
        }
    });
    let arguments = ["--wire", "multiplex", "--keepalive", "4s"];
    let tunnel = Tunnel::to(upstream.addr(), &arguments);
    let unread = Connect::new().receive_buffer(4096).to(tunnel.client.addr());
    unread.send(b"p");
    eventually("the pouring stream is stuck", PATIENCE, || {
        proc::is_asleep(tunnel.client.pid()) && proc::is_asleep(tunnel.server.pid())
    });
    let client = tunnel.connect();
    client.send(b"eline\n");
    client.expect(b"line\n");
    let log = tunnel
        .client
        .wait_for_stderr("has held up all others, and is reset");
    assert!(!log.contains("the link is down"), "{log}");
    let mut byte = [0; 64 * 1024];
    let end = loop {
        match (&**unread.stream()).read(&mut byte) {
            Ok(1..) => {}
            Ok(0) => break io::ErrorKind::UnexpectedEof,
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(end, io::ErrorKind::ConnectionReset);
}

#[test]
fn tunnel_life_a_drain_of_either_end_lets_exchanges_finish_and_leaves_nothing() {
    let _test = Test::begin("go-away: no new stream, the open ones end, then both exit with 0.");
    for wire in WIRES {
        let upstream = Hand::start();
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire, "--drain-timeout", "60s"]);
        let before = proc::fd_count(tunnel.server.pid());
        let client = tunnel.connect();
        client.send(b"ask");
        let stream = upstream.next();
        stream.expect(b"ask");
        tunnel.client.signal(Signal::SIGTERM);
        tunnel.client.wait_for_stderr("draining");
        eventually("the client's end has stopped to listen", PATIENCE, || {
            TcpStream::connect(tunnel.client.addr()).is_err()
        });
        stream.send(b"answer");
        stream.half_close();
        client.expect(b"answer");
        client.expect_eof();
        client.half_close();
        stream.expect_eof();
        assert!(tunnel.client.wait().success());
        drop(stream);
        proc::fds_return_to(tunnel.server.pid(), before - 1);
        // Nothing is open any more, so the other end does not use its time.
        assert!(tunnel.server.terminate().success());
    }
}

#[test]
fn tunnel_life_a_second_signal_ends_a_drain_at_once() {
    let _test = Test::begin("The first signal lets connections end, the second resets them.");
    let upstream = Hand::start();
    let tunnel = Tunnel::to(upstream.addr(), &["--drain-timeout", "60s"]);
    let client = tunnel.connect();
    let stream = upstream.next();
    for end in [&tunnel.client, &tunnel.server] {
        end.signal(Signal::SIGTERM);
        end.wait_for_stderr("draining");
    }
    client.send(b"x");
    stream.expect(b"x");
    tunnel.client.signal(Signal::SIGTERM);
    assert!(tunnel.client.wait().success());
    client.expect_reset();
    stream.expect_reset();
    assert!(tunnel.server.wait().success());
}

#[test]
fn tunnel_life_a_drain_ends_with_its_time() {
    let _test = Test::begin("What is open after --drain-timeout is reset.");
    let upstream = Hand::start();
    let tunnel = Tunnel::to(upstream.addr(), &["--drain-timeout", "300ms"]);
    let client = tunnel.connect();
    let stream = upstream.next();
    assert!(tunnel.server.terminate().success());
    client.expect_reset();
    stream.expect_reset();
    assert!(tunnel.client.terminate().success());
}
