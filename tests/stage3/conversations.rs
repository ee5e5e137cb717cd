//! Exercise 3.5: the line service for clients of every temper.

use std::time::Duration;

use harness::{
    Client as Dialler, Deadline, Rng, Server, Test, ensure, holds_by, lines, proc, sockets,
};

use crate::support::{HALF_A_SECOND, server};

#[test]
fn e35_the_same_service_as_stage_1() {
    let _test =
        Test::begin("Bytes in any pieces, lines out: the machine of stage 1 behind another loop.");
    let server = server();
    lines::short_conversations(server.addr());
    lines::the_longest_line(server.addr());
}

#[test]
fn e35_a_pause_is_not_an_end() {
    let _test = Test::begin(
        "EAGAIN is not the end of the input, and an unfinished line is no reason to spin.",
    );
    let server = server();
    lines::a_pause_within_a_line(server.addr());
    let thinking = Dialler::connect(server.addr());
    thinking.send(b"half a li");
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_a_burst_is_answered_to_its_end() {
    let _test = Test::begin(
        "Bytes that one turn leaves unread are reported again; when a turn has closed a client, dismiss it.",
    );
    let server = server();
    lines::a_burst(server.addr());
    lines::a_mebibyte_before_the_end(server.addr());
}

#[test]
fn e35_a_slow_reader_gets_everything() {
    let _test = Test::begin(
        "After EAGAIN from write, keep the rest and ask for EPOLLOUT until it is gone.",
    );
    let server = server();
    lines::a_slow_reader(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_an_idle_client_costs_no_cpu() {
    let _test = Test::begin("EPOLLOUT only while bytes wait: an idle socket is always writable.");
    let server = server();
    let client = Dialler::connect(server.addr());
    lines::one_line(&client, &mut Rng::for_test());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    lines::one_line(&client, &mut Rng::for_test());
}

#[test]
fn e35_a_stalled_client_costs_nothing_and_holds_nobody() {
    let _test =
        Test::begin("While its answers wait, do not read it; nothing in the loop may block.");
    let server = server();
    lines::served(server.addr());
    let before = proc::private_kib(server.pid());
    let (stalled, input) = lines::a_stalled_client(server.addr());
    let grown = proc::private_kib(server.pid()).saturating_sub(before);
    ensure(
        grown < 2048,
        format!(
            "A client that does not read costs {grown} KiB: the server goes on reading from it, and keeps the answers in memory."
        ),
    );
    lines::served(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    // Its FIN waits behind bytes that are not read yet: that must not become a spin either.
    stalled.half_close();
    lines::served(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    stalled.expect(&lines::reversed(&input));
    stalled.expect_eof();
}

#[test]
fn e35_a_client_that_waits_for_its_last_answers_costs_no_cpu() {
    let _test = Test::begin(
        "After a read of 0 stop asking for readable: the end of the input stays readable forever.",
    );
    let server = server();
    let line = Rng::for_test().line(16 * 1024);
    let count = lines_until_a_pause(&server, &line);
    // With two lines less its end is read as well, and some of its answers are still with the server.
    let input = line.repeat(count.saturating_sub(2));
    let client = slow_client(&server);
    client.send_chunked(&input, line.len());
    client.half_close();
    client.wait_until_read();
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    client.expect(&lines::reversed(&input));
    client.expect_eof();
}

#[test]
fn e35_the_rest_of_an_answer_comes_without_another_line() {
    let _test = Test::begin(
        "The turn decides what a client wants next: register it behind the turn, so that the rest of a short write leaves.",
    );
    let server = server();
    let client = slow_client(&server);
    let line = Rng::for_test().line(16 * 1024);
    let count = lines_until_a_short_write(&client, &line);
    client.expect(&lines::reversed(&line.repeat(count)));
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

/// Sends lines, each when the one before was read, until the kernel does not take all of an answer; returns how many.
fn lines_until_a_short_write(client: &Dialler, line: &[u8]) -> usize {
    let is_answered = |count: usize| {
        client.send(line);
        client.wait_until_read();
        let deadline = Deadline::after(Duration::from_millis(100));
        let all = (count * line.len()) as u64;
        holds_by(deadline, &mut || answers_with_the_kernel(client) >= all)
    };
    (1..1000).take_while(|&count| is_answered(count)).count() + 1
}

/// Returns how many bytes have left the server and were not taken by the client, in both queues of the kernel.
fn answers_with_the_kernel(client: &Dialler) -> u64 {
    let (mine, theirs) = (client.local(), client.remote());
    let sent = sockets::find(theirs, mine).map_or(0, |row| row.unsent);
    sent + sockets::find(mine, theirs).map_or(0, |row| row.unread)
}

/// Connects a client whose receive buffer is small.
fn slow_client(server: &Server) -> Dialler {
    let small = harness::Connect::new().receive_buffer(4096);
    small.to(server.addr())
}

/// Returns how many lines the server reads from a client that takes no answers.
fn lines_until_a_pause(server: &Server, line: &[u8]) -> usize {
    let client = slow_client(server);
    let is_read_soon = || {
        client.send(line);
        let deadline = Deadline::after(Duration::from_millis(300));
        holds_by(deadline, &mut || client.unread_by_peer() == 0)
    };
    (0..1000).take_while(|_| is_read_soon()).count()
}

#[test]
fn e35_a_reset_does_not_end_the_program() {
    let _test = Test::begin("A reset is an error of one client: let it go, and serve the others.");
    let server = server();
    let witness = Dialler::connect(server.addr());
    lines::a_reset_and_then_another(server.addr());
    lines::one_line(&witness, &mut Rng::for_test());
    server.expect_alive();
}

#[test]
fn e35_answers_that_nobody_takes_do_not_end_the_program() {
    let _test = Test::begin(
        "Writing to a client that is gone fails with EPIPE (and SIGPIPE kills, if not ignored).",
    );
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    let client = Dialler::connect(server.addr());
    lines::one_line(&client, &mut Rng::for_test());
    server.stop();
    client.send(b"one\ntwo\n");
    client.half_close();
    client.reset();
    server.cont();
    lines::gone_with_answers_pending(server.addr());
    server.expect_alive();
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_a_stop_and_a_continue_change_nothing() {
    let _test =
        Test::begin("epoll_wait returns EINTR after a stop: that is a turn without events.");
    let server = server();
    let client = Dialler::connect(server.addr());
    for _ in 0..3 {
        server.stop();
        let line = Rng::for_test().line(50);
        client.send(&line);
        server.cont();
        client.expect(&lines::reversed(&line));
        server.stop();
        server.cont();
    }
    lines::served(server.addr());
}
