//! The route table of the inspector, and its rendering for a terminal.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::fetch;

/// The content of `/routes.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Routes {
    pub(crate) sessions: Vec<Session>,
}

/// One row of the route table.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) client: Endpoint,
    /// None until the proxy begins to connect.
    pub(crate) upstream: Option<Endpoint>,
    pub(crate) phase: String,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// A socket of the proxy and the two ends of its connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) fd: i32,
    /// The proxy's end; none while a connect has not chosen one yet.
    pub(crate) local: Option<SocketAddr>,
    /// The far end.
    pub(crate) peer: Option<SocketAddr>,
}

impl Routes {
    /// Asks the inspector.
    pub(crate) fn fetch(inspector: SocketAddr) -> Result<Self> {
        let answer = fetch::get(inspector, "/routes.json")?;
        if !answer.status().contains(" 200 ") {
            bail!(
                "the inspector answers /routes.json with \"{}\"",
                answer.status()
            );
        }
        serde_json::from_slice(&answer.body).context("/routes.json is not what the course expects")
    }

    /// Returns the row of the client whose own address is `address`.
    pub(crate) fn of_client(&self, address: SocketAddr) -> Option<&Session> {
        self.sessions
            .iter()
            .find(|session| session.client.peer == Some(address))
    }

    /// Draws the table: each five-tuple as source, destination, protocol.
    pub(crate) fn table(&self) -> String {
        let mut lines = format!(
            "{:<46} {:>4}   {:<46} {:>4}   {:<10} {:>6} {:>6}\n",
            "client five-tuple", "cfd", "upstream five-tuple", "ufd", "phase", "up", "down"
        );
        for session in &self.sessions {
            let client = five_tuple(session.client.peer, session.client.local);
            let upstream = session.upstream.as_ref();
            let tuple =
                upstream.map_or_else(|| "-".to_owned(), |end| five_tuple(end.local, end.peer));
            let ufd = upstream.map_or_else(|| "-".to_owned(), |end| end.fd.to_string());
            // Writing into a String cannot fail.
            let _ = writeln!(
                lines,
                "{client:<46} {:>4}   {tuple:<46} {ufd:>4}   {:<10} {:>6} {:>6}",
                session.client.fd, session.phase, session.bytes_up, session.bytes_down
            );
        }
        lines
    }
}

fn five_tuple(source: Option<SocketAddr>, destination: Option<SocketAddr>) -> String {
    let text =
        |address: Option<SocketAddr>| address.map_or_else(|| "?".to_owned(), |a| a.to_string());
    format!("{} -> {} tcp", text(source), text(destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = r#"{"sessions": [
        {"client": {"fd": 9, "local": "127.0.0.1:8080", "peer": "127.0.0.1:50000"},
         "upstream": {"fd": 10, "local": "127.0.0.1:50001", "peer": "127.0.0.1:3000"},
         "phase": "relay", "description": "d", "bytes_up": 1, "bytes_down": 2, "age_ms": 3},
        {"client": {"fd": 11, "local": "127.0.0.1:8080", "peer": "127.0.0.1:50002"},
         "upstream": null, "phase": "resolving", "description": "d", "bytes_up": 0, "bytes_down": 0, "age_ms": 3}
      ], "totals": {"anything": 1}}"#;

    #[test]
    fn the_table_shows_tuples_as_the_proxy_sees_them() {
        let routes: Routes = serde_json::from_str(ROUTES).unwrap();
        let table = routes.table();
        let rows: Vec<String> = table
            .lines()
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            rows[1],
            "127.0.0.1:50000 -> 127.0.0.1:8080 tcp 9 127.0.0.1:50001 -> 127.0.0.1:3000 tcp 10 relay 1 2"
        );
        assert_eq!(
            rows[2],
            "127.0.0.1:50002 -> 127.0.0.1:8080 tcp 11 - - resolving 0 0"
        );
        assert_eq!(
            routes
                .of_client("127.0.0.1:50002".parse().unwrap())
                .unwrap()
                .client
                .fd,
            11
        );
    }
}
