use sha2::{Digest, Sha256};

use super::*;

const ALL_REFUSALS: [Refusal; 7] = [
    Refusal::BadRequest,
    Refusal::CrossSite,
    Refusal::NotFound,
    Refusal::MethodNotAllowed,
    Refusal::Misdirected,
    Refusal::HeadTooLarge,
    Refusal::Unavailable,
];

fn text(response: Response, method: Method) -> String {
    String::from_utf8(response.encode().bytes(method).to_vec()).unwrap()
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .fold(0_u32, |word, &byte| word << 8 | u32::from(byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let six = (word >> (18 - 6 * place)) & 63;
            let letter = char::from(ALPHABET[six as usize]);
            text.push(if place <= three.len() { letter } else { '=' });
        }
    }
    text
}

/// The `'sha256-..'` of the text between `open` and `close`, which must be there exactly once.
fn source_of(open: &str, close: &str) -> String {
    let (_, rest) = PAGE.split_once(open).unwrap();
    let (inner, rest) = rest.split_once(close).unwrap();
    assert!(!rest.contains(open), "{open} twice");
    format!("'sha256-{}'", base64(&Sha256::digest(inner)))
}

#[test]
fn base64_knows_its_test_vectors() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
}

#[test]
fn the_policy_names_exactly_this_script_and_this_style() {
    let script = source_of("<script>", "</script>");
    let style = source_of("<style>", "</style>");
    assert!(
        POLICY.contains(&format!("script-src {script};")),
        "POLICY needs script-src {script}"
    );
    assert!(
        POLICY.contains(&format!("style-src {style};")),
        "POLICY needs style-src {style}"
    );
}

#[test]
fn sections_are_put_in_below_the_totals() {
    let section = |page| Section {
        name: "lines",
        json: serde_json::Value::Null,
        metrics: prometheus::Metrics::default(),
        page,
    };
    let both = tables(&[section("<p>one</p>\n"), section("<p>two</p>\n")]);
    assert!(both.contains("</dl>\n<p>one</p>\n<p>two</p>\n<p id=\"spoken\""));
    assert!(!both.contains(SECTIONS) && !tables(&[]).contains(SECTIONS));
}

#[test]
fn the_page_loads_nothing_and_inserts_no_markup() {
    for word in [
        "src=",
        "http:",
        "https:",
        "//cdn",
        "@import",
        "url(",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        " style=",
        "onclick",
    ] {
        assert!(!PAGE.contains(word), "{word} in page.html");
    }
}

#[test]
fn every_response_has_its_length_and_its_guards() {
    let snapshot = Snapshot::default();
    let pages = Page::ALL.map(|page| Response::page(page, &snapshot));
    for response in pages.into_iter().chain(ALL_REFUSALS.map(Response::refusal)) {
        let length = response.body.len();
        let text = text(response, Method::Get);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), length);
        for field in [
            &format!("Content-Length: {length}"),
            "Connection: close",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Allow: GET, HEAD",
            "Content-Security-Policy: default-src 'none'; ",
        ] {
            assert!(head.contains(field), "{field} in {head}");
        }
    }
}

#[test]
fn the_answer_to_head_has_the_same_head_and_no_body() {
    let metrics = || Response::page(Page::Metrics, &Snapshot::default());
    let whole = text(metrics(), Method::Get);
    let head = text(metrics(), Method::Head);
    assert!(head.ends_with("\r\n\r\n"));
    assert!(whole.starts_with(&head) && whole.len() > head.len());
}

#[test]
fn each_refusal_has_its_own_status_and_a_sentence() {
    let status = |refusal| text(Response::refusal(refusal), Method::Get)[9..12].to_owned();
    assert_eq!(
        ALL_REFUSALS.map(status),
        ["400", "403", "404", "405", "421", "431", "503"]
    );
    for refusal in ALL_REFUSALS {
        let text = text(Response::refusal(refusal), Method::Get);
        assert!(text.ends_with(".\n"));
        let may_be_repeated = text.contains("Retry-After: 1\r\n");
        assert_eq!(may_be_repeated, refusal == Refusal::Unavailable);
    }
}
