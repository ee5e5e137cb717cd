//! The queue's own figures: `/routes.json` and `/metrics`.

use std::time::Duration;

use harness::{Client, Hand, Test, eventually_equal, fail};
use serde_json::Value;

use crate::support::{Mux, Site, answer, ask, get, reply};

#[test]
fn e55_the_queue_s_numbers_say_who_is_in_flight_and_how_long_requests_waited() {
    let _test = Test::begin(
        "Count a request when it joins the queue, when it leaves, and when it is answered.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    assert_eq!(
        view(&mux)["length"],
        0,
        "requests that wait before the first one"
    );
    assert_eq!(
        view(&mux)["in_flight"],
        Value::Null,
        "the request in flight before the first one"
    );
    let clients: Vec<Client> = (0..3).map(|_| mux.client()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.send(&get(&format!("/{number}")));
        mux.wait_for("in flight", 1);
        mux.wait_for("waiting", number);
    }
    assert_eq!(
        view(&mux)["length"],
        2,
        "requests that wait: one of three is in flight"
    );
    assert_eq!(
        in_flight(&mux),
        clients[0].local().to_string(),
        "the client whose request is in flight"
    );
    // While the exchange lasts, the first request in the queue waits longer and longer.
    let waited = || view(&mux)["longest_wait_ms"].as_u64() > Some(2);
    eventually_equal("the longest wait grows", &true, waited);
    let upstream = hand.next();
    for (number, client) in clients.iter().enumerate() {
        eventually_equal("the client in flight", &client.local().to_string(), || {
            in_flight(&mux)
        });
        answer(&upstream, b"answer");
        assert_eq!(
            reply(client).text(),
            "answer",
            "the body of the response to the client"
        );
        let after = view(&mux);
        assert_eq!(after["served"], number + 1, "served");
        assert_eq!(after["length"], 1_usize.saturating_sub(number), "length");
    }
    let after = view(&mux);
    assert_eq!(after["in_flight"], Value::Null, "in_flight");
    assert_eq!(after["longest_wait_ms"], 0, "longest_wait_ms");
    assert_eq!(after["wait"]["count"], 3, "each exchange ends one wait");
    assert!(after["wait"]["sum_us"].as_u64() > Some(2000), "{after}");
}

#[test]
fn e55_metrics_count_what_the_queue_has_served() {
    let _test = Test::begin("The queue's counters belong to the snapshot's totals.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for number in 0..4 {
        assert_eq!(
            ask(&mux.client(), &get(&format!("/{number}"))).status(),
            "200",
            "the status of the response"
        );
    }
    let metrics = mux.inspector().body("/metrics");
    for line in ["proxy_queue_length 0", "proxy_queue_wait_seconds_count 4"] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line:?} in {metrics}"
        );
    }
}

#[test]
fn e55_the_page_has_a_part_for_the_queue_and_its_fields_are_there() {
    let _test = Test::begin("The queue hands the inspector a section: JSON, metrics, page part.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    assert_eq!(
        ask(&mux.client(), &get("/")).status(),
        "200",
        "the status of the response to /"
    );
    let page = mux.inspector().body("/");
    let titles = ["Waiting", "Longest wait", "In flight", "Served", "Wait"];
    for title in titles {
        assert!(page.contains(&format!("<dt>{title}</dt>")), "no {title}");
    }
    let queue = view(&mux);
    let (_, part) = page
        .split_once("data-section=\"queue\"")
        .unwrap_or_else(|| fail("the page has no part for the queue"));
    let (part, _) = part.split_once("</dl>").unwrap_or_default();
    let fields = part.split("data-field=\"").skip(1);
    let fields: Vec<_> = fields.filter_map(|rest| rest.split('"').next()).collect();
    assert!(fields.len() >= titles.len(), "{fields:?}");
    for field in fields {
        let name = field.split('.').next().unwrap_or_default();
        assert!(queue.get(name).is_some(), "{field} is not in {queue}");
    }
}

fn view(mux: &Mux) -> Value {
    mux.routes()["totals"]["queue"].clone()
}

fn in_flight(mux: &Mux) -> String {
    let client = &view(mux)["in_flight"]["client"];
    client.as_str().unwrap_or_default().to_owned()
}

#[test]
fn e56_the_totals_say_what_was_moved_and_who_was_sent_away() {
    let _test = Test::begin("Count each client, each byte, and each end by its reason.");
    let site = Site::echo();
    let limit = harness::option(Duration::from_secs(1));
    let mux = Mux::start(site.addr(), &["--client-timeout", &limit]);
    let client = mux.client();
    let request = get("/path");
    let reply = ask(&client, &request);
    assert_eq!(
        mux.routes()["totals"]["sessions_open"],
        1,
        "clients that are connected"
    );
    client.close();
    let half = mux.client();
    half.send(b"GET / HT");
    mux.wait_for("reading", 1);
    let idle = mux.client();
    assert_eq!(
        crate::support::reply(&half).status(),
        "408",
        "the status for half a request"
    );
    idle.expect_eof();
    drop((half, idle));
    let totals = || mux.routes()["totals"].clone();
    eventually_equal("clients", &Some(0), || totals()["sessions_open"].as_u64());
    let totals = totals();
    assert_eq!(totals["sessions_total"], 3, "sessions_total");
    let (up, down) = (totals["bytes_up"].as_u64(), totals["bytes_down"].as_u64());
    assert_eq!(
        up,
        Some((request.len() + 8) as u64),
        "bytes up: a request, and the 8 of half a request"
    );
    let least = reply.head.len() + reply.body.len();
    assert!(
        down > Some(least as u64),
        "{down:?} bytes down, but one response alone has {least}"
    );
    assert_eq!(totals["refusals"], 1, "refusals");
    assert_eq!(totals["timeouts"]["handshake"], 1, "{totals}");
    assert_eq!(totals["timeouts"]["idle"], 1, "{totals}");
}
