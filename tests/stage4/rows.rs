//! Exercise 4.1 in the running proxy: which row is whose (requirements A1 to A3, B6).

use std::collections::HashSet;

use harness::{Client, Hand, Peer, Rng, Test, eventually_equal, proc};

use crate::support::{Proxy, Row, proxy_and_echo, proxy_and_hand, session, talk};

#[test]
fn e41_row_milestone_1_a_client_is_one_row_one_upstream_accept_and_no_bytes() {
    let _test = Test::begin("Accept, connect to the upstream, and put both numbers into one row.");
    let (proxy, hand) = proxy_and_hand(&[]);
    assert_eq!(proxy.routes().sessions.len(), 0, "rows of the route table");
    let (client, _upstream) = session(&proxy, &hand);
    proxy.wait_for_phases(&["relay"]);
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
    let row = proxy.row_of(&client);
    assert_eq!(
        (row.bytes_up, row.bytes_down),
        (0, 0),
        "bytes up and down in the row"
    );
}

/// A1 and A2.
#[test]
fn e41_row_every_client_has_its_own_row_and_its_own_upstream() {
    const CLIENTS: usize = 40;
    let _test =
        Test::begin("One row a session: the client's five-tuple and cfd, the upstream's and ufd.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let sessions: Vec<_> = (0..CLIENTS).map(|_| session(&proxy, &hand)).collect();
    proxy.wait_for_phases(&["relay"; CLIENTS]);
    assert_eq!(
        hand.accepts(),
        CLIENTS,
        "connections that the upstream has accepted"
    );
    let ports: HashSet<_> = hand.peers().into_iter().collect();
    assert_eq!(ports.len(), CLIENTS, "source ports at the upstream");
    let routes = proxy.routes().sessions;
    assert_eq!(routes.len(), CLIENTS, "rows of the route table");
    for (client, upstream) in &sessions {
        let row = find(&routes, client);
        // The proxy's view is the mirror image of the peers' own getsockname and getpeername.
        assert_eq!(
            row.client.local,
            Some(client.remote()),
            "the proxy's end of the client's connection"
        );
        let ours = row.upstream.expect("a session that relays has an upstream");
        assert_eq!(
            (ours.local, ours.peer),
            (Some(upstream.remote()), Some(upstream.local())),
            "both ends of the upstream's connection"
        );
    }
    let fds = routes
        .iter()
        .flat_map(|row| [Some(row.client.fd), row.upstream.map(|cell| cell.fd)]);
    let fds: HashSet<_> = fds.flatten().collect();
    assert_eq!(
        fds.len(),
        2 * CLIENTS,
        "each socket has a number of its own"
    );
}

#[track_caller]
fn find<'a>(rows: &'a [Row], client: &Client) -> &'a Row {
    let row = rows
        .iter()
        .find(|row| row.client.peer == Some(client.local()));
    row.unwrap_or_else(|| harness::fail(format!("{} has no row", client.name())))
}

#[test]
fn e41_row_bytes_and_words_of_a_session() {
    let _test =
        Test::begin("A row counts the bytes of each direction and names both peers (B10, E6).");
    let hand = Hand::start();
    let target = format!("localhost:{}", hand.addr().port());
    let proxy = Proxy::with(&target, &["--prefer", "ipv4"]);
    let (client, upstream) = session(&proxy, &hand);
    client.send(&[7; 1000]);
    upstream.expect(&[7; 1000]);
    upstream.send(&[8; 333]);
    client.expect(&[8; 333]);
    let row = proxy.row_of(&client);
    assert_eq!(
        (row.bytes_up, row.bytes_down),
        (1000, 333),
        "bytes up and down in the row"
    );
    assert_eq!(
        row.description,
        format!("fixed[{} -> {target}]", client.local()),
        "the description of the session"
    );
    eventually_equal("the age grows", &true, || {
        proxy.row_of(&client).age_ms > row.age_ms
    });
}

#[test]
fn e41_row_closing_either_side_removes_exactly_one_row() {
    let _test = Test::begin("Both sides find the row of their session, and no other.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let mut sessions: Vec<_> = (0..12).map(|_| session(&proxy, &hand)).collect();
    proxy.wait_for_phases(&["relay"; 12]);
    let mut rng = Rng::for_test();
    while sessions.len() > 4 {
        let chosen = rng.below(sessions.len());
        let (client, upstream) = sessions.swap_remove(chosen);
        let address = client.local();
        let (first, second) = if sessions.len() % 2 == 0 {
            (client, upstream)
        } else {
            (upstream, client)
        };
        first.close();
        second.expect_eof();
        second.close();
        proxy.wait_for_rows(sessions.len());
        let rest = proxy.routes().sessions;
        assert!(
            rest.iter().all(|row| row.client.peer != Some(address)),
            "the row of a client that has left is still there"
        );
    }
    for (client, upstream) in &sessions {
        talk(client, upstream);
    }
}

/// A3: 2,000 cycles.
#[test]
fn e41_row_two_thousand_visits_leave_nothing_behind() {
    let _test = Test::begin("Removing the row closes both sockets; nothing else remembers them.");
    let (proxy, echo) = proxy_and_echo(&[]);
    crate::support::echoes(&Client::connect(proxy.addr()));
    proxy.wait_for_rows(0);
    let before = proc::fd_count(proxy.pid());
    let memory = proc::private_kib(proxy.pid());
    for number in 0..2000 {
        let client = Client::connect(proxy.addr());
        match number % 3 {
            0 => client.close(),
            1 => client.reset(),
            _ => crate::support::echoes(&client),
        }
    }
    proxy.wait_for_rows(0);
    proc::fds_return_to(proxy.pid(), before);
    assert!(
        echo.accepts() > 600,
        "some clients never reached the upstream"
    );
    let grown = proc::private_kib(proxy.pid()).saturating_sub(memory);
    assert!(grown < 1024, "{grown} KiB more after 2,000 sessions");
    proc::assert_cpu_idle(proxy.pid(), crate::support::HALF_A_SECOND);
}

/// Ends one session and begins another within one turn of the proxy's loop, and checks that the new one gets only its
/// own bytes.
#[track_caller]
fn one_goes_one_comes(proxy: &Proxy, hand: &Hand, leave: impl Fn(Client, Peer)) {
    let mut rng = Rng::for_test();
    let (client, upstream) = session(proxy, hand);
    talk(&client, &upstream);
    proxy.stop();
    leave(client, upstream);
    let next = Client::connect(proxy.addr());
    let (question, answer) = (rng.nonce(64), rng.nonce(64));
    next.send(&question);
    proxy.cont();
    let arrived = hand.next();
    arrived.expect(&question);
    arrived.send(&answer);
    next.expect(&answer);
    talk(&next, &arrived);
}

#[test]
fn e41_row_an_event_of_a_closed_socket_does_not_reach_the_next() {
    let _test = Test::begin(
        "Numbers are reused: an event belongs to the socket that it was registered for.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    for _ in 0..10 {
        one_goes_one_comes(&proxy, &hand, |client, upstream| {
            client.close();
            upstream.close();
        });
        one_goes_one_comes(&proxy, &hand, |client, upstream| {
            client.reset();
            upstream.send(b"a late answer for the first client");
            upstream.close();
        });
        one_goes_one_comes(&proxy, &hand, |client, upstream| {
            client.send(b"a late question");
            upstream.reset();
            client.close();
        });
    }
    proxy.wait_for_rows(0);
}

#[test]
fn e41_row_reused_numbers_never_see_the_bytes_of_others() {
    let _test = Test::begin("A session that reuses a number begins with clean halves.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let mut rng = Rng::for_test();
    let mut numbers = HashSet::new();
    for _ in 0..30 {
        // The first session ends with bytes on their way in both directions.
        let (client, upstream) = session(&proxy, &hand);
        client.send(&rng.bytes(100_000));
        upstream.send(&rng.bytes(100_000));
        client.reset();
        drop(upstream);
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        numbers.insert(proxy.row_of(&client).client.fd);
    }
    assert!(numbers.len() < 30, "no number was used again: {numbers:?}");
}
