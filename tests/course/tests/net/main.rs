//! `cargo course net`: two networks with a cable between them, as it is promised, and nothing of it remains.
//!
//! Where the kernel allows no such network, each test is skipped and prints the reason.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it should be, and says what it skips"
)]

mod ends;
mod place;

use place::{Place, number, text, until};

/// A server for one client: it returns every byte.
const ECHO: &str = "\
import socket
listener = socket.create_server(('10.0.0.2', 8000))
peer, _ = listener.accept()
while data := peer.recv(65536): peer.sendall(data)
";
/// Takes bytes until their end, and says how many.
const COUNT: &str = "\
import socket
listener = socket.create_server(('10.0.0.2', 8000))
peer, _ = listener.accept()
count = 0
while data := peer.recv(65536): count += len(data)
peer.sendall(str(count).encode())
";
#[test]
fn a_connection_takes_a_round_trip_and_the_exit_status_is_the_one_of_left() {
    let Some(place) = Place::new() else { return };
    let left = "\
import socket, sys, time
for name in ('right', 'fd00::2'):
    begun = time.monotonic()
    try: socket.create_connection((name, 8000), 10)
    except ConnectionRefusedError: pass
    print(name, 'took', int((time.monotonic() - begun) * 1000))
sys.exit(7)";
    let commands = [
        "--delay", "60ms", "--", "right", "python3", "-c", ECHO, "--", "left", "python3", "-c",
        left,
    ];
    let output = place.run(&commands);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{shown}");
    for name in ["left:  right took ", "left:  fd00::2 took "] {
        let taken = number(&shown, name);
        assert!((120.0..2000.0).contains(&taken), "{shown}");
    }
    assert_eq!(place.files(), Vec::<String>::new());
}

#[test]
fn a_rate_is_kept() {
    let Some(place) = Place::new() else { return };
    let left = "\
import socket, time
peer = socket.create_connection(('right', 8000))
begun = time.monotonic()
peer.sendall(bytes(500000))
peer.shutdown(socket.SHUT_WR)
print('counted', peer.recv(100).decode(), 'took', time.monotonic() - begun)";
    let shown = place.play(&["--rate", "4mbit"], left, COUNT);
    assert!(number(&shown, "counted ") >= 500_000.0, "{shown}");
    // A second for the bytes, and some more for headers.
    let taken = number(&shown, "took ");
    assert!((1.0..10.0).contains(&taken), "{shown}");
}

#[test]
fn packets_are_lost_and_tcp_repeats_them() {
    let Some(place) = Place::new() else { return };
    let left = "\
import socket
peer = socket.create_connection(('right', 8000))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(1000): datagrams.sendto(b'one', ('right', 9000))
blob = bytes(range(256)) * 100
peer.sendall(blob)
echoed = b''
while len(echoed) < len(blob): echoed += peer.recv(65536)
print('equal', echoed == blob)";
    let right = format!(
        "import socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(('10.0.0.2', 9000))
datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
{ECHO}
datagrams.settimeout(0.2)
count = 0
try:
    while datagrams.recv(100): count += 1
except TimeoutError: print('count', count, flush=True)
"
    );
    // Left waits for the server's last word, because its end is the end of all.
    let left = format!(
        "{left}\npeer.shutdown(socket.SHUT_WR)\nwhile peer.recv(1): pass\nimport time; time.sleep(0.5)"
    );
    let shown = place.play(&["--loss", "10%", "--delay", "1ms"], &left, &right);
    assert!(shown.contains("equal True"), "{shown}");
    let count = number(&shown, "count ");
    assert!((850.0..950.0).contains(&count), "{shown}");
}

#[test]
fn large_segments_and_datagrams_pass_whole() {
    let Some(place) = Place::new() else { return };
    let left = "\
import hashlib, os, socket
blob = os.urandom(5000000)
peer = socket.create_connection(('fd00::2', 8000))
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.settimeout(5)
for size in (1, 1452, 1453, 30001):
    datagrams.sendto(blob[:size], ('fd00::2', 9000))
    print('datagram', datagrams.recv(65536) == blob[:size])
peer.sendall(blob)
peer.shutdown(socket.SHUT_WR)
print('equal', peer.recv(100).decode() == hashlib.sha256(blob).hexdigest())";
    let right = "\
import hashlib, socket
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(('fd00::2', 9000))
listener = socket.create_server(('fd00::2', 8000), family=socket.AF_INET6)
peer, _ = listener.accept()
for _ in range(4):
    data, sender = datagrams.recvfrom(65536)
    datagrams.sendto(data, sender)
digest = hashlib.sha256()
while data := peer.recv(65536): digest.update(data)
peer.sendall(digest.hexdigest().encode())";
    let shown = place.play(&[], left, right);
    assert_eq!(shown.matches("datagram True").count(), 4, "{shown}");
    assert!(shown.contains("equal True"), "{shown}");
}

#[test]
fn packets_to_silent_addresses_vanish() {
    let Some(place) = Place::new() else { return };
    let left = "\
import socket
for name in ('192.0.2.2', '2001:db8::2'):
    try: socket.create_connection((name, 8000), 0.3)
    except OSError as error: print(name, type(error).__name__)
names = {found[4][0] for found in socket.getaddrinfo('half-silent', 80)}
print(sorted(names))";
    let output = place.run(&["--", "left", "python3", "-c", left]);
    let shown = text(&output.stdout);
    assert!(shown.contains("192.0.2.2 TimeoutError\n"), "{shown}");
    assert!(shown.contains("2001:db8::2 TimeoutError\n"), "{shown}");
    assert!(shown.contains("['10.0.0.2', '2001:db8::2']"), "{shown}");
}

#[test]
fn a_cable_that_is_pulled_carries_nothing_until_it_is_put_back() {
    let Some(place) = Place::new() else { return };
    let _kept = place.keep(&[
        "--",
        "right",
        "python3",
        "-c",
        "\
import socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(('10.0.0.2', 9000))
while True:
    data, sender = datagrams.recvfrom(100)
    datagrams.sendto(data, sender)",
    ]);
    let ask = "\
import socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.settimeout(0.3)
datagrams.sendto(b'anyone?', ('right', 9000))
try: print(datagrams.recv(100).decode())
except OSError as error: print(type(error).__name__)";
    let asked = || text(&place.run(&["exec", "left", "python3", "-c", ask]).stdout);
    until("the server is up", || asked() == "anyone?\n");
    assert_eq!(
        text(&place.run(&["pull"]).stdout),
        "cable: the cable is pulled\n"
    );
    assert_eq!(asked(), "TimeoutError\n");
    let shown = text(&place.run(&["status"]).stdout);
    assert!(!shown.contains(" 0 cut off\nright to left"), "{shown}");
    place.run(&["plug"]);
    assert_eq!(asked(), "anyone?\n");
    let shown = text(&place.run(&["set", "--loss", "100%"]).stdout);
    assert!(shown.contains("100 % lost"), "{shown}");
    assert_eq!(asked(), "TimeoutError\n");
}

#[test]
fn a_command_in_a_side_has_its_exit_status_and_reaches_the_network_by_itself() {
    let Some(place) = Place::new() else { return };
    let mut kept = place.keep(&[]);
    let output = place.run(&["exec", "right", "sh", "-c", "ip address; exit 5"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stdout).contains("10.0.0.2/24"));
    // From inside, the network is known without its name, and the folder is the same.
    let course = env!("CARGO_BIN_EXE_course");
    let script = format!("pwd; {course} net exec left {course} net stop");
    let output = place.run(&["exec", "right", "sh", "-c", &script]);
    let folder = std::env::current_dir().unwrap();
    assert!(text(&output.stdout).starts_with(folder.to_str().unwrap()));
    assert_eq!(kept.0.wait().unwrap().code(), Some(0));
    let output = place.run(&["exec", "left", "true"]);
    assert!(text(&output.stderr).contains("no such network runs"));
}

#[test]
fn two_networks_have_two_names() {
    let Some(place) = Place::new() else { return };
    let _kept = place.keep(&[]);
    let output = place.run(&["--", "left", "true"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("--name"));
    assert!(
        place
            .run(&["--name", "other", "--", "left", "true"])
            .status
            .success()
    );
}
