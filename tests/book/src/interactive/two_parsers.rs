//! Two parsers, one connection: what the page says of the queue of stage 5, the queue does.

use serde::{Deserialize, Serialize};
use stage5_mux::queue::framing::{Framing as _, Requests as _, Status};
use stage5_mux::queue::http1::Http1;

use crate::interactive::visit;

/// What the page judges besides its own samples; each line break is CR LF.
const MORE: [&str; 27] = [
    "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5\n\nhello",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5 \nhello\n0\n\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\n\n",
    "GET / HTTP/1.0\n\n",
    "GET / HTTP/1.1\nHost: a\nHost: b\n\n",
    "GET /\nHost: a\n\n",
    "GET  / HTTP/1.1\nHost: a\n\n",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: +5\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 5x\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: -1\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 9\n\nhello",
    "POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nhello",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n5\nhello\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, identity\n\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n",
    "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5;a=b\nhello\n0\nX: y\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhelloo\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nx\nhello\n0\n\n",
    "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhel",
    "\nGET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\nHost: a\nB@d: x\n\n",
    "GET / HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n0\n\n",
];

/// Judges all samples, and says what the page shows for its own.
const VISITOR: &str = r#"
const judged = [...Object.values(SAMPLES), ...MORE].map((text) => ({ bytes: wire(text), verdict: judge(wire(text)) }));
const outcomes = Object.keys(SAMPLES).map((name) => {
  get("samples").value = name;
  get("samples").dispatchEvent(new Event("change"));
  return { name, outcome: get("outcome").textContent, ours: get("ours").textContent };
});
tell({ judged, outcomes });
"#;

#[derive(Deserialize)]
struct Visit {
    judged: Vec<Judged>,
    outcomes: Vec<Shown>,
}

#[derive(Debug, Deserialize)]
struct Judged {
    bytes: String,
    verdict: Verdict,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    taken: usize,
    refused: String,
}

/// What the page shows for a sample.
#[derive(Debug, Deserialize, Serialize)]
struct Shown {
    name: String,
    outcome: String,
    ours: String,
}

/// Counts the requests that the queue takes, and says whether it refuses the next one.
fn of_the_queue(bytes: &[u8]) -> (usize, bool) {
    let mut requests = Http1::new("upstream".to_owned(), 8 * 1024, 64 * 1024).requests();
    let (mut taken, mut rest) = (0, bytes);
    while !rest.is_empty() {
        match requests.take(rest, &mut Vec::new()) {
            Err(_) => return (taken, true),
            Ok(step) => {
                rest = &rest[step.used..];
                match step.status {
                    Status::Complete(_) => taken += 1,
                    Status::Partial | Status::Full(_) => break,
                }
            }
        }
    }
    (taken, false)
}

#[test]
fn the_page_of_two_parsers_says_what_the_queue_does() {
    let more = serde_json::to_string(&MORE).unwrap();
    let script = format!("const MORE = {more};{VISITOR}");
    let Some(visit) = visit::<Visit>("two-parsers", &script) else {
        return;
    };
    assert!(
        visit.judged.len() > MORE.len(),
        "the samples of the page, too"
    );
    for Judged { bytes, verdict } in &visit.judged {
        let told = (verdict.taken, !verdict.refused.is_empty());
        assert_eq!(
            told,
            of_the_queue(bytes.as_bytes()),
            "{verdict:?}: {bytes:?}"
        );
    }
    let shown = |name: &str| {
        let mut all = visit.outcomes.iter();
        all.find(|one| one.name == name)
            .expect("a sample of this name")
    };
    let attack = shown("two lengths: the attack");
    assert!(attack.outcome.contains("the rest of it"), "{attack:?}");
    assert!(attack.ours.contains("answers 400"), "{attack:?}");
    let surplus = shown("two lengths: an answer too much");
    assert!(
        surplus.outcome.contains("to the next client"),
        "{surplus:?}"
    );
    assert_eq!(shown("an honest request").outcome, "Both agree.");
}
