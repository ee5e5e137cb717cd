//! A name server of the test's own that changes its answer: DNS rebinding, in a network of its own.

use std::process::{Command, Stdio};

use harness::{Program, Test};
use serde::Deserialize;

use crate::support::{in_path, program};

/// Runs in a namespace with nothing but loopback, to which it adds a public address. A name server answers with this
/// one first and with 127.0.0.1 afterwards; on both addresses a web server says which of them it is.
const SCRIPT: &str = r#"
import http.client, http.server, json, socket, struct, subprocess, sys, tempfile, threading, time

PUBLIC, INNER = "93.184.215.14", "127.0.0.1"
answer, asked, hits = [PUBLIC], [], {PUBLIC: 0, INNER: 0}

def run(*words):
    subprocess.run(words, check=True)

def serve_names(names):
    while True:
        query, peer = names.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        (kind,) = struct.unpack(">H", query[end - 4:end - 2])
        found = b""
        if kind == 1:
            asked.append(answer[0])
            found = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(answer[0])
        head = query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, bool(found), 0, 0)
        names.sendto(head + query[12:end] + found, peer)

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        place = self.server.server_address[0]
        hits[place] += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(place.encode())
    def log_message(self, *_):
        pass

def page(place):
    server = http.server.ThreadingHTTPServer((place, 8000), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def ask():
    proxy = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    proxy.request("GET", "http://rebind.example:8000/")
    response = proxy.getresponse()
    return [response.status, response.read().decode()]

run("ip", "link", "set", "lo", "up")
run("ip", "address", "add", PUBLIC + "/32", "dev", "lo")
with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
    conf.write("nameserver 127.0.0.1\n")
    conf.flush()
    run("mount", "--bind", conf.name, "/etc/resolv.conf")
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
threading.Thread(target=serve_names, args=[names], daemon=True).start()
public, inner = page(PUBLIC), page(INNER)
words = [sys.argv[1], "--ingress", "http", "--listen", "127.0.0.1:8080", "--allow", "public,rebind.example"]
proxy = subprocess.Popen(words, stdout=subprocess.PIPE)
try:
    proxy.stdout.readline()
    first = ask()
    answer[0] = INNER
    # An address that refuses is not trusted as long as others, so that the name is looked up again soon.
    public.shutdown()
    public.server_close()
    rest = []
    until = time.monotonic() + 30
    while INNER not in asked and time.monotonic() < until:
        rest.append(ask())
        time.sleep(0.05)
    rest.append(ask())
finally:
    proxy.kill()
print(json.dumps({"first": first, "rest": rest, "asked": asked, "inner": hits[INNER]}))
"#;

/// What the script does first, and what a machine may not allow.
const WHAT_IT_NEEDS: &str = "ip link set lo up && mount --bind /etc/resolv.conf /etc/resolv.conf";

/// What the script saw.
#[derive(Debug, Deserialize)]
struct Seen {
    /// The status and the body of the first request.
    first: (u16, String),
    /// Those of the requests after the answer had changed.
    rest: Vec<(u16, String)>,
    /// What the name server has answered.
    asked: Vec<String>,
    /// The requests that have reached the inner server.
    inner: u32,
}

/// Returns the words that start a program as root of namespaces of its own; prints why the test is skipped where
/// that is not possible.
fn in_namespaces() -> Option<Program> {
    let (unshare, _) = (in_path("unshare")?, in_path("ip")?);
    let words = ["--user", "--map-root-user", "--net", "--mount", "--"];
    let mut tried = Command::new(&unshare);
    tried.args(words).args(["sh", "-c", WHAT_IT_NEEDS]);
    let tried = tried.stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine allows no namespaces");
        return None;
    }
    Some(Program::new(unshare).args(words))
}

#[test]
fn rules_a_name_server_that_changes_its_answer_gets_nowhere() {
    let _test = Test::begin("Judge the address of each connect, not that of an earlier lookup.");
    let Some(unshare) = in_namespaces() else {
        return;
    };
    let finished = unshare.args(["python3", "-c", SCRIPT]).arg(program()).run();
    finished.expect_code(0);
    let seen: Seen = serde_json::from_slice(&finished.stdout).expect("what the script saw");
    assert_eq!(seen.first, (200, "93.184.215.14".to_owned()), "{seen:?}");
    assert!(seen.asked.contains(&"127.0.0.1".to_owned()), "{seen:?}");
    let (last, reply) = seen.rest.last().expect("a last reply");
    assert_eq!(*last, 403, "{reply}");
    assert!(
        seen.rest.iter().all(|(status, _)| *status != 200),
        "{seen:?}"
    );
    assert_eq!(seen.inner, 0, "{seen:?}");
}
