//! The secret of a link: a program that knows it may use the tunnel, and no other program reaches anything through it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use harness::{Client, Hand, PATIENCE, Program, Scripted, Test, command_line, eventually};

use crate::support::program;
use crate::tunnel_ends::{
    Tunnel, WIRES, client_program, echoes, secret_file, server_on, wait_until_it_carries,
};

/// Returns the arguments for a file.
fn with(file: &tempfile::NamedTempFile) -> [&str; 2] {
    ["--secret-file", file.path().to_str().unwrap_or_default()]
}

#[test]
fn tunnel_secret_both_ends_that_know_it_carry_clients() {
    let _test =
        Test::begin("Each end proves that it knows the secret, then the link is as any other.");
    let upstream = Scripted::echo();
    for wire in WIRES {
        let (with_newline, without) = (secret_file("open sesame\n"), secret_file("open sesame"));
        let server = server_on(
            "127.0.0.1:0",
            upstream.addr(),
            &[&with(&without)[..], &["--wire", wire]].concat(),
        );
        let arguments = [&with(&with_newline)[..], &["--wire", wire]].concat();
        let client = client_program(server.addr(), &arguments).serve();
        let clients: Vec<_> = (0..20).map(|_| Client::connect(client.addr())).collect();
        clients.iter().for_each(echoes);
    }
}

#[test]
fn tunnel_secret_another_one_is_refused_and_both_ends_say_so() {
    let _test =
        Test::begin("HMAC over both nonces: nothing passes, and each end names the reason.");
    for wire in WIRES {
        let upstream = Scripted::echo();
        let (one, other) = (secret_file("one"), secret_file("other"));
        let arguments = [&with(&one)[..], &["--wire", wire]].concat();
        let server = server_on("127.0.0.1:0", upstream.addr(), &arguments);
        let arguments = [&with(&other)[..], &["--wire", wire]].concat();
        let client = client_program(server.addr(), &arguments).serve();
        client.wait_for_stderr("permission denied: the peer says that our secret is wrong");
        server.wait_for_stderr("permission denied: the peer does not know the secret");
        Client::connect(client.addr()).expect_reset();
        for end in [&client, &server] {
            let log = end.stderr();
            assert!(!log.contains("the link is up"), "{log}");
        }
        assert_eq!(
            upstream.accepts(),
            0,
            "connections that the upstream has accepted"
        );
    }
}

#[test]
fn tunnel_secret_an_end_without_one_is_told_at_both_ends() {
    let _test =
        Test::begin("One end has no --secret-file: each log says what is missing, and where.");
    for wire in WIRES {
        let upstream = Scripted::echo();
        let secret = secret_file("one");
        let (plain, knowing) = (
            vec!["--wire", wire],
            [&with(&secret)[..], &["--wire", wire]].concat(),
        );
        for (of_server, of_client) in [(&plain, &knowing), (&knowing, &plain)] {
            let server = server_on("127.0.0.1:0", upstream.addr(), of_server);
            let client = client_program(server.addr(), of_client).serve();
            // A plain end that has sent a frame already is told by that, otherwise by its silence.
            Client::connect(client.addr()).expect_reset();
            let (plain, knowing) = match of_server == &plain {
                true => (&server, &client),
                false => (&client, &server),
            };
            plain.wait_for_stderr("give it --secret-file");
            knowing.wait_for_stderr("has it a --secret-file?");
        }
        assert_eq!(
            upstream.accepts(),
            0,
            "connections that the upstream has accepted"
        );
    }
}

#[test]
fn tunnel_secret_no_stream_of_a_stranger_reaches_the_upstream() {
    let _test = Test::begin("Frames before the proof do not count: the first one ends the link.");
    let upstream = Scripted::echo();
    let secret = secret_file("one");
    let server = server_on("127.0.0.1:0", upstream.addr(), &with(&secret));
    let hello = {
        let first = Client::connect(server.addr());
        let hello = first.read_exact(41);
        first.send(b"\0\0\0\x01\0\0\0\x01\0\0\0\x01x");
        first.expect_closed();
        hello
    };
    // Its own greeting, sent back to it.
    let mirror = Client::connect(server.addr());
    assert_ne!(mirror.read_exact(41), hello, "a nonce is used once");
    mirror.send(&hello);
    mirror.expect_closed();
    server.wait_for_stderr("our own greeting");
    assert_eq!(
        upstream.accepts(),
        0,
        "connections that the upstream has accepted"
    );
    let client = client_program(server.addr(), &with(&secret)).serve();
    wait_until_it_carries(client.addr());
}

#[test]
fn tunnel_secret_a_silent_stranger_neither_stays_nor_keeps_others_out() {
    let _test = Test::begin(
        "The proof has a deadline, and a newer connection takes the place of one that proves nothing.",
    );
    let upstream = Scripted::echo();
    let secret = secret_file("one");
    let arguments = [&with(&secret)[..], &["--connect-timeout", "1s"]].concat();
    let server = server_on("127.0.0.1:0", upstream.addr(), &arguments);
    let silent = Client::connect(server.addr());
    let _hello = silent.read_exact(41);
    silent.expect_closed();
    server.wait_for_stderr("timed out: the peer has not proved");
    let silent = Client::connect(server.addr());
    let _hello = silent.read_exact(41);
    let client = client_program(server.addr(), &arguments).serve();
    wait_until_it_carries(client.addr());
}

#[test]
fn tunnel_secret_the_proof_may_arrive_byte_by_byte() {
    let _test = Test::begin("A reader must not expect a message in one piece.");
    let far = Hand::start();
    let secret = secret_file("one");
    let client = client_program(far.addr(), &with(&secret)).serve();
    let link = far.next();
    let server = server_on("127.0.0.1:0", far.addr(), &with(&secret));
    // A relay that passes single bytes on.
    let onward = Client::connect(server.addr());
    let begun = Client::connect(client.addr());
    let mut seen = 0;
    eventually("both ends have proved themselves", PATIENCE, || {
        for (from, to) in [(&link, &onward), (&onward, &link)] {
            let waits = from
                .stream()
                .set_read_timeout(Some(Duration::from_millis(20)));
            waits.expect("a time limit");
            let mut byte = [0];
            if matches!(std::io::Read::read(&mut &**from.stream(), &mut byte), Ok(1)) {
                to.send(&byte);
                seen += 1;
            }
        }
        server.stderr().contains("the link is up") && client.stderr().contains("the link is up")
    });
    assert!(seen >= 2 * (41 + 33), "{seen} bytes");
    drop(begun);
}

#[test]
fn tunnel_secret_the_file_is_checked() {
    let _test = Test::begin(
        "A file that others can read, or without a secret, is an error with its reason.",
    );
    let open = secret_file("word");
    std::fs::set_permissions(open.path(), Permissions::from_mode(0o640)).expect("chmod");
    let empty = secret_file("\n");
    let good = secret_file("word");
    for command in ["client", "server"] {
        let program = Program::new(program()).args([command, "--via", "tcp:127.0.0.1:1"]);
        command_line::refuses(
            &program,
            &[
                (&with(&open), "too open"),
                (&with(&empty), "empty"),
                (&["--secret-file", "/nowhere/at/all"], "No such file"),
            ],
        );
        let help = program.clone().arg("--help").run();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(text.contains("Nothing is encrypted"), "{text}");
    }
    // An address of no machine: with a secret, only the kernel refuses it.
    let exposed = Program::new(program()).args([
        "server",
        "--via",
        "tcp-listen:192.0.2.1:1",
        "--upstream",
        "localhost:1",
    ]);
    command_line::refuses(&exposed, &[(&[], "not authenticated")]);
    command_line::cannot_start(&exposed, &with(&good), &["address not available"]);
}

#[test]
fn tunnel_secret_it_is_proved_over_a_unix_socket_as_well() {
    let _test = Test::begin("The proof stands between any transport and the session.");
    let upstream = Scripted::echo();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("link").display().to_string();
    let (one, other) = (secret_file("one"), secret_file("other"));
    let server = Program::new(program()).args(["server", "--upstream", &upstream.addr_text()]);
    let server = server.args(["--via", &format!("unix-listen:{path}")]);
    let server = server.args(with(&one)).env("RUST_LOG", "info").spawn();
    eventually("the server waits for its link", PATIENCE, || {
        std::path::Path::new(&path).exists()
    });
    let client = |secret| {
        let client = Program::new(program()).args(["client", "--listen", "127.0.0.1:0"]);
        let client = client.args(["--via", &format!("unix:{path}")]);
        client.args(with(secret)).env("RUST_LOG", "info").serve()
    };
    let stranger = client(&other);
    server.wait_for_stderr("the peer does not know the secret");
    drop(stranger);
    wait_until_it_carries(client(&one).addr());
}

#[test]
fn tunnel_secret_a_lost_link_is_proved_anew() {
    let _test = Test::begin("A proof is for one connection: the next one has nonces of its own.");
    let upstream = Scripted::echo();
    let secret = secret_file("one");
    let tunnel = Tunnel::to(upstream.addr(), &with(&secret));
    echoes(&tunnel.connect());
    tunnel.server.signal(harness::Signal::SIGKILL);
    tunnel.server.wait();
    let _server = server_on(tunnel.server.addr(), upstream.addr(), &with(&secret));
    tunnel.wait_until_it_carries();
}
