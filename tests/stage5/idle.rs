//! Clients between two requests: an empty line is none.

use harness::{Signal, Test, eventually_equal};

use crate::support::{Mux, Site, ask, get, post, reply};

/// A request with a body, and the empty line that some clients send after it.
fn with_empty_line() -> Vec<u8> {
    [&post("/first", b"body")[..], b"\r\n"].concat()
}

#[test]
fn e56_an_empty_line_after_a_body_does_not_begin_a_request() {
    let _test = Test::begin(
        "RFC 9112 section 2.2: ignore an empty line before a request, also in the clock.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--client-timeout", "1s"]);
    let clients: Vec<_> = ["", "\r\n", "\r\n\r\n", "\r", "\r\n\r"]
        .into_iter()
        .map(|later| (mux.client(), later))
        .collect();
    for (client, later) in &clients {
        assert_eq!(
            ask(client, &with_empty_line()).text(),
            "/first body",
            "the body of the response"
        );
        client.send(later.as_bytes());
    }
    for (client, _) in &clients {
        // An idle client is not told that a request took too long.
        client.expect_eof();
    }
    drop(clients);
    eventually_equal("clients", &Some(0), || {
        mux.routes()["totals"]["sessions_open"].as_u64()
    });
    let totals = mux.routes()["totals"].clone();
    assert_eq!(totals["refusals"], 0, "{totals}");
    assert_eq!(totals["timeouts"]["idle"], 5, "{totals}");
}

#[test]
fn e56_an_empty_line_after_a_body_does_not_hold_up_a_drain() {
    let _test = Test::begin("SIGTERM closes the idle clients; an empty line is no request.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--drain-timeout", "1h"]);
    let clients: Vec<_> = ["", "\r\n", "\r"]
        .into_iter()
        .map(|later| {
            let client = mux.client();
            assert_eq!(
                ask(&client, &with_empty_line()).text(),
                "/first body",
                "the body of the response"
            );
            client.send(later.as_bytes());
            client.wait_until_read();
            client
        })
        .collect();
    let busy = mux.client();
    busy.send(&get("/second")[..9]);
    busy.wait_until_read();
    mux.signal(Signal::SIGTERM);
    for client in &clients {
        client.expect_eof();
    }
    busy.send(&get("/second")[9..]);
    assert_eq!(
        reply(&busy).text(),
        "/second ",
        "the body of the response to the busy client"
    );
    busy.expect_eof();
    drop((clients, busy));
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}
