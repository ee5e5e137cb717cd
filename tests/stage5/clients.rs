//! Clients of many kinds: HTTP/1.0, `Expect: 100-continue`, reqwest, curl, and the inspector's view of them.

use std::process::Command;

use harness::{Test, in_time, proc};

use crate::support::{Mux, Site, ask, field, get, reply};

#[test]
fn e55_an_http_1_0_client_gets_no_chunks() {
    let _test = Test::begin("HTTP/1.0 has no chunks: the end of the connection delimits the body.");
    let site = Site::start(|peer, _| {
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: 1\r\n\r\n");
        crate::support::Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client.expect(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!");
    client.expect_eof();
    let asked = site.asked();
    assert!(
        asked[0]
            .head
            .starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{}",
        asked[0].head
    );
}

#[test]
fn e55_a_client_that_asks_first_may_send_its_body() {
    let _test = Test::begin("The queue holds the body, so the queue answers Expect: 100-continue.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--max-body", "10"]);
    let client = mux.client();
    for body in ["short", "longer than what is held"] {
        let head = format!(
            "PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(head.as_bytes());
        client.expect(b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send(body.as_bytes());
        assert_eq!(
            reply(&client).text(),
            format!("/a {body}"),
            "the body of the response to the client"
        );
    }
    for asked in site.asked() {
        let expect = field(&asked.head, "expect");
        assert_eq!(
            expect, None,
            "Expect is for the queue, not for the upstream: {}",
            asked.head
        );
    }
    let other = ask(
        &mux.client(),
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n",
    );
    assert_eq!(other.status(), "417", "the status of the other response");
}

#[test]
fn e55_reqwest_is_served() {
    let _test = Test::begin("reqwest is a real client, with a connection pool of its own.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let url = format!("http://{}", mux.addr());
    let texts = in_time("reqwest", move || {
        let client = reqwest::blocking::Client::new();
        (0..20)
            .map(|number| {
                let request = client
                    .post(format!("{url}/{number}"))
                    .body(format!("body {number}"));
                request
                    .send()
                    .and_then(|reply| reply.text())
                    .expect("a reply")
            })
            .collect::<Vec<_>>()
    });
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(
            text,
            &format!("/{number} body {number}"),
            "the response to request {number}"
        );
    }
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
}

#[test]
fn e55_curl_is_served() {
    let test = Test::begin("curl is a real client, with another HTTP implementation.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let url = format!("http://{}", mux.addr());
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20"])
            .args(arguments)
            .output()
            .ok()?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(text) = curl(&[&format!("{url}/a"), &format!("{url}/b")]) else {
        return test.note("curl is not installed");
    };
    assert_eq!(text, "/a /b ", "what curl printed of two URLs");
    assert_eq!(
        curl(&["--http1.0", &format!("{url}/old")]).as_deref(),
        Some("/old "),
        "what curl --http1.0 printed"
    );
    let body = "x".repeat(3_000_000);
    let posted = curl(&[
        "-H",
        "Transfer-Encoding: chunked",
        "-d",
        &body[..100_000],
        &format!("{url}/c"),
    ]);
    assert_eq!(
        posted.map(|text| text.len()),
        Some(100_003),
        "the length of the echo of an upload in chunks"
    );
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
}

#[test]
fn e55_the_inspector_shows_who_waits_and_who_is_in_flight() {
    let _test = Test::begin("One row for each client, and the same upstream socket in all rows.");
    let hand = harness::Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let clients: Vec<_> = (0..3).map(|_| mux.client()).collect();
    clients[0].send(&get("/"));
    let _upstream = hand.next();
    mux.wait_for("in flight", 1);
    clients[1].send(&get("/"));
    mux.wait_for("waiting", 1);
    mux.wait_for("idle", 1);
    let routes = mux.routes();
    let rows = routes["sessions"].as_array().expect("sessions");
    for client in &clients {
        let own = client.local().to_string();
        let row = rows
            .iter()
            .find(|row| row["client"]["peer"] == own.as_str());
        let row = row.expect("a row for each client");
        assert_eq!(
            row["client"]["local"],
            mux.addr_text().as_str(),
            "where the client is connected to"
        );
        assert_eq!(
            row["upstream"]["peer"],
            hand.addr_text().as_str(),
            "the upstream of a client"
        );
        assert_eq!(
            row["upstream"]["fd"], rows[0]["upstream"]["fd"],
            "one upstream socket"
        );
        assert_ne!(
            row["upstream"]["fd"], row["client"]["fd"],
            "two sockets have two descriptors"
        );
    }
}

#[test]
fn e55_more_clients_than_rows_wait_in_the_accept_queue() {
    let _test = Test::begin(
        "A full table leaves clients in the accept queue; accept them when a row is free.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--max-connections", "4"]);
    let first: Vec<_> = (0..4).map(|_| mux.client()).collect();
    for client in &first {
        assert_eq!(
            ask(client, &get("/first")).status(),
            "200",
            "the status of the response to /first"
        );
    }
    let late = mux.client();
    late.send(&get("/late"));
    proc::assert_cpu_idle(mux.pid(), std::time::Duration::from_millis(300));
    late.expect_silence(std::time::Duration::from_millis(1));
    for client in &first {
        assert_eq!(
            ask(client, &get("/again")).status(),
            "200",
            "the status of the response to /again"
        );
    }
    let pauses = mux.routes()["totals"]["accept_pauses"].as_u64();
    assert_eq!(
        pauses,
        Some(1),
        "one pause, however many turns of the loop it lasts"
    );
    drop(first);
    assert_eq!(
        reply(&late).text(),
        "/late ",
        "the body of the response to the late client"
    );
}
