//! What a gateway owes both of its sides (RFC 9110 section 7.6): offers to upgrade, targets, the chain of proxies.

use std::process::Command;

use harness::Test;

use crate::support::{Mux, Site, ask, field, reply};

#[test]
fn e55_an_offer_to_upgrade_is_declined_by_an_ordinary_answer() {
    let test = Test::begin(
        "RFC 9110 section 7.8: a server may ignore Upgrade. Drop the field, serve the request.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let request = format!("GET /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let reply = ask(&client, request.as_bytes());
        assert_eq!(
            (reply.status(), reply.text().as_str()),
            ("200", "/a "),
            "{fields:?}"
        );
    }
    let asked = site.asked();
    assert_eq!(
        (asked.len(), site.accepts()),
        (4, 1),
        "requests, and connections to the upstream"
    );
    for asked in asked {
        for name in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(field(&asked.head, name), None, "{}", asked.head);
        }
    }
    let url = format!("http://{}/curl", mux.addr());
    let arguments = [
        "-s",
        "--max-time",
        "20",
        "--http2",
        "-w",
        "%{http_code}",
        &url,
    ];
    match Command::new("curl").args(arguments).output() {
        Ok(output) if output.status.success() => {
            harness::expect_bytes("What curl --http2 printed", b"/curl 200", &output.stdout);
        }
        Ok(_) | Err(_) => test.note("curl is not installed, or knows no HTTP/2"),
    }
}

#[test]
fn e55_the_chain_of_proxies_can_be_followed() {
    let _test = Test::begin(
        "Via tells the version that was received; every hop of a TRACE or OPTIONS counts.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for (line, via) in [
        ("GET / HTTP/1.0", "1.0 stage5-mux"),
        ("GET / HTTP/1.1", "1.1 stage5-mux"),
    ] {
        let reply = ask(
            &mux.client(),
            format!("{line}\r\nHost: x\r\n\r\n").as_bytes(),
        );
        assert_eq!(reply.status(), "200", "the status of the response");
        let asked = site.asked().pop().expect("a request");
        assert_eq!(field(&asked.head, "via"), Some(via), "{line}");
    }
    for (method, given, left) in [
        ("OPTIONS", "3", "2"),
        ("TRACE", "1", "0"),
        ("GET", "3", "3"),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nMax-Forwards: {given}\r\n\r\n");
        assert_eq!(
            ask(&mux.client(), request.as_bytes()).status(),
            "200",
            "the status of the response"
        );
        let asked = site.asked().pop().expect("a request");
        assert_eq!(field(&asked.head, "max-forwards"), Some(left), "{method}");
    }
    let before = site.asked().len();
    for (method, value, status) in [
        ("OPTIONS", "0", "200"),
        ("TRACE", "0", "501"),
        ("OPTIONS", "-1", "400"),
        ("TRACE", "some", "400"),
    ] {
        let request = format!("{method} /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: {value}\r\n\r\n");
        let reply = ask(&mux.client(), request.as_bytes());
        assert_eq!(reply.status(), status, "{method} {value}");
        let allows = field(&reply.head, "allow").is_some();
        assert_eq!(allows, status == "200", "{}", reply.head);
    }
    assert_eq!(site.asked().len(), before, "the upstream sees none of them");
}

#[test]
fn e55_a_target_in_absolute_form_names_the_host() {
    let _test = Test::begin(
        "RFC 9112 section 3.2.2: accept the absolute form; its host replaces the field.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for (target, path, host) in [
        ("http://shop.test/a?b", "/a?b", "shop.test"),
        ("https://shop.test:8443/a", "/a", "shop.test:8443"),
        ("HTTPS://[::1]", "/", "[::1]"),
        ("Http://shop.test?b", "/?b", "shop.test"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let reply = ask(&client, request.as_bytes());
        assert_eq!(reply.text(), format!("{path} "), "{target}");
        let asked = site.asked().pop().expect("a request");
        assert_eq!(field(&asked.head, "host"), Some(host), "{target}");
    }
    let before = site.asked().len();
    for target in [
        "https://user@shop.test/",
        "https:///a",
        "http://:80/",
        "https:shop.test/",
        "ftp://shop.test/",
    ] {
        let client = mux.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n").as_bytes());
        assert_eq!(reply(&client).status(), "400", "{target}");
        client.expect_eof();
    }
    assert_eq!(site.asked().len(), before, "the upstream sees none of them");
}
