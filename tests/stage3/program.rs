//! Exercise 3.5: how the program starts, refuses and ends.

use crate::support::{program, server};
use harness::command_line::{self, FOREIGN};
use harness::{
    Client as Dialler, ClosedPort, Program, Rng, Server, Test, ensure, expect_value, lines,
};

#[test]
fn e35_one_line_on_stdout_says_where() {
    let _test = Test::begin("Print the real port, once, and flush it.");
    let server = server();
    ensure(
        server.addr().port() != 0,
        "The program announces port 0, which was asked for, and not the port that the kernel has chosen: ask the socket.",
    );
    lines::served(server.addr());
    lines::a_crowd(server.addr(), 10);
    command_line::announced_once(&server);
}

#[test]
fn e35_ipv6_is_an_address_like_any_other() {
    let _test = Test::begin("The domain of the socket follows from the address.");
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let server = Server::start(program(), &["--listen", "[::1]:0"]);
    ensure(
        server.addr().is_ipv6(),
        format!(
            "[::1]:0 was asked for, but the program announces {}.",
            server.addr()
        ),
    );
    lines::served(server.addr());
}

#[test]
fn e35_bad_arguments_end_with_2_and_help_with_0() {
    let _test = Test::begin("clap checks the arguments before anything else happens.");
    let program = Program::new(program());
    command_line::refuses(
        &program,
        &[
            (&["--listen"], "--listen"),
            (&["--listen", "nowhere"], "nowhere"),
            (&["--lisen", "127.0.0.1:0"], "--lisen"),
            (&["surplus"], "surplus"),
        ],
    );
    command_line::help(&program, &["--listen", "127.0.0.1:8080"]);
}

#[test]
fn e35_what_cannot_be_listened_on_is_one_clear_sentence() {
    let _test = Test::begin("main prints the error of listen once and ends with 1.");
    let taken = server();
    let program = Program::new(program());
    for (address, reason) in [
        (taken.addr_text().as_str(), "address already in use"),
        // Whatever the words: the kernel's are "Cannot assign requested address".
        (FOREIGN, "address"),
    ] {
        command_line::cannot_start(&program, &["--listen", address], &[address, reason]);
    }
    command_line::a_port_of_the_system(&program);
}

#[test]
fn e35_a_signal_ends_the_program_with_0() {
    let _test =
        Test::begin("A signal wakes the loop through the waker; the loop ends, and main returns.");
    let cause = "the signal killed the program, or the loop ended with an error instead of Stop.";
    for (signal, status) in [
        ("SIGTERM", server().terminate()),
        ("SIGINT", server().interrupt()),
    ] {
        expect_value(
            format!("The exit code after {signal}"),
            &Some(0),
            &status.code(),
            cause,
        );
    }
    let busy = server();
    let idle = Dialler::connect(busy.addr());
    let (stalled, _) = lines::a_stalled_client(busy.addr());
    lines::one_line(&idle, &mut Rng::for_test());
    expect_value(
        "The exit code after SIGTERM, with an idle and a stalled client",
        &Some(0),
        &busy.terminate().code(),
        cause,
    );
    idle.expect_closed();
    drop(stalled);
}
