//! Many visitors of the queue's inspector: hasty, mute and uninvited ones.

use std::net::TcpStream;

use harness::{Client, Deadline, Hand, Test, Visitors, fail};

use crate::support::{Mux, Site, ask, expect_service, get};

/// Idle clients, so that a copy of the table takes its time.
const CROWD: usize = 7000;

#[test]
fn e55_visitors_that_ask_again_at_once_do_not_stop_the_queue() {
    let _test = Test::begin(
        "A turn of the loop reads a bounded number of messages and copies a bounded number of rows.",
    );
    for path in ["/metrics", "/routes.json"] {
        let site = Site::echo();
        let mux = Mux::start(site.addr(), &["--drain-timeout", "1s"]);
        let crowd: Result<Vec<_>, _> = (0..CROWD).map(|_| TcpStream::connect(mux.addr())).collect();
        let _crowd = crowd.unwrap_or_else(|error| fail(format!("no crowd: {error}")));
        let client = mux.client();
        let _visitors = Visitors::start(mux.inspector(), path, 6);
        // One answer may slip through between two copies.
        let limit = Deadline::patience();
        for number in 0..20 {
            let reply = ask(&client, &get(&format!("/{number}")));
            assert_eq!(reply.status(), "200", "{path}");
        }
        expect_service(&mux);
        assert!(
            limit.remaining().is_some(),
            "{path}: the queue hardly moves"
        );
        assert_eq!(mux.terminate().code(), Some(0), "{path}");
    }
}

#[test]
fn e55_mute_visitors_delay_no_page() {
    let _test = Test::begin(
        "One loop waits for all visitors; with too many, the one that has been mute longest has to go.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let connect = |_| Client::connect(mux.inspector().addr());
    let mute: Vec<_> = (0..120).map(connect).collect();
    assert_eq!(
        mux.routes()["totals"]["sessions_total"],
        0,
        "sessions: visitors of the page are none"
    );
    drop(mute);
}
