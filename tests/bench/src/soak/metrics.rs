//! The inspector's `/metrics`, read as a monitoring system reads it.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use crate::load::connect;

/// The text of one read.
#[derive(Debug)]
pub(super) struct Metrics(String);

impl Metrics {
    /// Reads them from an inspector.
    pub(super) fn read(inspector: SocketAddr) -> io::Result<Self> {
        let socket = connect(inspector)?;
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {inspector}\r\nConnection: close\r\n\r\n");
        (&socket).write_all(request.as_bytes())?;
        let mut text = String::new();
        (&socket).read_to_string(&mut text)?;
        if !text.starts_with("HTTP/1.1 200 ") {
            let line = text.lines().next().unwrap_or("nothing");
            return Err(io::Error::other(format!("/metrics: {line}")));
        }
        Ok(Self(text))
    }

    /// Returns the value of a metric without labels.
    pub(super) fn value(&self, name: &str) -> Option<u64> {
        let mut values = self.0.lines().filter_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.parse().ok()
        });
        values.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let metrics = Metrics("# HELP a b\nsessions_total 9\nsessions 4\n".into());
        assert_eq!(metrics.value("sessions"), Some(4));
        assert_eq!(metrics.value("session"), None);
    }
}
