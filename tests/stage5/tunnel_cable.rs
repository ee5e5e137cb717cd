//! The tunnel in networks of its own (`network_namespaces(7)`): a cable that is cut, and mended.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Client, Program, Scripted, Test, proc};

use crate::support::program;
use crate::tunnel_ends::{client_program, echoes, secret_file, wait_until_it_carries};

/// Set for the run of a test in its own network.
const INSIDE: &str = "STAGE5_OWN_NETWORK";

/// Makes a second network, where the server's end will run, and two cables to it: one for the link, one to the upstream.
const PREPARE: &str = "ip link set lo up &&
{ unshare --net sleep 600 & far=$!; } &&
until [ \"$(readlink /proc/$far/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done &&
for cable in 1 2; do
    ip link add near$cable type veth peer name far$cable netns $far &&
    ip address add 10.9.$cable.1/24 dev near$cable && ip link set near$cable up &&
    nsenter --net=/proc/$far/ns/net ip address add 10.9.$cable.2/24 dev far$cable &&
    nsenter --net=/proc/$far/ns/net ip link set far$cable up || exit 1
done;
export FAR_NETWORK=/proc/$far/ns/net; \"$@\"; end=$?; kill $far; exit $end";

/// Runs a test once more in two networks of its own (`network_namespaces(7)`), and `body` there.
#[track_caller]
pub(crate) fn with_a_cable(name: &str, body: impl FnOnce(&str)) {
    if let Ok(far) = std::env::var("FAR_NETWORK")
        && std::env::var_os(INSIDE).is_some()
    {
        return body(&far);
    }
    let inside = |command: &[&str]| {
        let words = [
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            PREPARE,
            "sh",
        ];
        let program = Program::new("/usr/bin/unshare").args(words).args(command);
        program.env(INSIDE, "1").run()
    };
    let tools = ["/usr/bin/unshare", "/usr/bin/nsenter"];
    if let Some(missing) = tools
        .iter()
        .find(|tool| !std::path::Path::new(tool).exists())
    {
        return eprintln!("skipped: there is no {missing}");
    }
    let probe = inside(&["true"]);
    if !probe.status.success() {
        return eprintln!(
            "skipped: no network namespaces with cables here: {}",
            probe.stderr
        );
    }
    let tests = std::env::current_exe().expect("the path of the tests");
    let end = inside(&[&tests.to_string_lossy(), "--exact", name, "--nocapture"]);
    assert!(
        end.status.success(),
        "{}{}",
        String::from_utf8_lossy(&end.stdout),
        end.stderr
    );
}

/// Cuts or mends the cable of the link at its far end: then packets into it vanish.
#[track_caller]
fn set_cable(far: &str, state: &str) {
    let words = [&format!("--net={far}"), "ip", "link", "set", "far1", state];
    let done = std::process::Command::new("/usr/bin/nsenter")
        .args(words)
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "ip link set far1 {state}"
    );
}

fn cut_cable(wire: &str, far: &str) {
    let at = |address: &str| -> SocketAddr { address.parse().expect("an address") };
    let upstream = Scripted::options("echo")
        .address(at("10.9.2.1:0"))
        .start(|peer| {
            while let Ok(count @ 1..) = peer.stream().peek(&mut [0; 4096]) {
                peer.send(&peer.read_exact(count));
            }
        });
    let secret = secret_file("a cable");
    let arguments = [
        "--wire",
        wire,
        "--keepalive",
        "2s",
        "--connect-timeout",
        "3s",
    ];
    let proof = ["--secret-file", secret.path().to_str().unwrap_or_default()];
    let server = Program::new("/usr/bin/nsenter")
        .args([
            &format!("--net={far}"),
            program().to_str().unwrap_or_default(),
            "server",
        ])
        .args([
            "--via",
            "tcp-listen:10.9.1.2:0",
            "--upstream",
            &upstream.addr_text(),
        ])
        .args(arguments)
        .args(proof)
        .env("RUST_LOG", "info")
        .serve();
    let client = client_program(server.addr(), &[&arguments[..], &proof].concat()).serve();
    client.wait_for_stderr("the link is up");
    let before = [&client, &server].map(|end| proc::fd_count(end.pid()));
    for _ in 0..2 {
        let clients: Vec<_> = (0..5).map(|_| Client::connect(client.addr())).collect();
        clients.iter().for_each(echoes);
        let begun = Instant::now();
        set_cable(far, "down");
        clients.iter().for_each(Client::expect_reset);
        let taken = begun.elapsed();
        assert!(taken < harness::scaled(Duration::from_secs(6)), "{taken:?}");
        Client::connect(client.addr()).expect_reset();
        // The listener stays, and the service comes back by itself.
        set_cable(far, "up");
        wait_until_it_carries(client.addr());
        drop(clients);
        proc::fds_return_to(client.pid(), before[0]);
        proc::fds_return_to(server.pid(), before[1]);
    }
    assert!(client.terminate().success() && server.terminate().success());
}

#[test]
fn tunnel_life_a_cut_cable_ends_every_stream_and_the_service_resumes_yamux() {
    let _test =
        Test::begin("Packets vanish, nothing is closed: pings find it, and the link is made anew.");
    let name =
        "tunnel_cable::tunnel_life_a_cut_cable_ends_every_stream_and_the_service_resumes_yamux";
    with_a_cable(name, |far| cut_cable("yamux", far));
}

#[test]
fn tunnel_life_a_cut_cable_ends_every_stream_and_the_service_resumes_multiplex() {
    let _test = Test::begin("Packets vanish, nothing is closed: the kernel's probes find it.");
    let name =
        "tunnel_cable::tunnel_life_a_cut_cable_ends_every_stream_and_the_service_resumes_multiplex";
    with_a_cable(name, |far| cut_cable("multiplex", far));
}
