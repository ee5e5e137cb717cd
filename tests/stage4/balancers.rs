//! The PROXY protocol with HAProxy and nginx at the other end, in both directions.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use harness::{Connect, PATIENCE, Process, Program, Test, eventually, fail};
use tempfile::TempDir;

use crate::support::{Proxy, in_path, listeners, proxy_and_hand, talk};

/// The client, at an address of its own.
const CLIENT: [u8; 4] = [127, 0, 0, 5];

/// A balancer with its folder.
struct Balancer {
    process: Process,
    _folder: TempDir,
}

/// A port that is free now, at an address that no other test uses: these programs cannot ask the kernel for one and
/// say which it was.
#[track_caller]
fn free_port(last: u8) -> SocketAddr {
    let address = Ipv4Addr::new(127, 77, 4, last);
    let listener = TcpListener::bind((address, 0)).and_then(|it| it.local_addr());
    listener.unwrap_or_else(|error| fail(format!("no free port: {error}")))
}

impl Balancer {
    /// Starts a program whose configuration is in `FOLDER/config`, and waits until it listens.
    #[track_caller]
    fn start(program: &Path, options: &[&str], config: &str, listens: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| fail(error.to_string()));
        let file = folder.path().join("config");
        let config = config.replace("FOLDER", &folder.path().to_string_lossy());
        std::fs::write(&file, config).unwrap_or_else(|error| fail(error.to_string()));
        let process = Program::new(program).args(options).arg(&file).spawn();
        let balancer = Self {
            process,
            _folder: folder,
        };
        eventually("the balancer listens", PATIENCE, || {
            balancer.process.expect_alive();
            listeners(listens) > 0
        });
        balancer
    }
}

const HAPROXY: &str = "defaults
    timeout connect 20s
    timeout client 1m
    timeout server 1m
";

const NGINX: &str = "daemon off;
master_process off;
error_log stderr;
pid FOLDER/pid;
events { worker_connections 64; }
";

/// Asks a web server that replies with the client's address and port, through our proxy with --send-proxy.
#[track_caller]
fn is_told_who_the_client_is(server: SocketAddr) {
    for version in ["v1", "v2"] {
        let proxy = Proxy::with(server, &["--send-proxy", version]);
        let client = Connect::new().from((CLIENT, 0).into()).to(proxy.addr());
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        let body = format!("<{}>", client.local());
        assert!(reply.contains(&body), "{version}: {body} is not in {reply}");
    }
}

/// Starts a balancer that sends a header to our proxy, and checks that its client is ours.
#[track_caller]
fn tells_who_the_client_is(start: impl Fn(SocketAddr) -> (Balancer, SocketAddr)) {
    let (proxy, hand) = proxy_and_hand(&["--accept-proxy", "127.0.0.1"]);
    let (_balancer, address) = start(proxy.addr());
    let client = Connect::new().from((CLIENT, 0).into()).to(address);
    client.send(b"early");
    let upstream = hand.next();
    upstream.expect(b"early");
    talk(&client, &upstream);
    let row = proxy.row_of(&client);
    assert!(
        row.description.contains(&client.local().to_string()),
        "{}",
        row.description
    );
}

#[test]
fn proxy_protocol_haproxy_reads_our_header() {
    let _test = Test::begin("`bind ... accept-proxy`: HAProxy says whom it takes for the client.");
    let Some(haproxy) = in_path("haproxy") else {
        return;
    };
    let address = free_port(1);
    let config = format!(
        "{HAPROXY}frontend web\n    mode http\n    bind {address} accept-proxy\n    \
         http-request return status 200 content-type text/plain lf-string \"<%[src]:%[src_port]>\"\n"
    );
    let _balancer = Balancer::start(&haproxy, &["-db", "-f"], &config, address);
    is_told_who_the_client_is(address);
}

#[test]
fn proxy_protocol_haproxy_s_header_is_read() {
    let _test =
        Test::begin("`server ... send-proxy` and `send-proxy-v2`: our client is HAProxy's.");
    let Some(haproxy) = in_path("haproxy") else {
        return;
    };
    for (word, last) in [
        ("send-proxy", 2),
        ("send-proxy-v2", 3),
        ("send-proxy-v2 proxy-v2-options crc32c,unique-id", 4),
    ] {
        tells_who_the_client_is(|proxy| {
            let address = free_port(last);
            let config = format!(
                "{HAPROXY}listen relay\n    mode tcp\n    bind {address}\n    server ours {proxy} {word}\n"
            );
            (
                Balancer::start(&haproxy, &["-db", "-f"], &config, address),
                address,
            )
        });
    }
}

#[test]
fn proxy_protocol_nginx_reads_our_header() {
    let _test =
        Test::begin("`listen ... proxy_protocol`: nginx says whom it takes for the client.");
    let Some(nginx) = in_path("nginx") else {
        return;
    };
    let address = free_port(5);
    let config = format!(
        "{NGINX}http {{
    access_log off;
    client_body_temp_path FOLDER; proxy_temp_path FOLDER; fastcgi_temp_path FOLDER; uwsgi_temp_path FOLDER; scgi_temp_path FOLDER;
    server {{
        listen {address} proxy_protocol;
        location / {{ return 200 \"<$proxy_protocol_addr:$proxy_protocol_port>\"; }}
    }}
}}
"
    );
    let _balancer = Balancer::start(&nginx, &["-e", "stderr", "-c"], &config, address);
    is_told_who_the_client_is(address);
}

#[test]
fn proxy_protocol_nginx_s_header_is_read() {
    let _test = Test::begin("`proxy_protocol on`: our client is nginx's.");
    let Some(nginx) = in_path("nginx") else {
        return;
    };
    let Some(stream) = stream_module() else {
        return eprintln!("skipped: nginx has no stream module");
    };
    tells_who_the_client_is(|proxy| {
        let address = free_port(6);
        let config = format!(
            "{stream}{NGINX}stream {{
    server {{ listen {address}; proxy_pass {proxy}; proxy_protocol on; }}
}}
"
        );
        (
            Balancer::start(&nginx, &["-e", "stderr", "-c"], &config, address),
            address,
        )
    });
}

/// Returns the line that loads nginx's stream module, where it is a file of its own; `None` without one.
fn stream_module() -> Option<String> {
    let files = [
        "/usr/lib/nginx/modules/ngx_stream_module.so",
        "/usr/lib64/nginx/modules/ngx_stream_module.so",
    ];
    let file = files.into_iter().find(|file| Path::new(file).is_file())?;
    Some(format!("load_module {file};\n"))
}
