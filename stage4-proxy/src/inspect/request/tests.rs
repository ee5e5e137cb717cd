use super::*;

fn verdict_of(head: &str) -> Result<Page, Refusal> {
    parse(head.as_bytes(), Hosts::Loopback)
        .expect("a complete head")
        .verdict
}

fn verdict_for_host(host: &str) -> Result<Page, Refusal> {
    verdict_of(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

fn verdict_for_line(line: &str) -> Result<Page, Refusal> {
    verdict_of(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn the_three_pages_are_found() {
    assert_eq!(verdict_for_line("GET /"), Ok(Page::Tables));
    assert_eq!(verdict_for_line("GET /routes.json"), Ok(Page::Routes));
    assert_eq!(verdict_for_line("GET /metrics"), Ok(Page::Metrics));
    assert_eq!(
        verdict_of("GET / HTTP/1.2\r\nHost: localhost\r\n\r\n"),
        Ok(Page::Tables)
    );
    assert_eq!(verdict_for_line("GET /metrics?x=/y"), Ok(Page::Metrics));
    assert_eq!(
        verdict_for_line("GET http://localhost:1/metrics"),
        Ok(Page::Metrics)
    );
    assert_eq!(verdict_for_line("GET http://localhost"), Ok(Page::Tables));
}

#[test]
fn the_scheme_of_an_absolute_target_has_no_case() {
    for target in [
        "HTTP://localhost/metrics",
        "Http://localhost:9/metrics?a",
        "https://localhost/metrics",
        "HTTPS://[::1]/metrics",
    ] {
        let line = format!("GET {target}");
        assert_eq!(verdict_for_line(&line), Ok(Page::Metrics), "{target}");
    }
    for target in [
        "ftp://localhost/metrics",
        "://localhost/",
        "/http://localhost/",
    ] {
        let line = format!("GET {target}");
        assert_eq!(verdict_for_line(&line), Err(Refusal::NotFound), "{target}");
    }
    let foreign = verdict_for_line("GET HTTP://example.org/");
    assert_eq!(foreign, Err(Refusal::Misdirected));
}

fn verdict_with(path: &str, fields: &str) -> Result<Page, Refusal> {
    verdict_of(&format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
    ))
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    for path in ["/", "/metrics", "/routes.json"] {
        for site in ["cross-site", "same-site", "anything"] {
            let fields = format!("sec-fetch-site: {site}\r\nSec-Fetch-Mode: no-cors\r\n");
            let verdict = verdict_with(path, &fields);
            assert_eq!(verdict, Err(Refusal::CrossSite), "{path} {site}");
        }
        for site in ["same-origin", "none"] {
            let verdict = verdict_with(path, &format!("Sec-Fetch-Site: {site}\r\n"));
            assert!(verdict.is_ok(), "{path} {site}");
        }
    }
}

#[test]
fn a_link_leads_to_the_page_in_a_window_of_its_own_only() {
    let from_a_link = |dest: &str| {
        format!(
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: {dest}\r\n"
        )
    };
    assert_eq!(
        verdict_with("/", &from_a_link("document")),
        Ok(Page::Tables)
    );
    for (path, dest) in [("/", "iframe"), ("/metrics", "document")] {
        let verdict = verdict_with(path, &from_a_link(dest));
        assert_eq!(verdict, Err(Refusal::CrossSite), "{path} {dest}");
    }
}

#[test]
fn head_is_remembered_also_in_a_refusal() {
    let found = parse(b"HEAD / HTTP/1.0\r\n\r\n", Hosts::Loopback).unwrap();
    assert_eq!(
        found,
        Request {
            method: Method::Head,
            verdict: Ok(Page::Tables)
        }
    );
    let missing = parse(b"HEAD /x HTTP/1.0\r\n\r\n", Hosts::Loopback).unwrap();
    assert_eq!(
        missing,
        Request {
            method: Method::Head,
            verdict: Err(Refusal::NotFound)
        }
    );
}

#[test]
fn other_paths_and_methods_are_refused() {
    for line in [
        "GET /x",
        "GET //",
        "GET /routes.json/",
        "GET *",
        "POST /x",
        "GET /%2e",
        "GET /..",
    ] {
        assert_eq!(verdict_for_line(line), Err(Refusal::NotFound), "{line}");
    }
    for line in ["POST /", "DELETE /metrics", "get /routes.json", "OPTIONS /"] {
        assert_eq!(
            verdict_for_line(line),
            Err(Refusal::MethodNotAllowed),
            "{line}"
        );
    }
}

#[test]
fn loopback_hosts_are_ours_and_no_others() {
    for host in [
        "localhost",
        "LocalHost:9",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:80",
        "[::ffff:127.0.0.1]",
    ] {
        assert_eq!(verdict_for_host(host), Ok(Page::Tables), "{host}");
    }
    for host in [
        "example.org",
        "example.org:80",
        "localhost.example.org",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "",
        ":80",
        "localhost@example.org",
        "127.0.0.1.example.org",
        "[",
        "[]",
        "notlocalhost",
    ] {
        assert_eq!(verdict_for_host(host), Err(Refusal::Misdirected), "{host}");
    }
}

#[test]
fn the_host_in_the_request_line_counts() {
    assert_eq!(
        verdict_for_line("GET http://example.org/"),
        Err(Refusal::Misdirected)
    );
    assert_eq!(
        verdict_for_line("GET http://example.org"),
        Err(Refusal::Misdirected)
    );
}

#[test]
fn any_host_will_do_on_a_public_address() {
    let request = parse(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", Hosts::Any).unwrap();
    assert_eq!(request.verdict, Ok(Page::Tables));
}

#[test]
fn one_host_field_no_more_no_less() {
    let missing = "GET / HTTP/1.1\r\n\r\n";
    let twice = "GET / HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n\r\n";
    assert_eq!(verdict_of(missing), Err(Refusal::BadRequest));
    assert_eq!(verdict_of(twice), Err(Refusal::BadRequest));
    assert_eq!(verdict_of("GET / HTTP/1.0\r\n\r\n"), Ok(Page::Tables));
}

#[test]
fn every_shorter_prefix_asks_for_more() {
    let head = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    for length in 0..head.len() {
        assert_eq!(
            parse(&head[..length], Hosts::Loopback),
            None,
            "{length} bytes"
        );
    }
    assert!(parse(head, Hosts::Loopback).is_some());
}

#[test]
fn a_head_without_end_is_too_large_at_its_bound_and_not_before() {
    let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    head.resize(MAX_HEAD - 1, b'x');
    assert_eq!(parse(&head, Hosts::Loopback), None);
    head.push(b'x');
    let refused = Request::refused(Refusal::HeadTooLarge);
    assert_eq!(parse(&head, Hosts::Loopback), Some(refused));
    let many = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        "A: b\r\n".repeat(MAX_FIELDS + 1)
    );
    assert_eq!(parse(many.as_bytes(), Hosts::Loopback), Some(refused));
}

#[test]
fn garbage_is_a_bad_request() {
    for head in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/2.0\r\n\r\n",
        b"\0\0\0\0",
        b"GET\r\n\r\n",
    ] {
        let refused = Request::refused(Refusal::BadRequest);
        assert_eq!(parse(head, Hosts::Loopback), Some(refused), "{head:?}");
    }
}
