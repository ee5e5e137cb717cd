//! Exercise 3.5: how the program starts, refuses and ends.

use std::net::SocketAddr;

use crate::support::{program, server};
use harness::{Client as Dialler, ClosedPort, Program, Rng, Server, Test, lines};

#[test]
fn e35_one_line_on_stdout_says_where() {
    let _test = Test::begin("Print the real port, once, and flush it.");
    let server = server();
    assert_ne!(server.addr().port(), 0);
    lines::served(server.addr());
    lines::a_crowd(server.addr(), 10);
    let expected = format!("listening on {}\n", server.addr());
    assert!(server.terminate().success());
    assert_eq!(String::from_utf8_lossy(&server.stdout()), expected);
}

#[test]
fn e35_ipv6_is_an_address_like_any_other() {
    let _test = Test::begin("The domain of the socket follows from the address.");
    if ClosedPort::try_at(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))).is_err() {
        return; // This machine has no IPv6.
    }
    let server = Server::start(program(), &["--listen", "[::1]:0"]);
    assert!(server.addr().is_ipv6());
    lines::served(server.addr());
}

#[test]
fn e35_bad_arguments_end_with_2_and_help_with_0() {
    let _test = Test::begin("clap checks the arguments before anything else happens.");
    let wrong: [&[&str]; 4] = [
        &["--listen"],
        &["--listen", "nowhere"],
        &["--lisen", "127.0.0.1:0"],
        &["surplus"],
    ];
    for arguments in wrong {
        let finished = Program::new(program()).args(arguments).run();
        finished.expect_code(2);
        assert_eq!(finished.stdout, b"");
        assert!(
            !finished.stderr.is_empty(),
            "{arguments:?} needs an explanation"
        );
    }
    let finished = Program::new(program()).arg("--help").run();
    let help = String::from_utf8_lossy(&finished.expect_code(0).stdout).into_owned();
    assert!(
        help.contains("--listen") && help.contains("127.0.0.1:8080"),
        "{help}"
    );
}

#[test]
fn e35_what_cannot_be_listened_on_is_one_clear_sentence() {
    let _test = Test::begin("main prints the error of listen once and ends with 1.");
    let taken = server();
    for address in [taken.addr_text().as_str(), "192.0.2.213:0"] {
        let finished = Program::new(program()).args(["--listen", address]).run();
        finished.expect_code(1).expect_one_sentence(&[address]);
        assert_eq!(
            finished.stdout, b"",
            "nothing listens, so nothing may be announced"
        );
    }
}

#[test]
fn e35_a_signal_ends_the_program_with_0() {
    let _test =
        Test::begin("A signal wakes the loop through the waker; the loop ends, and main returns.");
    assert_eq!(server().terminate().code(), Some(0));
    assert_eq!(server().interrupt().code(), Some(0));
    let busy = server();
    let idle = Dialler::connect(busy.addr());
    let (stalled, _) = lines::a_stalled_client(busy.addr());
    lines::one_line(&idle, &mut Rng::for_test());
    assert_eq!(
        busy.terminate().code(),
        Some(0),
        "with an idle and a stalled client"
    );
    idle.expect_closed();
    drop(stalled);
}
