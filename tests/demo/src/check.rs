//! The demonstration without a person: fetch twice, compare, read the route table.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;

use crate::demonstration::Demonstration;
use crate::fetch;
use crate::routes::{Routes, Session};
use crate::site;

/// How long a connection may take to become a row of the route table.
const PATIENCE: Duration = Duration::from_secs(10);

/// Compares responses through the proxy with direct ones, then shows the row of an open connection.
///
/// # Errors
///
/// Fails if a response or the row differs from what it must be, or a signal arrives.
pub(crate) fn run(demonstration: &Demonstration, signals: &mut Signals) -> Result<()> {
    for path in site::PATHS {
        compare(demonstration, path)?;
        let stop = signals.pending().any(|signal| signal != SIGCHLD);
        ensure!(!stop, "stopped by a signal");
    }
    show_routes(demonstration)
}

fn compare(demonstration: &Demonstration, path: &str) -> Result<()> {
    let direct = fetch::get(demonstration.upstream, path)?;
    let relayed = fetch::get(demonstration.proxy, path)?;
    ensure!(
        direct.head == relayed.head,
        "GET {path}: the proxy's head differs from the direct one:\n  {:?}\n  {:?}",
        relayed.head,
        direct.head
    );
    if let Some(place) = difference(&direct.body, &relayed.body) {
        bail!(
            "GET {path}: the body through the proxy ({} bytes) differs from the direct one ({} bytes) from byte {place} on",
            relayed.body.len(),
            direct.body.len()
        );
    }
    println!(
        "equal   {path:<14} {:<28} {:>8} bytes",
        direct.status(),
        direct.body.len()
    );
    Ok(())
}

/// Returns where two bodies begin to differ.
fn difference(left: &[u8], right: &[u8]) -> Option<usize> {
    let same = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    (same < left.len() || same < right.len()).then_some(same)
}

/// Holds a connection open until it is a row of the table, and prints the table.
fn show_routes(demonstration: &Demonstration) -> Result<()> {
    let client = fetch::connect(demonstration.proxy).context("cannot connect to the proxy")?;
    let address = client.local_addr()?;
    let routes = wait_for_row(demonstration, address)?;
    println!("\nThe route table while one client, {address}, is connected and has sent nothing:\n");
    print!("{}", routes.table());
    let session = routes.of_client(address).context("the row has gone")?;
    verify(session, demonstration)
}

fn wait_for_row(demonstration: &Demonstration, address: SocketAddr) -> Result<Routes> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let routes = Routes::fetch(demonstration.inspector)?;
        if routes
            .of_client(address)
            .is_some_and(|session| session.phase == "relay")
        {
            return Ok(routes);
        }
        ensure!(
            Instant::now() < deadline,
            "after {PATIENCE:?} the route table has no connected row for the client {address}:\n{}",
            routes.table()
        );
        std::thread::yield_now();
    }
}

/// Checks the row of our connection against its addresses as we know them.
fn verify(session: &Session, demonstration: &Demonstration) -> Result<()> {
    let upstream = session
        .upstream
        .as_ref()
        .context("the row has no upstream")?;
    ensure!(
        session.client.local == Some(demonstration.proxy),
        "the client's row does not name the proxy's address"
    );
    ensure!(
        upstream.peer == Some(demonstration.upstream),
        "the row does not name the upstream's address"
    );
    ensure!(
        session.client.fd != upstream.fd,
        "cfd and ufd are the same number"
    );
    ensure!(
        (session.bytes_up, session.bytes_down) == (0, 0),
        "bytes were counted although the client has sent none"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_has_a_place() {
        assert_eq!(difference(b"abc", b"abc"), None);
        assert_eq!(difference(b"abc", b"abd"), Some(2));
        assert_eq!(difference(b"abc", b"ab"), Some(2));
        assert_eq!(difference(b"", b"a"), Some(0));
    }
}
