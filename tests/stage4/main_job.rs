//! Exercise 4.9, the main job: a browser, the proxy, and `python3 -m http.server` (requirements B2, B7).

use std::fs;
use std::net::SocketAddr;
use std::thread;

use harness::{Rng, Server, Test, Upstream, ensure};
use tempfile::TempDir;

use crate::inspector::{chromium, dump_dom};
use crate::support::{MIB, Proxy, curl, in_path};

/// A file whose bytes are no text, and how large it is.
const BINARY: (&str, usize) = ("binary.dat", 3 * MIB + 5);
/// The requested paths: the listing, files, a folder, and one that does not exist.
const PATHS: [&str; 6] = [
    "/",
    "/a.txt",
    "/binary.dat",
    "/empty.txt",
    "/folder/",
    "/nothing-there",
];

/// A folder with files, served by Python, and the proxy in front of it.
struct Site {
    python: Server,
    proxy: Proxy,
    _folder: TempDir,
}

impl Site {
    #[track_caller]
    fn start(protocol: &str, arguments: &[&str]) -> Self {
        let folder = fill_folder().unwrap_or_else(|error| harness::fail(error.to_string()));
        let python = Upstream::python_speaking(folder.path(), protocol);
        let proxy = Proxy::with(python.addr(), arguments);
        Self {
            python,
            proxy,
            _folder: folder,
        }
    }

    /// Both addresses: the direct one and the proxy's.
    fn addresses(&self) -> [SocketAddr; 2] {
        [self.python.addr(), self.proxy.addr()]
    }
}

fn fill_folder() -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    fs::write(path.join("a.txt"), "content of a")?;
    fs::write(path.join("empty.txt"), "")?;
    fs::write(path.join(BINARY.0), Rng::for_test().bytes(BINARY.1))?;
    fs::create_dir(path.join("folder"))?;
    fs::write(path.join("folder/b.txt"), "content of b")?;
    fs::write(path.join("page.html"), PAGE)?;
    fs::write(path.join("script.js"), SCRIPT)?;
    fs::write(path.join("image.svg"), IMAGE)?;
    Ok(folder)
}

const PAGE: &str = "<!doctype html><title>page</title><p id=state>waiting</p>\
    <img id=image src=image.svg><script src=script.js></script>\n";
const SCRIPT: &str = "onload = async () => {\n\
    const text = await (await fetch('a.txt')).text();\n\
    const image = document.getElementById('image');\n\
    document.getElementById('state').textContent = `${image.naturalWidth} and ${text}`;\n};\n";
const IMAGE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"37\" height=\"11\"><rect width=\"37\" height=\"11\"/></svg>\n";

/// Status and body of one response.
#[track_caller]
fn get(client: &reqwest::blocking::Client, address: SocketAddr, path: &str) -> (u16, Vec<u8>) {
    let fetch = || {
        let answer = client.get(format!("http://{address}{path}")).send()?;
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.bytes()?.to_vec()))
    };
    fetch().unwrap_or_else(|error| harness::fail(format!("{address}{path}: {error}")))
}

#[test]
fn e49_the_listing_and_the_files_are_the_same_as_without_a_proxy() {
    let _test =
        Test::begin("The proxy changes nothing: each answer equals the direct one, byte for byte.");
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let site = Site::start(protocol, &[]);
        let client = reqwest::blocking::Client::new();
        for path in PATHS {
            let [direct, proxied] = site.addresses().map(|address| get(&client, address, path));
            let status = if path == "/nothing-there" { 404 } else { 200 };
            assert_eq!((direct.0, proxied.0), (status, status), "{protocol} {path}");
            ensure(
                direct.1 == proxied.1,
                format!("{protocol} {path}: the bodies differ"),
            );
        }
        drop(client);
        site.proxy.wait_for_rows(0);
        site.proxy.expect_alive();
    }
}

/// B7.
#[test]
fn e49_milestone_2_two_clients_fetch_different_paths() {
    let _test = Test::begin("Each client gets its own answer, and the proxy goes on.");
    let site = Site::start("HTTP/1.0", &["--threads", "2"]);
    let [_, proxied] = site.addresses();
    thread::scope(|scope| {
        for (path, content) in [
            ("/a.txt", "content of a"),
            ("/folder/b.txt", "content of b"),
        ] {
            scope.spawn(move || {
                let client = reqwest::blocking::Client::new();
                for _ in 0..20 {
                    assert_eq!(get(&client, proxied, path), (200, content.into()));
                }
            });
        }
    });
    site.proxy.wait_for_rows(0);
    assert_eq!(
        site.proxy.terminate().code(),
        Some(0),
        "the exit code after SIGTERM"
    );
}

#[test]
fn e49_curl_sees_no_difference() {
    let _test = Test::begin("curl through the proxy prints what curl prints without it.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let direct = ["--noproxy", "*"];
    let site = Site::start("HTTP/1.0", &[]);
    for path in PATHS {
        let [direct, proxied] = site
            .addresses()
            .map(|address| curl(&program, &direct, &format!("http://{address}{path}")));
        ensure(direct == proxied, format!("{path}: the outputs differ"));
    }
}

#[test]
fn e49_a_browser_shows_a_page_with_image_and_script() {
    let _test = Test::begin("A browser opens several connections at once and keeps some open.");
    let Some(browser) = chromium() else {
        return;
    };
    let site = Site::start("HTTP/1.1", &[]);
    let [direct, proxied] = site
        .addresses()
        .map(|address| dump_dom(&browser, &format!("http://{address}/page.html")));
    assert!(proxied.contains(">37 and content of a</p>"), "{proxied}");
    assert_eq!(proxied, direct);
    site.proxy.wait_for_rows(0);
    assert!(site.proxy.metrics()["proxy_sessions_total"] >= 1.0);
}
