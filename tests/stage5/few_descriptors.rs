//! Too few file descriptors: the queue pauses accepting, and neither exits nor spins.

use std::time::Duration;

use harness::{Client, Program, Test, proc};

use crate::support::{Mux, Site, ask, get, program, reply};

#[test]
fn e56_descriptors_that_run_out_are_waited_for() {
    let _test =
        Test::begin("EMFILE leaves the client in the backlog: try again later, do not spin.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let first: Vec<_> = (0..3).map(|_| mux.client()).collect();
    for client in &first {
        assert_eq!(ask(client, &get("/first")).status(), "200");
    }
    mux.wait_for("idle", 3);
    if !proc::limit_files(mux.pid(), mux.inspector().rest()) {
        return;
    }
    let crowd: Vec<_> = (0..20).map(|_| mux.client()).collect();
    for client in &crowd {
        client.send(&get("/crowd"));
    }
    mux.wait_for_stderr("cannot accept");
    proc::assert_cpu_idle(mux.pid(), Duration::from_millis(500));
    assert_eq!(ask(&first[0], &get("/first")).text(), "/first ");
    assert!(proc::limit_files(mux.pid(), 1000));
    for client in &crowd {
        assert_eq!(reply(client).text(), "/crowd ");
    }
    let pauses = mux.routes()["totals"]["accept_pauses"].as_u64();
    assert!(pauses >= Some(1), "{pauses:?}");
}

#[test]
fn e56_who_finds_no_descriptor_gets_that_of_the_next_who_goes() {
    let _test = Test::begin(
        "The bound on clients follows the limit of open files, and a free row is used again.",
    );
    let site = Site::echo();
    let program = Program::new(program())
        .args(["queue", "--listen", "127.0.0.1:0"])
        .args(["--upstream", &site.addr_text()])
        .open_files(40);
    let mux = program.serve();
    let crowd: Vec<_> = (0..60).map(|_| Client::connect(mux.addr())).collect();
    for client in &crowd {
        client.send(&get("/crowd"));
    }
    for client in crowd {
        assert_eq!(reply(&client).text(), "/crowd ");
        client.close();
    }
}
