//! Exercise 1.5: many connections, big conversations, few descriptors, a client that does not read.

use crate::support::{ANY_PORT, HALF_A_SECOND, program, server};
use harness::{Client, PATIENCE, Program, Test, ensure, eventually, lines, proc};

#[test]
fn e15_a_hundred_visits_leave_nothing_behind() {
    let _test = Test::begin(
        "A read of 0 is the end: leave the loop, and the socket is closed by dropping it.",
    );
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    for _ in 0..100 {
        Client::connect(server.addr()).close();
    }
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e15_a_crowd_is_served_in_turn() {
    let _test = Test::begin("The accept queue holds the clients that wait; none may be lost.");
    lines::a_crowd(server().addr(), 200);
}

#[test]
fn e15_few_file_descriptors_are_enough() {
    let _test = Test::begin("One client at a time needs one descriptor at a time.");
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(16)
        .serve();
    lines::a_crowd(server.addr(), 500);
    server.expect_alive();
}

#[test]
fn e15_big_conversations() {
    let _test = Test::begin(
        "Every byte is answered, however many there are and however slowly they are read.",
    );
    let server = server();
    lines::a_mebibyte_before_the_end(server.addr());
    lines::a_burst(server.addr());
    lines::a_slow_reader(server.addr());
    lines::the_longest_line(server.addr());
}

#[test]
fn e15_a_client_that_does_not_read_costs_no_cpu_and_no_memory() {
    let _test = Test::begin("Wait in write until the client reads; do not collect its answers.");
    let server = server();
    lines::served(server.addr());
    let before = proc::private_kib(server.pid());
    let (client, input) = lines::a_stalled_client(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    let grown = proc::private_kib(server.pid()).saturating_sub(before);
    ensure(
        grown < 2048,
        format!(
            "A client that does not read costs {grown} KiB: the server goes on reading from it, and keeps the answers in memory."
        ),
    );
    client.half_close();
    client.expect(&lines::reversed(&input));
    client.expect_eof();
}

/// Returns the number that the next descriptor of a program gets; it may have inherited higher ones.
fn first_free(pid: u32) -> usize {
    let is_open = |number: &usize| {
        let link = format!("/proc/{pid}/fd/{number}");
        std::fs::symlink_metadata(link).is_ok()
    };
    (0..).take_while(is_open).count()
}

#[test]
fn e15_descriptors_that_run_out_are_waited_for() {
    let _test = Test::begin(
        "accept(2) fails with EMFILE, and would fail again at once: pause before the next try.",
    );
    let server = server();
    let used = proc::fd_count(server.pid());
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), used);
    eventually("the program waits for a client", PATIENCE, || {
        proc::is_asleep(server.pid())
    });
    if !proc::limit_files(server.pid(), first_free(server.pid())) {
        return;
    }
    // accept(2) takes its descriptor before it waits, so the call that waits now can still serve a client.
    lines::served(server.addr());
    let client = Client::connect(server.addr());
    client.send(b"abc\n");
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    assert!(
        proc::limit_files(server.pid(), 1000),
        "the limit could not be raised again"
    );
    client.expect(b"cba\n");
}
