//! Exercise 1.1: a listening socket, and the command line's error when there can be none.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::program;
use harness::command_line::{self, FOREIGN};
use harness::deadline::holds_by;
use harness::{
    Client, ClosedPort, Connect, Deadline, Program, Test, ensure, expect_value, fail, sockets,
};
use socket2::Socket;
use stage1_server::{Keepalive, ListenOptions, listen, local_addr};

fn listen_on(address: &str) -> std::io::Result<Socket> {
    let address = address.parse().expect("an address of this file");
    listen(address, &ListenOptions::default())
}

#[test]
fn e11_the_socket_listens_on_a_real_port() {
    let _test = Test::begin("socket, bind, listen, in this order; port 0 lets the kernel choose.");
    for address in ["127.0.0.1:0", "127.0.0.2:0"] {
        let socket = listen_on(address).unwrap();
        let address = local_addr(&socket).unwrap();
        ensure(
            address.port() != 0,
            "The socket listens at port 0, which no client can reach: bind(2) was not called, or too late.",
        );
        let client = Client::connect(address);
        let accepted = socket.accept().unwrap();
        expect_value(
            "The address of the accepted client",
            &Some(client.local()),
            &accepted.1.as_socket(),
            "another client was accepted.",
        );
    }
}

/// Listens, ends a connection, and returns whether the same port can be listened on again.
fn a_port_can_be_used_again() -> bool {
    let socket = listen_on("127.0.0.1:0").expect("a free port");
    let address = local_addr(&socket).expect("an internet address");
    let client = Client::connect(address);
    let accepted = socket.accept().expect("a client");
    // The side that closes first keeps the port in TIME_WAIT, for a minute.
    drop((accepted, socket));
    client.expect_eof();
    client.close();
    // Another test may just be starting a program: its copy of the socket lives until exec(2).
    let soon = Deadline::after(Duration::from_secs(2));
    holds_by(soon, &mut || {
        listen(address, &ListenOptions::default()).is_ok()
    })
}

#[test]
fn e11_a_port_can_be_used_again_at_once() {
    let _test =
        Test::begin("Connections of the last run are in TIME_WAIT: set SO_REUSEADDR before bind.");
    // Three tries: meanwhile the kernel may have given the free port to another program.
    let again = (0..3).any(|_| a_port_can_be_used_again());
    ensure(
        again,
        "After a connection has ended, its port cannot be used again.",
    );
}

#[test]
fn e11_a_crowd_fits_into_the_accept_queue() {
    let _test =
        Test::begin("Pass the backlog of the options to listen(2): a small one keeps clients out.");
    let socket = listen_on("127.0.0.1:0").unwrap();
    let address = local_addr(&socket).unwrap();
    let mut clients = Vec::new();
    for number in 1..=200 {
        let client = Connect::new().try_to(address).unwrap_or_else(|error| {
            fail(format!(
                "Client {number} of 200 cannot connect: {error}. The program accepts none of them, so all have to fit into the \
                 accept queue, whose length is the backlog of listen(2)."
            ))
        });
        clients.push(client);
    }
}

#[test]
fn e11_the_options_reach_the_socket() {
    let _test =
        Test::begin("Set each option of ListenOptions as it says, and not always or never.");
    for wanted in [false, true] {
        let options = ListenOptions {
            nodelay: wanted,
            nonblocking: wanted,
            reuse_port: wanted,
            ..ListenOptions::default()
        };
        let address = "127.0.0.1:0".parse().expect("an address");
        let socket = listen(address, &options).unwrap();
        for (option, seen) in [
            ("nodelay (TCP_NODELAY)", socket.tcp_nodelay()),
            ("nonblocking (O_NONBLOCK)", socket.nonblocking()),
            ("reuse_port (SO_REUSEPORT)", socket.reuse_port()),
        ] {
            expect_value(
                format!("{option} of a socket for which {wanted} was asked"),
                &wanted,
                &seen.unwrap(),
                "the option is ignored, or set whether it was asked for or not.",
            );
        }
    }
}

#[test]
fn e11_an_ipv6_socket_leaves_ipv4_to_others() {
    let _test = Test::begin(
        "Without IPV6_V6ONLY a socket at [::] also takes the IPv4 port, and a program with a listener for each cannot start.",
    );
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let six = listen_on("[::]:0").unwrap();
    let port = local_addr(&six).unwrap().port();
    if let Err(error) = listen_on(&format!("0.0.0.0:{port}")) {
        // Another program may have this port of IPv4; then the option itself has to do.
        ensure(
            six.only_v6().unwrap(),
            format!(
                "Beside a listener at [::]:{port} there can be none at 0.0.0.0:{port}: {error}. Call set_only_v6."
            ),
        );
    }
}

#[test]
fn e11_no_ipv4_client_has_a_mapped_address() {
    let _test = Test::begin(
        "IPV6_V6ONLY for every IPv6 address: a mapped one such as ::ffff:127.0.0.1 would serve IPv4 clients.",
    );
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let at_loopback = listen_on("[::1]:0").unwrap();
    expect_value(
        "IPV6_V6ONLY of a listener at [::1]",
        &true,
        &at_loopback.only_v6().unwrap(),
        "it is set for the unspecified address [::] only.",
    );
    if let Ok(socket) = listen_on("[::ffff:127.0.0.1]:0") {
        fail(format!(
            "A socket listens at {}, and its clients are IPv4 clients under mapped addresses. With IPV6_V6ONLY, \
             bind(2) refuses such an address.",
            local_addr(&socket).unwrap()
        ));
    }
}

#[test]
fn e11_a_client_that_vanishes_is_noticed() {
    let _test = Test::begin("A vanished client sends nothing, not even a FIN: let the kernel ask.");
    let socket = listen_on("127.0.0.1:0").unwrap();
    let client = Client::connect(local_addr(&socket).unwrap());
    let (accepted, _) = socket.accept().unwrap();
    let timer = sockets::find(client.remote(), client.local()).map(|row| row.timer);
    ensure(
        timer == Some(sockets::KEEPALIVE),
        format!(
            "The kernel has no keepalive timer for the accepted socket (its timer in /proc/net/tcp is {timer:?}, not 2), so it never \
             asks whether a silent client is still there: call set_keepalive on the listener, whose sockets inherit it."
        ),
    );
    let most = Keepalive::default().until_vanished();
    expect_value(
        "The time that bytes may stay unacknowledged (TCP_USER_TIMEOUT)",
        &Some(most),
        &accepted.tcp_user_timeout().unwrap(),
        "Keepalive::set_on sets it, and was not called.",
    );
    let impatient = Keepalive::every(Duration::from_secs(7));
    let options = ListenOptions {
        keepalive: Some(impatient),
        ..ListenOptions::default()
    };
    let socket = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    expect_value(
        "How long a client may be silent before the kernel asks it (TCP_KEEPIDLE), with an interval of seven seconds,",
        &Duration::from_secs(7),
        &socket.tcp_keepalive_time().unwrap(),
        "the Keepalive of the options only switches on one with other values.",
    );
    let options = ListenOptions {
        keepalive: None,
        ..ListenOptions::default()
    };
    let without = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    ensure(
        !without.keepalive().unwrap(),
        "Keepalive was not asked for, but the socket has it: set it only if the options have one.",
    );
}

#[test]
fn e11_a_port_in_use_is_one_clear_sentence() {
    let _test =
        Test::begin("The error of listen names the address; main prints it once and ends with 1.");
    // Not with `listen`, so that the program is judged alone.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::new(program());
    command_line::cannot_start(
        &program,
        &["--listen", &address],
        &[&address, "address already in use"],
    );
}

#[test]
fn e11_a_foreign_address_is_one_clear_sentence() {
    let _test = Test::begin("bind(2) fails with EADDRNOTAVAIL: say which address it was.");
    let program = Program::new(program());
    command_line::cannot_start(
        &program,
        &["--listen", FOREIGN],
        // Whatever the words: the kernel's are "Cannot assign requested address".
        &[FOREIGN, "address"],
    );
}

#[test]
fn e11_a_port_of_the_system_is_one_clear_sentence() {
    let _test =
        Test::begin("bind(2) fails with EACCES for a port below 1024: say which address it was.");
    command_line::a_port_of_the_system(&Program::new(program()));
}

#[test]
fn e11_malformed_flags_end_with_2() {
    let _test = Test::begin("clap checks the arguments before anything else happens.");
    command_line::refuses(
        &Program::new(program()),
        &[
            (&["--listen"], "--listen"),
            (&["--listen", "nowhere"], "nowhere"),
            (&["--listen", "127.0.0.1:99999"], "127.0.0.1:99999"),
            (&["--lisen", "127.0.0.1:0"], "--lisen"),
            (&["surplus"], "surplus"),
        ],
    );
}

#[test]
fn e11_help_names_the_flag_and_its_default() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    command_line::help(&Program::new(program()), &["--listen", "127.0.0.1:8080"]);
}
