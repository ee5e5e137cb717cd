//! Who may come into a tunnel, and where its server lets them go.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use harness::inner_addresses::spellings;
use harness::{Client, Connect, PATIENCE, Program, Scripted, Test, command_line, proc};

use crate::support::program;
use crate::ways::{
    ESTABLISHED, Ways, connect, connect_to, echoes, refused, server_at, socks, socks_address,
    socks_name, socks_reply,
};

#[test]
fn tunnel_ways_no_spelling_of_an_inner_address_is_reached() {
    let _test =
        Test::begin("Judge the address that is about to be dialled, not the text that names it.");
    let rules = [
        "--allow",
        "public,localhost,*.localhost",
        "--connect-timeout",
        "500ms",
    ];
    let ways = Ways::start(&["socks5", "http"], &[], &rules);
    let echo = Scripted::echo();
    let port = echo.addr().port();
    let mut all: Vec<_> = spellings().collect();
    // Last those for which a name server is asked, because this may take as long as it likes.
    all.sort_by_key(|spelling| !spelling.is_numeric());
    let mut asked = 0;
    for spelling in all {
        let by_address = spelling.host.parse().ok();
        let by_address = by_address.map(|address| socks_address(SocketAddr::new(address, port)));
        let requests = by_address
            .into_iter()
            .chain([socks_name(spelling.host, port)]);
        let codes = requests.map(|request| u16::from(socks(ways.at(0), &request).1));
        let mut codes: Vec<u16> = codes.collect();
        let target = spelling.at(port);
        let page = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n");
        for request in [connect_to(&target), page] {
            codes.push(refused(ways.at(1), &request).0);
        }
        for code in codes {
            let is_refused = matches!(code, 2 | 403);
            let is_unknown = matches!(code, 4 | 502) && !spelling.is_numeric();
            assert!(is_refused || is_unknown, "{}: {code}", spelling.host);
            asked += 1;
        }
    }
    assert!(asked >= 180, "{asked} questions");
    assert_eq!(echo.accepts(), 0, "connections that the echo has accepted");
}

#[test]
fn tunnel_ways_the_servers_rules_hold_and_the_clients_are_none_of_its_business() {
    let _test = Test::begin("--deny at the server, whatever the client is.");
    let (open, shut) = (Scripted::echo(), Scripted::echo());
    let deny = format!("127.0.0.1:{}", shut.addr().port());
    let ways = Ways::start(&["socks5"], &[], &["--deny", &deny]);
    let (client, code) = socks(ways.at(0), &socks_address(open.addr()));
    assert_eq!(code, 0, "the code of the reply");
    echoes(&client);
    assert_eq!(socks(ways.at(0), &socks_address(shut.addr())).1, 2);
    assert_eq!(
        shut.accepts(),
        0,
        "connections that the shut upstream has accepted"
    );
}

#[test]
fn tunnel_ways_the_servers_inspector_is_dialled_for_no_client() {
    let _test = Test::begin(
        "The inspector shows all connections: clients from elsewhere must not get there.",
    );
    let ways = Ways::start(&["socks5"], &[], &["--inspect", "0"]);
    let inspector = harness::Inspector::of(&ways.server).addr();
    assert_eq!(socks(ways.at(0), &socks_address(inspector)).1, 2);
    let name = socks_name("localhost", inspector.port());
    assert_eq!(socks(ways.at(0), &name).1, 2);
}

#[test]
fn tunnel_ways_users_are_asked_for_their_passwords() {
    let _test = Test::begin("--user is for the ingresses that have names and passwords.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &["--user", "ada:secret"], &[]);
    let client = Client::connect(ways.at(0));
    client.send(b"\x05\x01\x02\x01\x03ada\x06secret");
    client.expect(&[5, 2, 1, 0]);
    client.send(&socks_address(echo.addr()));
    assert_eq!(
        socks_reply(&client),
        0,
        "the code of the reply to the client"
    );
    echoes(&client);
    let client = Client::connect(ways.at(0));
    client.send(b"\x05\x01\x02\x01\x03ada\x05wrong");
    client.expect(&[5, 2, 1, 1]);
    client.expect_eof();
    let (code, _) = refused(ways.at(1), &connect_to(echo.addr()));
    assert_eq!(code, 407, "the code of the reply");
}

#[test]
fn tunnel_ways_a_user_file_is_read_again_at_sighup() {
    let _test =
        Test::begin("--user-file, as with stage4-proxy: SIGHUP reads it, and ends nothing.");
    let file = tempfile::NamedTempFile::new().expect("a file of users");
    std::fs::write(file.path(), "ada:secret\n").expect("it can be written");
    let path = file.path().to_str().unwrap_or_default();
    let ways = Ways::start(&["socks5"], &["--user-file", path], &[]);
    let log_in = |credentials: &[u8], verdict: u8| {
        let client = Client::connect(ways.at(0));
        client.send(credentials);
        client.expect(&[5, 2, 1, verdict]);
    };
    let (ada, bob) = (
        b"\x05\x01\x02\x01\x03ada\x06secret",
        b"\x05\x01\x02\x01\x03bob\x06secret",
    );
    log_in(ada, 0);
    std::fs::write(file.path(), "bob:secret\n").expect("it can be written");
    ways.client.signal(harness::Signal::SIGHUP);
    ways.client
        .wait_for_stderr("the user file was read again users=1");
    log_in(bob, 0);
    log_in(ada, 1);
}

#[test]
fn tunnel_ways_clients_from_elsewhere_are_reset_and_so_are_their_links() {
    let _test = Test::begin("--clients says who may come in, and who may bring the link.");
    let server = server_at("127.0.0.1:0", &["--clients", "192.0.2.0/24"]);
    Client::connect(server.addr()).expect_reset();
    server.wait_for_stderr("--clients does not admit it");
    let ways = Ways::start(&["http"], &["--clients", "127.0.0.2"], &[]);
    Client::connect(ways.at(0)).expect_reset();
    let echo = Scripted::echo();
    let friend = Connect::new()
        .from(([127, 0, 0, 2], 0).into())
        .to(ways.at(0));
    friend.send(connect_to(echo.addr()).as_bytes());
    friend.expect(ESTABLISHED);
    echoes(&friend);
}

#[test]
fn tunnel_ways_the_flags_are_checked() {
    let _test = Test::begin("An open relay does not start.");
    let client = Program::new(program()).args(["client", "--via", "tcp:127.0.0.1:1"]);
    command_line::refuses(
        &client,
        &[
            (
                &[
                    "--listen",
                    "127.0.0.1:0",
                    "--ingress",
                    "http",
                    "--ingress",
                    "socks5",
                ],
                "in pairs",
            ),
            (
                &["--ingress", "http", "--upstream", "x:1"],
                "--ingress fixed",
            ),
            (
                &["--listen", "0.0.0.0:0", "--ingress", "socks5"],
                "--clients",
            ),
            (&["--user", "ada:secret"], "--user"),
            (&["--ingress", "pigeon"], "--ingress"),
        ],
    );
    let server = Program::new(program()).arg("server");
    let wide = "tcp-listen:0.0.0.0:0";
    command_line::refuses(
        &server,
        &[
            (&["--via", wide], "not authenticated"),
            (&["--via", wide, "--upstream", "x:1"], "not authenticated"),
            (&["--via", wide, "--clients", "private"], "--allow"),
            (
                &[
                    "--via",
                    "tcp-listen:127.0.0.1:0",
                    "--upstream",
                    "x:1",
                    "--allow",
                    "any",
                ],
                "--upstream",
            ),
        ],
    );
}

#[test]
fn tunnel_ways_each_address_has_its_number_of_connections() {
    let _test = Test::begin("--max-per-client: a further client is told so at once, and closed.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &["--max-per-client", "2"], &[]);
    let before = proc::fd_count(ways.client.pid());
    let first = connect(ways.at(1), echo.addr());
    let (second, code) = socks(ways.at(0), &socks_address(echo.addr()));
    assert_eq!(code, 0);
    for _ in 0..5 {
        let further = Client::connect(ways.at(1)).read_to_end();
        assert!(further.starts_with(b"HTTP/1.1 429 "), "{further:?}");
        let further = Client::connect(ways.at(0));
        further.expect(&[5, 0xff]);
        further.expect_eof();
    }
    let elsewhere: SocketAddr = "127.0.0.2:0".parse().expect("an address");
    let elsewhere = Connect::new().from(elsewhere).to(ways.at(1));
    elsewhere.send(connect_to(echo.addr()).as_bytes());
    elsewhere.expect(ESTABLISHED);
    drop(elsewhere);
    drop(first);
    proc::fds_return_to(ways.client.pid(), before + 1);
    echoes(&connect(ways.at(1), echo.addr()));
    echoes(&second);
    // Without a protocol there are no words.
    let upstream = echo.addr().to_string();
    let fixed = ["--max-per-client", "1", "--upstream", &upstream];
    let ways = Ways::start(&["fixed"], &fixed, &[]);
    let only = Client::connect(ways.at(0));
    echoes(&only);
    Client::connect(ways.at(0)).expect_reset();
    echoes(&only);
}

#[test]
fn tunnel_ways_clients_come_in_at_a_unix_socket() {
    let _test = Test::begin("--listen unix:PATH: the file's permissions say which users may come.");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("way.sock");
    let (echo, server) = (Scripted::echo(), server_at("127.0.0.1:0", &[]));
    let listen = format!("unix:{}", path.display());
    let via = format!("tcp:{}", server.addr());
    let program = Program::new(program()).args(["client", "--via", &via, "--listen", &listen]);
    let arguments = ["--ingress", "http", "--max-per-client", "1"];
    let client = program.args(arguments).env("RUST_LOG", "info").spawn();
    client.expect_stdout(format!("listening on {listen}\n").as_bytes());
    client.wait_for_stderr("the link is up");
    let connect = || {
        let stream = UnixStream::connect(&path).expect("it listens");
        let patient = stream.set_read_timeout(Some(PATIENCE));
        patient.expect("a time that is not zero");
        stream
    };
    let mut stream = connect();
    let request = connect_to(echo.addr());
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut reply = vec![0; ESTABLISHED.len()];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(reply, ESTABLISHED);
    stream.write_all(b"hello").expect("it reads");
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).expect("an echo");
    assert_eq!(&bytes, b"hello");
    // All programs at the socket are one client.
    let mut words = Vec::new();
    connect().read_to_end(&mut words).expect("an end");
    assert!(words.starts_with(b"HTTP/1.1 429 "), "{words:?}");
    drop(stream);
    assert!(client.terminate().success());
    assert!(!path.exists(), "the file is removed");
}
