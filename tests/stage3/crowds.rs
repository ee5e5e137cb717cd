//! Exercise 3.5: many clients at once, old events, and descriptors that run out.

use std::time::{Duration, Instant};

use harness::{
    Client as Dialler, PATIENCE, Program, Rng, Test, eventually, lines, proc, scaled, sockets,
};

use crate::support::{ANY_PORT, HALF_A_SECOND, program, server};

#[test]
fn e35_many_clients_at_once() {
    let _test = Test::begin(
        "200 clients connect at once: accept until EAGAIN, or let epoll report the rest again.",
    );
    let server = server();
    lines::a_crowd(server.addr(), 200);
    let mut rng = Rng::for_test();
    let clients: Vec<_> = (0..100).map(|_| Dialler::connect(server.addr())).collect();
    for _ in 0..3 {
        for client in &clients {
            lines::one_line(client, &mut rng);
        }
    }
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_a_crowd_that_came_in_one_moment() {
    let _test = Test::begin("One event of the listener may mean 200 clients.");
    let server = server();
    server.stop();
    let mut rng = Rng::for_test();
    let clients: Vec<_> = (0..200)
        .map(|_| (Dialler::connect(server.addr()), rng.line(32)))
        .collect();
    for (client, line) in &clients {
        client.send(line);
    }
    server.cont();
    // All stay connected, so no further client causes another event for those that were left.
    for (client, line) in &clients {
        client.expect(&lines::reversed(line));
    }
}

#[test]
fn e35_visits_leave_nothing_behind() {
    let _test =
        Test::begin("A read of 0 is the end of that client: remove its row, close its socket.");
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    for number in 0..200 {
        let client = Dialler::connect(server.addr());
        if number % 2 == 0 {
            client.close()
        } else {
            client.reset()
        }
    }
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_an_event_reaches_nobody_but_its_client() {
    let _test = Test::begin(
        "The kernel uses descriptors again at once: an event of the old owner is not for the new one.",
    );
    let server = server();
    let mut rng = Rng::for_test();
    for _ in 0..5 {
        let old: Vec<_> = (0..20).map(|_| Dialler::connect(server.addr())).collect();
        old.iter()
            .for_each(|client| lines::one_line(client, &mut rng));
        server.stop();
        for (number, client) in old.into_iter().enumerate() {
            client.send(&rng.line(20));
            if number % 2 == 0 {
                client.close()
            } else {
                client.reset()
            }
        }
        let new: Vec<_> = (0..20)
            .map(|_| (Dialler::connect(server.addr()), rng.line(32)))
            .collect();
        new.iter()
            .step_by(2)
            .for_each(|(client, line)| client.send(line));
        server.cont();
        new.iter()
            .skip(1)
            .step_by(2)
            .for_each(|(client, line)| client.send(line));
        for (client, line) in &new {
            client.expect(&lines::reversed(line));
        }
        for (client, _) in &new {
            client.half_close();
            client.expect_eof();
        }
    }
}

#[test]
fn e35_more_clients_than_descriptors_wait_their_turn() {
    let _test = Test::begin(
        "EMFILE: leave the others in the accept queue, pause, and accept again when a client leaves.",
    );
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(64)
        .serve();
    lines::a_crowd(server.addr(), 500);
    server.expect_alive();
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_full_does_not_spin_and_recovers() {
    let _test = Test::begin(
        "A listener that cannot accept stays readable: stop asking about it for a while.",
    );
    let begun = Instant::now();
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(32)
        .serve();
    let mut rng = Rng::for_test();
    let mut clients: Vec<_> = (0..60)
        .map(|_| (Dialler::connect(server.addr()), rng.line(32)))
        .collect();
    clients.iter().for_each(|(client, line)| client.send(line));
    let waiting = clients.split_off(16);
    for (client, line) in &clients {
        client.expect(&lines::reversed(line));
    }
    // Clients wait, and still it sleeps: so it has paused at least once, however late it got a processor.
    eventually("the server pauses", PATIENCE, || {
        proc::is_asleep(server.pid())
    });
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    let (told, time) = (server.stderr().lines().count() as u64, begun.elapsed());
    // Counted from the start, because the first pause already tells a try from many. Four tries a second are plenty.
    harness::ensure(
        told < 20 + 4 * time.as_secs(),
        format!("{told} lines on stderr in {time:?}: a pause is one try and one warning."),
    );
    lines::one_line(&clients[0].0, &mut rng);
    // The served clients leave, so that the next ones are accepted.
    drop(clients);
    for (client, line) in waiting {
        client.expect(&lines::reversed(&line));
    }
    server.expect_alive();
}

#[test]
fn e35_a_full_server_answers_at_once() {
    let _test = Test::begin(
        "When descriptors have run out, accepting pauses and not the loop: the connected clients must not wait with it.",
    );
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(32)
        .serve();
    let mut rng = Rng::for_test();
    let clients: Vec<_> = (0..60).map(|_| Dialler::connect(server.addr())).collect();
    // The first is served as long as others are in the accept queue.
    let (lines, limit) = (20, scaled(Duration::from_secs(4)));
    let begun = Instant::now();
    (0..lines).for_each(|_| lines::one_line(&clients[0], &mut rng));
    let took = begun.elapsed();
    harness::ensure(
        took < limit,
        format!(
            "{lines} lines of one client took {took:?} while others waited for a descriptor; {limit:?} is plenty. A turn of \
             the loop sleeps: set a time at which the listener is asked again, and go on with the clients."
        ),
    );
}

#[test]
fn e35_a_client_that_leaves_makes_room_in_the_same_turn() {
    let _test = Test::begin(
        "First the clients that have events, last the listener: descriptors become free before the next one is needed.",
    );
    let most = 32;
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(most as u64)
        .serve();
    let mut rng = Rng::for_test();
    let mut clients = Vec::new();
    // One is left, because accept(2) wants a free one before it looks whether a client waits at all.
    while proc::lowest_free_fd(server.pid()) < most - 1 {
        let client = Dialler::connect(server.addr());
        lines::one_line(&client, &mut rng);
        clients.push(client);
    }
    // Both events are in one batch, and the listener's is the first: the kernel may still be at work when connect(2) returns.
    server.stop();
    let next = Dialler::connect(server.addr());
    eventually("the client waits to be accepted", PATIENCE, || {
        sockets::is_established(server.addr(), next.local())
    });
    let leaving = clients.swap_remove(0);
    let from = leaving.local();
    leaving.close();
    eventually("the end of the one that leaves is there", PATIENCE, || {
        let row = sockets::find(server.addr(), from);
        row.is_some_and(|row| row.state == sockets::CLOSE_WAIT)
    });
    server.cont();
    lines::one_line(&next, &mut rng);
    // At its end, because a line of the log may be later here than an answer.
    server.terminate();
    let told = server.stderr();
    harness::ensure(
        !told.contains("cannot accept"),
        format!(
            "A client came when descriptors had run out, and another one left in the same moment, but accept(2) was tried before \
             the client had its turn: {told:?}"
        ),
    );
}

#[test]
fn e35_two_hundred_clients_die_at_once() {
    let _test = Test::begin("Each event ends one client; the rest of the batch goes on.");
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    let clients: Vec<_> = (0..200).map(|_| Dialler::connect(server.addr())).collect();
    clients
        .iter()
        .for_each(|client| lines::one_line(client, &mut Rng::for_test()));
    server.stop();
    for client in clients {
        client.reset();
    }
    server.cont();
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}
