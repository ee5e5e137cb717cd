//! Exercise 5.2: whose turn it is, with one line for a request and one for its response.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use harness::{
    Client, Connect, Deadline, Hand, Scripted, Test, ensure, eventually_equal, expect_value, fail,
};

use crate::support::{Mux, ask, field, get};

/// An upstream that is told each answer. It takes one connection at a time, whether the queue keeps it or not.
struct Upstream {
    address: SocketAddr,
    asked: Receiver<String>,
    answers: Sender<String>,
}

impl Upstream {
    /// Starts it on a thread of its own, which ends with the test's process.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let (tell, asked) = channel();
        let (answers, told) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(&stream, &tell, &told);
            }
        });
        Self {
            address,
            asked,
            answers,
        }
    }

    /// Returns the next request.
    #[track_caller]
    fn next(&self) -> String {
        let request = Deadline::patience().receive(&self.asked);
        request.unwrap_or_else(|_| fail("The upstream gets no further request."))
    }

    /// Answers it.
    fn answer(&self, text: &str) {
        let _ = self.answers.send(text.to_owned());
    }

    /// Checks that this request is the next one, and answers it.
    #[track_caller]
    fn serve(&self, request: &str) {
        let seen = self.next();
        ensure(
            seen == request,
            format!("It is the turn of {request:?}, but the upstream was asked for {seen:?}."),
        );
        self.answer(request);
    }
}

/// Serves one connection to its end.
fn serve(stream: &TcpStream, tell: &Sender<String>, told: &Receiver<String>) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let _ = tell.send(line);
        let Ok(answer) = told.recv() else {
            return;
        };
        let mut stream = stream;
        // The client of this answer may have left, and the queue have closed the connection for it.
        let _ = stream.write_all(format!("{answer}\n").as_bytes());
    }
}

fn start(arguments: &[&str]) -> (Upstream, Mux) {
    let upstream = Upstream::start();
    let mux = Mux::start(
        upstream.address,
        &[&["--framing", "line"], arguments].concat(),
    );
    (upstream, mux)
}

/// Connects a client whose request waits behind `waiting` others, and behind one in flight.
#[track_caller]
fn waiting_client(mux: &Mux, request: &str, waiting: usize) -> Client {
    let client = mux.client();
    client.send(format!("{request}\n").as_bytes());
    mux.wait_for("waiting", waiting + 1);
    client
}

/// Connects a client whose request is in flight.
#[track_caller]
fn client_in_flight(mux: &Mux, request: &str) -> Client {
    let client = mux.client();
    client.send(format!("{request}\n").as_bytes());
    mux.wait_for("in flight", 1);
    client
}

/// Waits until this many clients have a request, whether it waits or is in flight: a queue may close the connection of a request
/// whose client has left, and begin the next one at once.
#[track_caller]
fn wait_for_asking(mux: &Mux, count: usize) {
    eventually_equal("clients with a request", &count, || {
        let routes = mux.routes();
        let sessions = routes["sessions"].as_array().cloned().unwrap_or_default();
        let asks =
            |row: &&serde_json::Value| row["phase"] == "waiting" || row["phase"] == "in flight";
        sessions.iter().filter(asks).count()
    });
}

#[track_caller]
fn expect_line(client: &Client, line: &str) {
    client.expect(format!("{line}\n").as_bytes());
}

#[test]
fn e52_the_client_that_has_waited_longest_is_next() {
    let _test = Test::begin("First come, first served: a later client does not overtake.");
    let (upstream, mux) = start(&[]);
    let first = client_in_flight(&mux, "0");
    let others: Vec<_> = (1..6)
        .map(|number| waiting_client(&mux, &number.to_string(), number - 1))
        .collect();
    for (number, client) in std::iter::once(&first).chain(&others).enumerate() {
        let number = number.to_string();
        upstream.serve(&number);
        expect_line(client, &number);
    }
}

#[test]
fn e52_a_client_has_one_turn_at_a_time() {
    let _test = Test::begin(
        "Ten requests of one client, and then one of another: the busy client joins again behind the other one.",
    );
    let (upstream, mux) = start(&[]);
    let many = client_in_flight(&mux, "many 0");
    many.send(b"many 1\nmany 2\nmany 3\nmany 4\nmany 5\nmany 6\nmany 7\nmany 8\nmany 9\n");
    let one = waiting_client(&mux, "one", 0);
    upstream.serve("many 0");
    upstream.serve("one");
    expect_line(&one, "one");
    for number in 1..10 {
        upstream.serve(&format!("many {number}"));
    }
    for number in 0..10 {
        expect_line(&many, &format!("many {number}"));
    }
}

#[test]
fn e52_a_client_that_takes_no_answers_has_no_further_turn() {
    let _test = Test::begin(
        "Until a client has taken its answer, its next request stays in the kernel: otherwise its answers pile up in your program.",
    );
    let upstream = Scripted::echo();
    let mux = Mux::start(upstream.addr(), &["--framing", "line"]);
    let line = [vec![b'x'; 16 * 1024], b"\n".to_vec()].concat();
    let client = Connect::new()
        .receive_buffer(16 * 1024)
        .send_buffer(16 * 1024)
        .to(mux.addr());
    let sent = client.send_until_blocked(&line, Duration::from_millis(500), 32 << 20);
    let other = mux.client();
    other.send(b"x\n");
    other.expect(b"x\n");
    let whole = sent / line.len() * line.len();
    client.expect(&line.repeat(whole / line.len()));
}

#[test]
fn e52_a_client_that_has_left_loses_its_turn() {
    let _test = Test::begin(
        "A reset says that no answer is wanted: the request of a client that has left is never sent.",
    );
    let (upstream, mux) = start(&[]);
    let first = client_in_flight(&mux, "first");
    let gone = waiting_client(&mux, "gone", 0);
    let last = waiting_client(&mux, "last", 1);
    gone.reset();
    mux.wait_for("waiting", 1);
    for (request, client) in [("first", &first), ("last", &last)] {
        upstream.serve(request);
        expect_line(client, request);
    }
}

#[test]
fn e52_the_next_client_of_a_row_has_a_turn_of_its_own() {
    let _test = Test::begin(
        "A client that leaves gives up every place: the next one in its row joins at the end, like any other.",
    );
    let (upstream, mux) = start(&[]);
    let first = client_in_flight(&mux, "first");
    let gone = waiting_client(&mux, "gone", 0);
    let second = waiting_client(&mux, "second", 1);
    gone.reset();
    mux.wait_for("waiting", 1);
    let third = waiting_client(&mux, "third", 1);
    let fourth = waiting_client(&mux, "fourth", 2);
    for (request, client) in [
        ("first", &first),
        ("second", &second),
        ("third", &third),
        ("fourth", &fourth),
    ] {
        upstream.serve(request);
        expect_line(client, request);
    }
}

#[test]
fn e52_the_answer_of_a_client_that_has_left_reaches_no_other() {
    let _test = Test::begin(
        "A request in flight cannot be taken back: its answer comes, and belongs to no client.",
    );
    let (upstream, mux) = start(&[]);
    let gone = client_in_flight(&mux, "gone");
    let next = waiting_client(&mux, "next", 0);
    assert_eq!(upstream.next(), "gone", "the request in flight");
    gone.reset();
    wait_for_asking(&mux, 1);
    // This one gets the row of the one that has left.
    let heir = mux.client();
    heir.send(b"heir\n");
    wait_for_asking(&mux, 2);
    upstream.answer("the answer of the client that has left");
    for (request, client) in [("next", &next), ("heir", &heir)] {
        upstream.serve(request);
        expect_line(client, request);
    }
}

#[test]
fn e52_a_full_queue_refuses() {
    let _test = Test::begin(
        "--max-queue: a further request is refused at once. A line has no words for it, so its client is reset.",
    );
    let (upstream, mux) = start(&["--max-queue", "1"]);
    let first = client_in_flight(&mux, "first");
    let second = waiting_client(&mux, "second", 0);
    let refused = mux.client();
    refused.send(b"refused\n");
    refused.expect_reset();
    upstream.serve("first");
    expect_line(&first, "first");
    mux.wait_for("in flight", 1);
    let third = waiting_client(&mux, "third", 0);
    for (request, client) in [("second", &second), ("third", &third)] {
        upstream.serve(request);
        expect_line(client, request);
    }
}

#[test]
fn e52_a_client_that_is_refused_may_ask_again() {
    let _test = Test::begin(
        "Its request is complete, whether the queue has a place or not: note it first, because the refusal needs to know of it.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-queue", "1"]);
    let (first, second, refused) = (mux.client(), mux.client(), mux.client());
    first.send(&get("/first"));
    mux.wait_for("in flight", 1);
    second.send(&get("/second"));
    mux.wait_for("waiting", 1);
    for path in ["/third", "/fourth"] {
        let reply = ask(&refused, &get(path));
        expect_value(
            format!("The status of the response to GET {path}, which finds the queue full"),
            &"503",
            &reply.status(),
            "the bound of the queue is forgotten.",
        );
        let kept = field(&reply.head, "connection").is_none_or(|value| value != "close");
        ensure(
            kept,
            format!(
                "The request was complete and understood, so its client may send another one over the same connection, but the 503 \
                 says that it is closed: {:?}. wait() has to note the request in the client also if the queue is full.",
                reply.head
            ),
        );
    }
}
