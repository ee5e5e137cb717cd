//! The options of the queue.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use stage2_client::{Prefer, Target, parse_time, parse_time_limit};
use stage4_proxy::flags::{OptionalKeepalive, parse_listen};
use stage4_proxy::inspect::parse_address;
use stage4_proxy::raise_fd_limit;
use stage4_proxy::resolve::Lookup;
use stage5_mux::queue::{Config, FramingName, Limits};
/// The options of `stage5-mux queue`.
#[derive(Debug, Args)]
pub(crate) struct QueueOptions {
    /// Address to accept clients on, or a name; :PORT is every IPv4 address of this machine, [::]:PORT
    /// every IPv6 address, and port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    listen: SocketAddr,

    /// The upstream of all clients: NAME:PORT, IPV4:PORT, [IPV6]:PORT or [IPV6%ZONE]:PORT
    #[arg(long, value_name = "TARGET", default_value = "localhost:3000")]
    upstream: Target,

    /// Protocol that tells where requests and responses end
    #[arg(long, value_enum, default_value_t = FramingName::Http1)]
    framing: FramingName,

    /// Which addresses of a name to try first
    #[arg(long, value_enum, default_value_t = Prefer::Ipv6)]
    prefer: Prefer,

    /// Requests in the queue; further ones are refused with 503
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    max_queue: u32,

    /// Bytes of a request's head, or of a line; a head has at most 128 fields, too
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    max_head: Size,

    /// Bytes of a request's body that are held; a larger body streams once the upstream is free
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_body: Size,

    /// Bytes of a response that are held for a client that reads slowly
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_buffered: Size,

    /// Time for a client to send a request, to send the next one, and to make progress while the
    /// upstream waits for it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time_limit)]
    client_timeout: Duration,

    /// Time of an exchange without a byte to the upstream, or from it to the client; then 504.
    /// After a quarter of it (at least 1 s) without a byte over a kept connection, a request that may
    /// be repeated is sent once more
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time_limit)]
    upstream_timeout: Duration,

    /// Time for each address of the upstream, and for resolving its name
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time_limit)]
    connect_timeout: Duration,

    /// Clients at the same time; further ones wait in the accept queue
    /// [default: what the limit of open files allows, at most 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    max_connections: Option<u32>,

    /// Silence after which a client or the upstream is probed, or off: one that answers nothing for twice as long, or
    /// reads nothing, has vanished
    #[arg(long, value_name = "TIME", default_value = "60s")]
    keepalive: OptionalKeepalive,

    /// Time that clients get to end after SIGTERM, SIGINT or SIGHUP; 0s resets them at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    drain_timeout: Duration,

    /// Serve a live page of all clients and of the bytes on their way, in the kernel's queues and in ours, /routes.json
    /// and /metrics here; a port alone means 127.0.0.1
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_address)]
    inspect: Option<SocketAddr>,
}

impl QueueOptions {
    /// Turns the command line into the configuration of a queue.
    pub(crate) fn into_config(self) -> Config {
        let defaults = Limits::default();
        let limits = Limits {
            max_connections: self.max_connections.unwrap_or(defaults.max_connections),
            max_queue: self.max_queue as usize,
            max_head: self.max_head.0,
            max_body: self.max_body.0,
            max_buffered: self.max_buffered.0,
            client_timeout: self.client_timeout,
            upstream_timeout: self.upstream_timeout,
            connect_timeout: self.connect_timeout,
            drain_timeout: self.drain_timeout,
            keepalive: self.keepalive.0,
            ..defaults
        };
        Config {
            listen: self.listen,
            upstream: self.upstream,
            lookup: Lookup::system(self.prefer),
            framing: self.framing,
            limits: limits.within_fds(raise_fd_limit()),
            inspect: self.inspect,
        }
    }
}

/// A number of bytes such as `64KiB` or `1MiB`, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.find(|letter: char| !letter.is_ascii_digit());
        let (number, unit) = text.split_at(split.unwrap_or(text.len()));
        let unit = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            other => {
                return Err(format!(
                    "unknown unit {other:?} (write it like 64KiB or 1MiB)"
                ));
            }
        };
        let number: usize = number
            .parse()
            .map_err(|_| "expected a number of bytes such as 64KiB or 1MiB".to_owned())?;
        match number.checked_mul(unit) {
            Some(0) => Err("a size must be above zero".to_owned()),
            Some(size) => Ok(Self(size)),
            None => Err("the size does not fit into the address space".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let table = [
            ("1", 1),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("3GiB", 3 << 30),
        ];
        for (text, size) in table {
            assert_eq!(text.parse(), Ok(Size(size)));
        }
        for text in [
            "",
            "0",
            "0KiB",
            "KiB",
            "1kb",
            "-1",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
