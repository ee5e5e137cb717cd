//! Clients of others: curl, Python's own, and a browser.

use std::process::Command;
use std::time::Duration;

use harness::{Client, Hand, Test};

use crate::inspector::{chromium, dump_dom_with};
use crate::support::{PAGE, Page, Proxy, curl, in_path};

/// Fetches a page through the proxy with Python's own client: a tunnel, a request in absolute form, and uploads.
const PYTHON: &str = r#"
import hashlib, http.client, sys, urllib.request
proxy, port = sys.argv[1], int(sys.argv[2])
tunnel = http.client.HTTPConnection(*proxy.split(":"), timeout=20)
tunnel.set_tunnel("localhost", port)
tunnel.request("GET", "/")
first = tunnel.getresponse().read()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://" + proxy}))
second = opener.open(f"http://localhost:{port}/", timeout=20).read()
assert first == second == b"<p>a page</p>\n", (first, second)
kept = http.client.HTTPConnection(*proxy.split(":"), timeout=20)
socket = None
for number in range(5):
    kept.request("HEAD" if number % 2 else "GET", f"http://localhost:{port}/")
    response = kept.getresponse()
    body = response.read()
    assert response.status == 200 and len(body) == (0 if number % 2 else 14), (number, body)
    socket = socket or kept.sock
    assert kept.sock is socket, "the connection was not kept"
"#;

/// Serves uploads with Python's own server, which answers with their hash: it reads chunks by itself, as the library
/// has no code for them.
const UPLOADS: &str = r#"
import hashlib, http.client, http.server, sys, threading
proxy = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        body = b""
        if self.headers["Transfer-Encoding"] == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                assert self.rfile.readline() == b"\r\n"
            assert self.rfile.readline() == b"\r\n"
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
data = bytes(number * 7919 % 251 for number in range(8 << 20))
url = f"http://127.0.0.1:{server.server_address[1]}/"
kept = http.client.HTTPConnection(*proxy.split(":"), timeout=60)
for body in (data, iter([data[:1], data[1:100000], data[100000:]])):
    kept.request("POST", url, body, encode_chunked=not isinstance(body, bytes),
                 headers={} if isinstance(body, bytes) else {"Transfer-Encoding": "chunked"})
    answer = kept.getresponse().read().decode()
    assert answer == hashlib.sha256(data).hexdigest(), answer
"#;

/// Runs a script of Python's.
#[track_caller]
fn python(script: &str, arguments: &[String]) {
    let mut python = Command::new("python3");
    python.args(["-c", script]).args(arguments);
    let output = python.output().expect("python3");
    harness::ensure(
        output.status.success(),
        String::from_utf8_lossy(&output.stderr),
    );
}

#[test]
fn http_python_fetches_a_page() {
    let _test = Test::begin(
        "http.client asks for a tunnel, urllib sends a whole URL; a connection is kept.",
    );
    let (proxy, page) = (Proxy::choosing("http", &[]), Page::serve());
    python(PYTHON, &[proxy.addr().to_string(), page.port().to_string()]);
}

#[test]
fn http_python_uploads_8_mib_with_a_length_and_in_chunks() {
    let _test = Test::begin("The target's own hash of the body is that of the client.");
    let proxy = Proxy::choosing("http", &[]);
    python(UPLOADS, &[proxy.addr().to_string()]);
}

#[test]
fn http_curl_fetches_a_page() {
    let _test = Test::begin("curl -x sends a whole URL; with --proxytunnel it asks for a tunnel.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let (proxy, page) = (Proxy::choosing("http", &[]), Page::serve());
    let proxy = format!("http://{}", proxy.addr());
    for tunnel in [&[][..], &["--proxytunnel"]] {
        let options = [&["--noproxy", "", "-x", &proxy], tunnel].concat();
        assert_eq!(curl(&program, &options, &page.url()), PAGE, "{options:?}");
    }
}

#[test]
fn http_curl_fetches_from_two_targets_on_one_connection() {
    let _test =
        Test::begin("curl keeps its connection to the proxy for every URL, whatever its host is.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let proxy = Proxy::choosing("http", &[]);
    let pages = [Page::serve(), Page::serve()];
    let address = format!("http://{}", proxy.addr());
    let (first, second) = (pages[0].url(), pages[1].url());
    // For each URL, curl says how many connections it had to make.
    let options = [
        "--noproxy",
        "",
        "-x",
        &address,
        "-w",
        "%{num_connects}",
        &first,
        &second,
    ];
    let output = curl(&program, &options, &first);
    let page = String::from_utf8_lossy(PAGE);
    let expected = format!("{page}1{page}0{page}0");
    assert_eq!(String::from_utf8_lossy(&output), expected);
    let sessions = proxy
        .metrics()
        .into_iter()
        .find(|(name, _)| name.contains("sessions_total"));
    assert_eq!(sessions.map(|(_, count)| count), Some(1.0));
}

#[test]
fn http_a_browser_reads_a_page() {
    let _test = Test::begin(
        "A browser asks for a page and for its parts, over several connections that it keeps.",
    );
    let Some(browser) = chromium() else {
        return;
    };
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    // Otherwise a browser asks no proxy for an address of its own machine.
    let options = [
        format!("--proxy-server=http://{}", proxy.addr()),
        "--proxy-bypass-list=<-loopback>".to_owned(),
        "--virtual-time-budget=3000".to_owned(),
    ];
    let address = target.addr();
    let serving = std::thread::spawn(move || serve_two_parts(&target));
    let dom = dump_dom_with(&browser, &options, &format!("http://{address}/"));
    assert!(dom.contains("read by a script"), "{dom}");
    assert!(serving.join().is_ok());
}

/// Serves a page and its script to a browser, and nothing else.
fn serve_two_parts(target: &Hand) {
    let page = "<p id=p></p><script src=/script.js></script>";
    let script = "document.getElementById('p').textContent = 'read by ' + 'a script'";
    let mut served = 0;
    while served < 2 {
        let upstream: Client = target.next();
        let head = upstream.with_patience(Duration::from_secs(60));
        let request = head.read_until(b"\r\n\r\n");
        let (kind, body) = match &request {
            request if request.starts_with(b"GET / ") => ("text/html", page),
            request if request.starts_with(b"GET /script.js ") => ("text/javascript", script),
            _ => ("text/plain", ""),
        };
        served += usize::from(!body.is_empty());
        let length = body.len();
        let fields = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n");
        head.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").as_bytes());
    }
}
