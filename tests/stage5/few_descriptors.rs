//! Too few file descriptors: the queue pauses accepting, and neither exits nor spins.

use std::time::Duration;

use harness::{Client, Program, Test, command_line, ensure, proc, strace};

use crate::support::{Mux, Site, ask, get, program, reply};

#[test]
fn e56_descriptors_that_run_out_are_waited_for() {
    let _test =
        Test::begin("EMFILE leaves the client in the accept queue: try again later, do not spin.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let first: Vec<_> = (0..3).map(|_| mux.client()).collect();
    for client in &first {
        assert_eq!(
            ask(client, &get("/first")).status(),
            "200",
            "the status of the response to /first"
        );
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
    let warnings = mux.stderr().matches("cannot accept").count();
    ensure(
        warnings < 3,
        format!(
            "{warnings} warnings in half a second: a state that lasts is told once, and then now and then."
        ),
    );
    assert_eq!(
        ask(&first[0], &get("/first")).text(),
        "/first ",
        "the body of the response to /first"
    );
    assert!(proc::limit_files(mux.pid(), 1000));
    for client in &crowd {
        assert_eq!(
            reply(client).text(),
            "/crowd ",
            "the body of the response to the client"
        );
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
        assert_eq!(
            reply(&client).text(),
            "/crowd ",
            "the body of the response to the client"
        );
        client.close();
    }
}

#[test]
fn e56_a_limit_that_may_not_be_raised_stays() {
    let _test = Test::begin("setrlimit(2) may fail with EPERM: go on with the soft limit.");
    let site = Site::echo();
    let program = Program::new(program());
    let Some(program) = strace::inject(&program, "prlimit64", "error=EPERM") else {
        return;
    };
    let mux = Mux::from_program(&program, site.addr(), &[]);
    assert_eq!(
        ask(&mux.client(), &get("/")).status(),
        "200",
        "the status of the response to /"
    );
    let log = mux.wait_for_stderr("limit of open files");
    assert!(log.contains("WARN"), "{log}");
}

#[test]
fn e56_without_a_descriptor_for_a_session_it_does_not_start() {
    let _test = Test::begin("Say in one sentence what failed; never listen without ever serving.");
    for limit in [4, 5, 6, 7, 8, 9] {
        let program = Program::new(program()).arg("queue").open_files(limit);
        let arguments = ["--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9"];
        command_line::cannot_start(&program, &arguments, &["cannot", "oo many open files"]);
    }
}
