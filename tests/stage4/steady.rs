//! Exercise 4.4: the system calls of a transfer, seen with strace.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Client, Process, Program, Rng, Test};

use crate::support::{MIB, Proxy, echoes, proxy_and_echo};

/// A strace that counts the `epoll_ctl` of a running proxy.
struct Trace {
    strace: Process,
    file: PathBuf,
}

impl Trace {
    /// Attaches to the proxy, or prints why it cannot.
    fn attach(proxy: &Proxy, folder: &Path) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path).map(|folder| folder.join("strace"));
        let Some(program) = program.into_iter().find(|file| file.is_file()) else {
            eprintln!("skipped: strace is not installed");
            return None;
        };
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
    assert!(client.read_exact(bytes.len()) == bytes);
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
