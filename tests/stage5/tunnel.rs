//! The tunnel: clients over one link to a server, and what happens when streams, links or programs stop.

use std::time::Duration;

use harness::{
    Client, ClosedPort, Connect, Hand, PATIENCE, Program, Rng, Scripted, Signal, Test,
    command_line, eventually, proc,
};

use crate::support::{MIB, program};
use crate::tunnel_ends::{Tunnel, WIRES, echoes, server_on};

#[test]
fn tunnel_both_directions_end_on_their_own() {
    let _test = Test::begin("FIN is a frame of its own, and the other direction goes on.");
    for wire in WIRES {
        let upstream = Hand::start();
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
        let client = tunnel.connect();
        let mut rng = Rng::for_test();
        let (up, down) = (rng.nonce(8 * MIB), rng.nonce(MIB));
        let sending = client.send_in_background(up.clone());
        let peer = upstream.next();
        peer.expect(&up);
        sending.join();
        client.half_close();
        peer.expect_eof();
        peer.send(&down);
        peer.half_close();
        client.expect(&down);
        client.expect_eof();
    }
}

#[test]
fn tunnel_a_server_may_speak_first_and_two_hundred_clients_share_one_link() {
    let _test = Test::begin(
        "A stream is opened at once, and the server dials without a byte of the client.",
    );
    let upstream = Scripted::start("greeting", |peer| {
        peer.send(b"hello\n");
        peer.send(&peer.read_until(b"\n"));
    });
    for wire in WIRES {
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
        let before = proc::fd_count(tunnel.client.pid());
        let clients: Vec<_> = (0..200).map(|_| tunnel.connect()).collect();
        clients.iter().for_each(|client| client.expect(b"hello\n"));
        let with_clients = proc::fd_count(tunnel.client.pid());
        assert_eq!(with_clients, before + 200, "there is one link for all");
        for (index, client) in clients.iter().enumerate() {
            let line = format!("line {index}\n");
            client.send(line.as_bytes());
            client.expect(line.as_bytes());
            client.expect_eof();
        }
        drop(clients);
        proc::fds_return_to(tunnel.client.pid(), before);
    }
}

#[test]
fn tunnel_an_unread_stream_delays_no_other_and_holds_bounded_memory() {
    let _test =
        Test::begin("Each stream has a window; credit is given when the client has taken bytes.");
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
    let tunnel = Tunnel::to(upstream.addr(), &[]);
    let unread = Connect::new().receive_buffer(4096).to(tunnel.client.addr());
    unread.send(b"p");
    eventually("the pouring stream is stuck", PATIENCE, || {
        proc::is_asleep(tunnel.client.pid()) && proc::is_asleep(tunnel.server.pid())
    });
    for _ in 0..20 {
        let client = tunnel.connect();
        client.send(b"eline\n");
        client.expect(b"line\n");
    }
    for end in [&tunnel.client, &tunnel.server] {
        let rss = proc::rss_kib(end.pid());
        assert!(rss < 40 * 1024, "{rss} KiB");
    }
    proc::assert_cpu_idle(tunnel.client.pid(), Duration::from_millis(300));
}

#[test]
fn tunnel_a_reset_is_passed_on_although_the_window_is_empty() {
    let _test = Test::begin("Nothing is read without a window, so look for the error itself.");
    let upstream = Hand::start();
    let tunnel = Tunnel::to(upstream.addr(), &[]);
    let before = [&tunnel.client, &tunnel.server].map(|end| proc::fd_count(end.pid()));
    let client = tunnel.connect();
    let peer = upstream.next();
    // The peer reads nothing: its socket, the window and the client's socket fill up.
    client.send_until_blocked(&[7; 64 * 1024], Duration::from_millis(300), 64 * MIB);
    client.reset();
    proc::fds_return_to(tunnel.client.pid(), before[0]);
    proc::fds_return_to(tunnel.server.pid(), before[1]);
    drop(peer);
}

#[test]
fn tunnel_a_failed_dial_resets_its_stream_and_the_link_goes_on() {
    let _test = Test::begin("A refused connect(2) is the end of one stream.");
    let port = ClosedPort::start();
    let address = port.addr();
    let tunnel = Tunnel::to(address, &[]);
    Client::connect(tunnel.client.addr()).expect_reset();
    Client::connect(tunnel.client.addr()).expect_reset();
    let warning = tunnel.server.wait_for_stderr("the stream is reset");
    assert!(warning.contains("connection refused"), "{warning}");
    let log = tunnel.client.stderr();
    assert!(!log.contains("the link is down"), "{log}");
}

#[test]
fn tunnel_a_second_link_is_refused() {
    let _test = Test::begin("The transport carries one link at a time.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &[]);
    let client = tunnel.connect();
    echoes(&client);
    Client::connect(tunnel.server.addr()).expect_reset();
    echoes(&client);
    echoes(&tunnel.connect());
}

#[test]
fn tunnel_bytes_that_are_no_frames_end_their_link_and_the_next_one_is_served() {
    let _test =
        Test::begin("A peer that breaks the protocol gets go-away 1, and its link is closed.");
    let upstream = Scripted::echo();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let stranger = Client::connect(server.addr());
    stranger.send(b"GET / HTTP/1.1\r\n\r\n");
    stranger.expect(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    stranger.expect_closed();
    // A link by hand: a stream with a line, and its end.
    let peer = Client::connect(server.addr());
    peer.send(b"\0\0\0\x05\0\0\0\x01\0\0\0\x03hi\n");
    let mut seen = peer.read_exact(12 + 12 + 3);
    let data = seen.split_off(12);
    assert_eq!(
        seen, b"\0\x01\0\x02\0\0\0\x01\0\0\0\0",
        "the stream is accepted"
    );
    assert_eq!(data, b"\0\0\0\0\0\0\0\x01\0\0\0\x03hi\n");
}

#[test]
fn tunnel_a_frozen_far_end_ends_every_stream_within_the_keepalive_and_service_resumes() {
    let _test =
        Test::begin("A peer that answers no ping is dead, although its kernel still acknowledges.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--keepalive", "600ms"]);
    let baseline = proc::fd_count(tunnel.client.pid());
    let clients: Vec<_> = (0..5).map(|_| tunnel.connect()).collect();
    clients.iter().for_each(echoes);
    tunnel.server.stop();
    clients.iter().for_each(Client::expect_reset);
    tunnel
        .client
        .wait_for_stderr("timed out: the peer was silent");
    tunnel.server.cont();
    tunnel.wait_until_it_carries();
    drop(clients);
    proc::fds_return_to(tunnel.client.pid(), baseline);
}

#[test]
fn tunnel_a_killed_server_ends_every_stream_and_the_next_one_is_found() {
    let _test = Test::begin("Without a link, clients are reset; it is tried again after a pause.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &[]);
    let client = tunnel.connect();
    echoes(&client);
    let link = tunnel.server.addr();
    tunnel.server.signal(Signal::SIGKILL);
    tunnel.server.wait();
    client.expect_reset();
    tunnel.client.wait_for_stderr("the link is down");
    let _server = server_on(link, upstream.addr(), &[]);
    tunnel.wait_until_it_carries();
}

#[test]
fn tunnel_a_drain_lets_open_connections_end() {
    let _test = Test::begin("go-away 0: no new streams, and the open ones go on.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--drain-timeout", "60s"]);
    let client = tunnel.connect();
    echoes(&client);
    tunnel.server.signal(Signal::SIGTERM);
    tunnel
        .client
        .wait_for_stderr("the peer takes no new streams");
    echoes(&client);
    Client::connect(tunnel.client.addr()).expect_reset();
    client.half_close();
    client.expect_eof();
    assert!(
        tunnel.server.wait().success(),
        "the program did not end with 0"
    );
    assert!(
        tunnel.client.terminate().success(),
        "the program does not end with 0 after SIGTERM"
    );
}

#[test]
fn tunnel_the_command_line_is_complete_and_checked() {
    let _test = Test::begin("--help and the checks come from the declaration of the arguments.");
    let flags = [
        ("--via", "tcp-listen:ADDR:PORT"),
        ("--wire", "yamux"),
        ("--keepalive", "30s"),
        ("--secret-file", "FILE"),
        ("--idle-timeout", "off"),
        ("--half-close-timeout", "60s"),
        ("--inspect", "[ADDR:]PORT"),
        ("--connect-timeout", "5s"),
        ("--drain-timeout", "5s"),
        ("--prefer", "ipv6"),
    ];
    for (command, own) in [
        ("client", ("--listen", "127.0.0.1:8080")),
        ("server", ("--upstream", "TARGET")),
    ] {
        let program = Program::new(program()).arg(command);
        command_line::help_of_flags(&program, &[&flags[..], &[own]].concat());
        command_line::refuses(
            &program,
            &[
                (&["--via", "pigeon:far:1"], "tcp:HOST:PORT"),
                (&["--via", "tcp-listen:0.0.0.0:1"], "not authenticated"),
                (&["--via", "tcp:localhost:1", "--wire", "smoke"], "--wire"),
            ],
        );
    }
}
