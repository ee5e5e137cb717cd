//! Black-box tests of stage 3: the line service on an event loop, for any number of clients.
//!
//! The name of each test begins with its exercise: `cargo test -p stage3-epoll e32` grades exercise 3.2.
//! Exercises 3.1 to 3.4 are parts of the loop and are tested through the library; 3.5 is the whole program.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use harness::{
    Client as Dialler, ClosedPort, PATIENCE, Program, Rng, Server, Test, lines, proc, scaled,
};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use signal_hook::consts::SIGUSR1;
use stage3_epoll::{
    Client, Clients, Event, Events, Fact, Interest, MAX_PENDING, Poll, Readiness, State, Token,
    Waker,
};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
const HALF_A_SECOND: Duration = Duration::from_millis(500);

fn program() -> PathBuf {
    harness::bin!("stage3-epoll")
}

fn server() -> Server {
    Server::start(program(), &ANY_PORT)
}

// ---- exercise 3.1: Poll, Interest, Event ----

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a non-blocking socket");
    (ours, theirs)
}

fn registered(fd: impl AsFd, token: Token, interest: Interest) -> Poll {
    let poll = Poll::new().expect("an epoll instance");
    poll.register(fd, token, interest).expect("a registration");
    poll
}

/// Waits for events, at most `timeout`.
fn events_within(poll: &Poll, timeout: Duration) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    poll.poll(&mut events, Some(timeout)).expect("poll");
    events.iter().collect()
}

fn events_now(poll: &Poll) -> Vec<Event> {
    events_within(poll, Duration::ZERO)
}

/// Waits for exactly one event.
fn one_event(poll: &Poll) -> Event {
    let events = events_within(poll, scaled(PATIENCE));
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

#[test]
fn e31_bytes_make_a_socket_readable() {
    let _test = Test::begin(
        "register adds the descriptor, poll fetches the events: epoll_ctl(2), epoll_wait(2).",
    );
    let (ours, mut theirs) = pair();
    let token = Token(u64::MAX - 7);
    let poll = registered(&ours, token, Interest::READABLE);
    assert!(events_now(&poll).is_empty(), "nothing has come yet");
    theirs.write_all(b"x").unwrap();
    let event = one_event(&poll);
    assert_eq!(event.token(), token, "all 64 bits of the token come back");
    assert!(event.is_readable() && !event.is_read_closed() && !event.is_error());
    assert!(!event.is_writable(), "nobody asked for it");
    assert!(
        one_event(&poll).is_readable(),
        "level-triggered: as long as bytes wait, it says so"
    );
}

#[test]
fn e31_edges_are_reported_once() {
    let _test = Test::begin("Interest::edge adds EPOLLET and keeps what was there.");
    let (ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE.edge());
    theirs.write_all(b"x").unwrap();
    assert!(one_event(&poll).is_readable());
    assert!(events_now(&poll).is_empty(), "the same bytes are no news");
    theirs.write_all(b"y").unwrap();
    assert!(one_event(&poll).is_readable());
}

#[test]
fn e31_interest_says_what_is_asked_for() {
    let _test = Test::begin("wanting(read, write) is one of four constants.");
    let table = [
        (false, false, Interest::NONE),
        (true, false, Interest::READABLE),
        (false, true, Interest::WRITABLE),
        (true, true, Interest::BOTH),
    ];
    for (read, write, interest) in table {
        assert_eq!(
            Interest::wanting(read, write),
            interest,
            "read {read}, write {write}"
        );
    }
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    for (read, write, interest) in table {
        let poll = registered(&ours, Token(1), interest);
        let events = events_now(&poll);
        assert_eq!(
            events.iter().any(|event| event.is_readable()),
            read,
            "{interest:?}"
        );
        assert_eq!(
            events.iter().any(|event| event.is_writable()),
            write,
            "{interest:?}"
        );
    }
}

#[test]
fn e31_interest_can_be_changed_and_withdrawn() {
    let _test =
        Test::begin("reregister replaces token and interest; deregister takes the descriptor out.");
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    poll.reregister(&ours, Token(2), Interest::WRITABLE)
        .unwrap();
    let event = one_event(&poll);
    assert_eq!(
        (event.token(), event.is_readable(), event.is_writable()),
        (Token(2), false, true)
    );
    poll.reregister(&ours, Token(3), Interest::NONE).unwrap();
    assert!(events_now(&poll).is_empty());
    poll.reregister(&ours, Token(4), Interest::BOTH).unwrap();
    assert!(one_event(&poll).is_readable());
    poll.deregister(&ours).unwrap();
    assert!(events_now(&poll).is_empty());
    assert!(
        poll.reregister(&ours, Token(5), Interest::BOTH).is_err(),
        "it is not registered any more"
    );
}

#[test]
fn e31_a_closed_descriptor_leaves_by_itself() {
    let _test = Test::begin("The poll must not keep a copy of the descriptor.");
    let (ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    theirs.write_all(b"x").unwrap();
    drop(ours);
    assert!(events_now(&poll).is_empty());
}

#[test]
fn e31_the_ends_of_a_connection_can_be_told_apart() {
    let _test = Test::begin(
        "EPOLLRDHUP: no more comes. EPOLLHUP: both directions are over. Ask for RDHUP with READABLE.",
    );
    let (ours, theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let event = one_event(&poll);
    assert!(
        event.is_read_closed() && !event.is_write_closed() && !event.is_error(),
        "the other side has ended its output, and nothing else: {event:?}"
    );
    drop(theirs);
    let event = one_event(&poll);
    assert!(
        event.is_read_closed() && event.is_write_closed(),
        "the other side is gone, so both directions are over; one flag of several is enough: {event:?}"
    );
    let table = [
        (Readiness::EPOLLIN, [true, false, false, false, false]),
        (Readiness::EPOLLOUT, [false, true, false, false, false]),
        (Readiness::EPOLLRDHUP, [false, false, true, false, false]),
        (Readiness::EPOLLHUP, [false, false, true, true, false]),
        (Readiness::EPOLLERR, [false, false, false, true, true]),
    ];
    for (readiness, expected) in table {
        let event = Event::new(Token(9), readiness);
        let seen = [
            event.is_readable(),
            event.is_writable(),
            event.is_read_closed(),
            event.is_write_closed(),
            event.is_error(),
        ];
        assert_eq!(
            seen, expected,
            "{readiness:?}: readable, writable, read closed, write closed, error"
        );
    }
}

#[test]
fn e31_a_time_limit_is_never_too_short() {
    let _test =
        Test::begin("epoll counts milliseconds: round up, or 300 microseconds become a busy loop.");
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    for limit in [Duration::from_micros(300), Duration::from_micros(20_500)] {
        let before = Instant::now();
        assert!(events_within(&poll, limit).is_empty());
        assert!(
            before.elapsed() >= limit,
            "{limit:?} took only {:?}",
            before.elapsed()
        );
    }
}

#[test]
fn e31_a_signal_is_no_error() {
    let _test = Test::begin(
        "A signal ends epoll_wait(2) early, with EINTR. That is no error: the wait has brought no events.",
    );
    signal_hook::flag::register(SIGUSR1, Arc::new(AtomicBool::new(false))).unwrap();
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    let waiter = pthread_self();
    thread::scope(|scope| {
        let signals = scope.spawn(|| {
            for _ in 0..50 {
                pthread_kill(waiter, Signal::SIGUSR1).unwrap();
                // Spread over many waits: a signal between two of them interrupts nothing.
                thread::sleep(Duration::from_millis(2));
            }
        });
        while !signals.is_finished() {
            assert!(events_within(&poll, Duration::from_millis(20)).is_empty());
        }
    });
}

#[test]
fn e31_many_descriptors_have_their_own_tokens() {
    let _test =
        Test::begin("Each event carries the token that was registered with its descriptor.");
    let pairs: Vec<_> = (0..8).map(|_| pair()).collect();
    let poll = Poll::new().unwrap();
    for (number, (ours, _)) in (0..).zip(&pairs) {
        poll.register(ours, Token(number << 40 | 5), Interest::READABLE)
            .unwrap();
    }
    for number in [3, 6] {
        (&pairs[number].1).write_all(b"x").unwrap();
    }
    let mut tokens: Vec<_> = events_now(&poll)
        .iter()
        .map(|event| event.token().0 >> 40)
        .collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [3, 6]);
}

// ---- exercise 3.2: Waker ----

#[test]
fn e32_another_thread_wakes_the_poll() {
    let _test = Test::begin(
        "An eventfd that is registered like a socket: writing to it makes it readable.",
    );
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(&poll, Token(77)).unwrap());
    assert!(events_now(&poll).is_empty(), "nobody has called yet");
    let other = Arc::clone(&waker);
    let thread = thread::spawn(move || other.wake());
    assert_eq!(one_event(&poll).token(), Token(77));
    thread.join().unwrap().unwrap();
}

#[test]
fn e32_many_calls_are_one_event() {
    let _test =
        Test::begin("reset reads the counter: then the poll is silent until the next call.");
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(77)).unwrap();
    for _ in 0..100 {
        waker.wake().unwrap();
    }
    assert_eq!(one_event(&poll).token(), Token(77));
    waker.reset().unwrap();
    assert!(events_now(&poll).is_empty());
    waker.wake().unwrap();
    assert_eq!(one_event(&poll).token(), Token(77));
}

#[test]
fn e32_reset_without_a_call_does_not_wait() {
    let _test = Test::begin("EAGAIN from an empty eventfd is no error.");
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(77)).unwrap();
    waker.reset().unwrap();
    waker.reset().unwrap();
}

// ---- exercise 3.3: Client ----

/// A client whose other end is in the test's hand.
fn client() -> (Client<UnixStream>, UnixStream) {
    let (ours, theirs) = pair();
    theirs.set_nonblocking(true).expect("a non-blocking socket");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    (Client::new(ours, address), theirs)
}

fn turn(client: &mut Client<UnixStream>) -> std::io::Result<()> {
    let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
    client.on_event(Event::new(Token(0), both), &mut vec![0; 16 * 1024])
}

fn received(theirs: &mut UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    let length = theirs.read(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

#[test]
fn e33_a_state_follows_from_a_fact() {
    let _test = Test::begin("The diagram of State, arrow by arrow.");
    use Fact::{AllSent, EndOfInput, Failure};
    use State::{Closed, Draining, Open};
    let table = [
        (Open, EndOfInput, Draining),
        (Open, AllSent, Open),
        (Open, Failure, Closed),
        (Draining, EndOfInput, Draining),
        (Draining, AllSent, Closed),
        (Draining, Failure, Closed),
        (Closed, EndOfInput, Closed),
        (Closed, AllSent, Closed),
        (Closed, Failure, Closed),
    ];
    for (state, fact, next) in table {
        assert_eq!(state.after(fact), next, "{state:?} after {fact:?}");
    }
}

#[test]
fn e33_an_event_is_only_a_hint() {
    let _test = Test::begin("EAGAIN means not yet: no error, and no end.");
    let (mut client, mut theirs) = client();
    turn(&mut client).unwrap();
    theirs.write_all(b"ha").unwrap();
    turn(&mut client).unwrap();
    turn(&mut client).unwrap();
    assert_eq!(client.state(), State::Open);
    theirs.write_all(b"lf\n").unwrap();
    turn(&mut client).unwrap();
    assert_eq!(received(&mut theirs), b"flah\n");
}

#[test]
fn e33_an_idle_client_wants_to_read_only() {
    let _test =
        Test::begin("Ask for writable only while bytes wait: a socket is nearly always writable.");
    let (mut client, mut theirs) = client();
    assert_eq!(client.interest(), Interest::READABLE);
    theirs.write_all(b"one\n").unwrap();
    turn(&mut client).unwrap();
    assert_eq!(
        received(&mut theirs),
        b"eno\n",
        "written at once, in the same turn"
    );
    assert_eq!(client.interest(), Interest::READABLE);
    assert_eq!(
        client.change_of_interest(),
        None,
        "nothing changed, so nothing is registered"
    );
}

/// Sends lines to a client that nobody reads from, until it wants no more.
fn fill(client: &mut Client<UnixStream>, theirs: &mut UnixStream) -> Vec<u8> {
    let line = Rng::for_test().line(1000);
    let mut sent = Vec::new();
    for _ in 0..10_000 {
        if theirs.write(&line).is_ok_and(|length| length == line.len()) {
            sent.extend_from_slice(&line);
        }
        turn(client).expect("a turn");
        if client.interest() == Interest::WRITABLE {
            return sent;
        }
    }
    harness::fail("the client takes more and more although nobody reads its answers")
}

#[test]
fn e33_who_does_not_read_is_not_read() {
    let _test =
        Test::begin("At MAX_PENDING bytes of output, stop reading; go on when there is room.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    assert!(sent.len() >= MAX_PENDING);
    assert_eq!(client.change_of_interest(), Some(Interest::WRITABLE));
    let mut answer = Vec::new();
    while answer.len() < sent.len() {
        answer.extend(received(&mut theirs));
        turn(&mut client).unwrap();
    }
    assert!(answer == lines::reversed(&sent), "all answers, in order");
    assert_eq!(client.change_of_interest(), Some(Interest::READABLE));
}

#[test]
fn e33_the_end_of_the_input_is_not_the_end_of_the_answers() {
    let _test = Test::begin("Draining: want to write, not to read, until the last answer is sent.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // Bounded: an honest client needs about one turn for each 64 KiB.
    for _ in 0..10_000 {
        answer.extend(received(&mut theirs));
        turn(&mut client).unwrap();
        if client.state() == State::Draining {
            assert_eq!(client.interest(), Interest::WRITABLE);
        }
        if client.state() == State::Closed {
            break;
        }
    }
    answer.extend(received(&mut theirs));
    assert_eq!(client.state(), State::Closed);
    assert!(answer == lines::reversed(&sent), "all answers, in order");
}

#[test]
fn e33_a_last_line_without_newline_is_answered() {
    let _test = Test::begin("A read of 0: answer the rest, then close.");
    let (mut client, mut theirs) = client();
    theirs.write_all(b"one\nlast").unwrap();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    turn(&mut client).unwrap();
    turn(&mut client).unwrap();
    assert_eq!(received(&mut theirs), b"eno\ntsal");
    assert_eq!(client.state(), State::Closed);
}

#[test]
fn e33_a_turn_is_bounded() {
    let _test = Test::begin("One read in a turn: who sends much must not hold the others up.");
    let (mut client, mut theirs) = client();
    let line = b"0123456789abcde\n".repeat(8 * 1024);
    let sent = theirs.write(&line).unwrap();
    assert!(
        sent > 64 * 1024,
        "the pair of sockets takes {sent} bytes at once"
    );
    turn(&mut client).unwrap();
    let answered = received(&mut theirs).len();
    assert!(
        (1..=16 * 1024).contains(&answered),
        "{answered} bytes in one turn of 16 KiB"
    );
}

// ---- exercise 3.4: Clients ----

#[test]
fn e34_a_token_finds_its_client() {
    let _test = Test::begin(
        "The row number is in the token: no searching. A token that is given twice removes nobody twice.",
    );
    let mut clients = Clients::new();
    assert!(clients.is_empty());
    let tokens: Vec<_> = (0..100).map(|number| clients.insert(number)).collect();
    assert_eq!(clients.len(), 100);
    for (number, token) in (0..100).zip(&tokens) {
        assert_eq!(clients.get_mut(*token), Some(&mut { number }));
    }
    assert_eq!(clients.remove(tokens[40]), Some(40));
    assert_eq!(clients.remove(tokens[40]), None, "gone is gone");
    assert_eq!(clients.len(), 99, "one of 100 has left, and only once");
    assert_eq!(
        clients.get_mut(tokens[41]),
        Some(&mut 41),
        "a neighbour stays"
    );
}

#[test]
fn e34_an_old_token_never_finds_a_new_client() {
    let _test = Test::begin(
        "Count the clients of a row: the generation tells an old token from a new one.",
    );
    let mut clients = Clients::new();
    let mut old = Vec::new();
    for number in 0..1000 {
        let token = clients.insert(number);
        assert!(!old.contains(&token), "no token is used twice");
        assert_eq!(clients.remove(token), Some(number));
        old.push(token);
    }
    let newest = clients.insert(4711);
    assert!(
        old.iter()
            .all(|token| clients.get_mut(*token).is_none() && clients.remove(*token).is_none())
    );
    assert_eq!(clients.get_mut(newest), Some(&mut 4711));
}

#[test]
fn e34_rows_are_used_again() {
    let _test =
        Test::begin("A free list: the table is as long as the largest crowd, not as the day.");
    let mut clients = Clients::new();
    let mut rows = std::collections::HashSet::new();
    for number in 0..10_000 {
        let token = clients.insert(number);
        rows.insert(token.0 & 0xffff_ffff);
        clients.remove(token);
    }
    assert_eq!(rows.len(), 1, "one client at a time needs one row");
}

#[test]
fn e34_a_token_that_nobody_gave_out_finds_nobody() {
    let _test = Test::begin(
        "Look the row up with get, not with an index: an unknown one is no reason to panic.",
    );
    let mut clients = Clients::new();
    clients.insert("Ada");
    for number in [1, u64::MAX, 1 << 32, u64::MAX - 1] {
        assert_eq!(clients.get_mut(Token(number)), None, "{number}");
        assert_eq!(clients.remove(Token(number)), None, "{number}");
    }
}

// ---- exercise 3.5: the server, the whole program ----

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

#[test]
fn e35_the_same_service_as_stage_1() {
    let _test =
        Test::begin("Bytes in any pieces, lines out: the machine of stage 1 behind another loop.");
    let server = server();
    lines::lines_in_turn(server.addr());
    lines::several_lines_in_one_write(server.addr());
    lines::one_byte_at_a_time(server.addr());
    lines::awkward_bytes(server.addr());
    lines::a_last_line_without_newline(server.addr());
    lines::an_empty_conversation(server.addr());
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
    let _test =
        Test::begin("Edge-triggered and not drained? What was not read is not reported again.");
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
    assert!(
        grown < 2048,
        "{grown} KiB more for one client that does not read"
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
        "After a read of 0 stop asking for readable: the end of the input stays readable for ever.",
    );
    let server = server();
    let line = Rng::for_test().line(32 * 1024);
    // Few enough bytes to be read to their end, more than the buffers of a client take that does not read.
    let client = harness::Connect::new()
        .receive_buffer(4096)
        .to(server.addr());
    let input = line.repeat(200);
    let sending = client.send_in_background(input.clone());
    harness::eventually("everything is sent, or nobody takes more", PATIENCE, || {
        sending.is_done() || proc::state(server.pid()) == 'S'
    });
    lines::served(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    client.expect(&lines::reversed(&input));
    sending.join();
    client.half_close();
    client.expect_eof();
}

#[test]
fn e35_many_clients_at_once() {
    let _test = Test::begin(
        "200 clients knock at once: accept until EAGAIN, or let epoll report the rest again.",
    );
    let server = server();
    lines::a_crowd(server.addr(), 200);
    let mut rng = Rng::for_test();
    let crowd: Vec<_> = (0..100).map(|_| Dialler::connect(server.addr())).collect();
    for _ in 0..3 {
        for client in &crowd {
            lines::one_line(client, &mut rng);
        }
    }
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e35_a_crowd_that_came_in_one_moment() {
    let _test = Test::begin("One event of the listener may stand for 200 clients.");
    let server = server();
    server.stop();
    let mut rng = Rng::for_test();
    let crowd: Vec<_> = (0..200)
        .map(|_| (Dialler::connect(server.addr()), rng.line(32)))
        .collect();
    for (client, line) in &crowd {
        client.send(line);
    }
    server.cont();
    // All stay connected: who is not accepted at once gets no second knock.
    for (client, line) in &crowd {
        client.expect(&lines::reversed(line));
    }
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
        "EMFILE: leave the others in the backlog, pause, and accept again when somebody leaves.",
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
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(32)
        .serve();
    let mut rng = Rng::for_test();
    let mut crowd: Vec<_> = (0..60)
        .map(|_| (Dialler::connect(server.addr()), rng.line(32)))
        .collect();
    crowd.iter().for_each(|(client, line)| client.send(line));
    let waiting = crowd.split_off(16);
    for (client, line) in &crowd {
        client.expect(&lines::reversed(line));
    }
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    lines::one_line(&crowd[0].0, &mut rng);
    // Whoever was served leaves, and so the next come in.
    drop(crowd);
    for (client, line) in waiting {
        client.expect(&lines::reversed(&line));
    }
    server.expect_alive();
}

#[test]
fn e35_two_hundred_clients_die_at_once() {
    let _test = Test::begin("Each event ends one client; the rest of the batch goes on.");
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    let crowd: Vec<_> = (0..200).map(|_| Dialler::connect(server.addr())).collect();
    crowd
        .iter()
        .for_each(|client| lines::one_line(client, &mut Rng::for_test()));
    server.stop();
    for client in crowd {
        client.reset();
    }
    server.cont();
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}
