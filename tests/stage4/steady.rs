//! Exercise 4.4: the system calls of a transfer, seen with strace.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Client, Process, Program, Rng, Scripted, Test, strace};

use crate::support::{MIB, Proxy, echoes, program, proxy_and_echo};

/// A strace that counts the `epoll_ctl` of a running proxy.
struct Trace {
    strace: Process,
    file: PathBuf,
}

impl Trace {
    /// Attaches to the proxy, or prints why it cannot.
    fn attach(proxy: &Proxy, folder: &Path) -> Option<Self> {
        let program = strace::find()?;
        let file = folder.join("trace");
        let words = ["-f", "-qq", "-e", "trace=epoll_ctl", "-o"];
        let strace = Program::new(program).args(words).arg(&file);
        let strace = strace.args(["-p", &proxy.pid().to_string()]).spawn();
        let trace = Self { strace, file };
        // Attached, or at its end: whichever comes first.
        harness::eventually("strace attaches", harness::PATIENCE, || {
            trace.is_attached(proxy) || trace.has_ended()
        });
        if trace.has_ended() {
            eprintln!("skipped: strace may not attach: {}", trace.strace.stderr());
            return None;
        }
        Some(trace)
    }

    /// Returns whether every thread of the proxy names strace as its tracer.
    fn is_attached(&self, proxy: &Proxy) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid()));
        let tracer = format!("TracerPid:\t{}", self.strace.pid());
        tasks.is_ok_and(|tasks| {
            tasks.flatten().all(|task| {
                let status = fs::read_to_string(task.path().join("status"));
                status.is_ok_and(|status| status.lines().any(|line| line == tracer))
            })
        })
    }

    fn has_ended(&self) -> bool {
        self.strace
            .wait_by(std::time::Duration::ZERO.into())
            .is_some()
    }

    fn count(&self) -> usize {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.matches("epoll_ctl(").count()
    }
}

#[test]
fn e44_no_epoll_ctl_while_bytes_flow() {
    const ROUNDS: usize = 500;
    let _test = Test::begin(
        "Compare the interest with the registered one, and change it only if it differs.",
    );
    let (proxy, _echo) = proxy_and_echo(&[]);
    let client = Client::connect(proxy.addr());
    echoes(&client);
    let folder = tempfile::tempdir().expect("a folder for the trace");
    let Some(trace) = Trace::attach(&proxy, folder.path()) else {
        return;
    };
    for _ in 0..ROUNDS {
        client.send(b"ping");
        client.expect(b"ping");
    }
    let ping_pong = trace.count();
    let bytes = Rng::for_test().bytes(32 * MIB);
    let sending = client.send_in_background(bytes.clone());
    assert!(
        client.read_exact(bytes.len()) == bytes,
        "the client got other bytes than were sent"
    );
    sending.join();
    let bulk = trace.count() - ping_pong;
    // The trace works at all: a new session has to be registered.
    let another = Client::connect(proxy.addr());
    echoes(&another);
    harness::eventually("the trace has the new session", harness::PATIENCE, || {
        trace.count() >= ping_pong + bulk + 2
    });
    eprintln!("epoll_ctl: {ping_pong} in {ROUNDS} round trips, {bulk} in 64 MiB of bulk");
    assert!(
        ping_pong <= 2,
        "{ping_pong} epoll_ctl in {ROUNDS} round trips"
    );
    // An echo of bulk stalls now and then: a proxy may ask for EPOLLOUT then, but not for each read.
    assert!(bulk <= 200, "{bulk} epoll_ctl in 64 MiB");
}

#[test]
fn e45_without_splice_a_transfer_arrives_whole() {
    let _test = Test::begin("splice(2) may not work on this kernel: copy on, and lose nothing.");
    let bytes = Rng::for_test().bytes(8 * MIB);
    let source = Scripted::source(bytes.clone());
    // The last one lets the first splice fill the pipe, and none empty it.
    for fault in ["ENOSYS", "EINVAL", "EPERM", "EOPNOTSUPP", "EINVAL:when=2+"] {
        let fault = format!("error={fault}");
        let Some(program) = strace::inject(&Program::new(program()), "splice", &fault) else {
            return;
        };
        let proxy = Proxy::start(&program, source.addr());
        assert!(
            Client::connect(proxy.addr()).read_to_end() == bytes,
            "{fault}"
        );
        assert!(
            Client::connect(proxy.addr()).read_to_end() == bytes,
            "{fault}"
        );
        let log = proxy.stderr();
        assert!(log.matches("splice(2)").count() <= 1, "{log}");
    }
}
