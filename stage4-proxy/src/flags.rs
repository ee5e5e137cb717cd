//! Values of the command line that several programs read alike.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use stage1_server::Keepalive;
use stage2_client::{Prefer, Target, TargetError, parse_time_limit, resolve};

use crate::address::{ListenAddress, parse_unix};

/// A time limit, or `off` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalTime(pub Option<Duration>);

/// The interval of keepalive probes, or `off` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalKeepalive(pub Option<Keepalive>);

impl FromStr for OptionalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            _ => parse_time_limit(text).map(|limit| Self(Some(limit))),
        }
    }
}

impl FromStr for OptionalKeepalive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let OptionalTime(interval) = text.parse()?;
        if interval.is_some_and(|interval| interval > Keepalive::LONGEST) {
            return Err("the kernel sends probes at least every 9 hours (or off)".to_owned());
        }
        Ok(Self(interval.map(Keepalive::every)))
    }
}

/// Reads an address to listen on: `ADDR:PORT` or `NAME:PORT`; `:PORT` and `*:PORT` mean every IPv4
/// address of this machine, and `[::]:PORT` every IPv6 address.
///
/// A name is looked up at once, which blocks. Its first IPv4 address counts, or its first IPv6 address if it has no
/// other.
///
/// # Errors
///
/// Fails with one sentence for the user, which clap puts behind the name of the option.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if parse_unix(text).is_some() {
        return Err("a Unix socket is no address to listen on here: write ADDR:PORT".to_owned());
    }
    let (host, port) = split_port(text)?;
    if matches!(host, "" | "*") {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!(
            "the IPv6 address in {text:?} needs brackets: write [ADDRESS]:PORT"
        ));
    }
    // Parsed with another port, because a target has no port 0, which here means any free one.
    let target: Target = format!("{host}:1")
        .parse()
        .map_err(|error| format!("{error}"))?;
    let found = resolve(&Target { port, ..target }, Prefer::Ipv4);
    let found = found.map_err(|error| error.to_string())?;
    let first = found.first().copied();
    first.ok_or_else(|| format!("the name in {text:?} has no address"))
}

/// Reads where to listen: `unix:PATH`, or what [`parse_listen`] reads.
///
/// # Errors
///
/// Fails with one sentence for the user.
pub fn parse_listen_address(text: &str) -> Result<ListenAddress, String> {
    parse_unix(text).map_or_else(
        || parse_listen(text).map(ListenAddress::Internet),
        |path| path.map(ListenAddress::Unix),
    )
}

/// The upstream of the fixed ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A host and a port.
    Target(Target),
    /// The Unix socket with this path.
    Unix(PathBuf),
}

impl FromStr for Upstream {
    type Err = String;

    /// Reads `unix:PATH`, or a target.
    fn from_str(text: &str) -> Result<Self, String> {
        let target = || text.parse().map_err(|error: TargetError| error.to_string());
        parse_unix(text).map_or_else(|| target().map(Self::Target), |path| path.map(Self::Unix))
    }
}

fn split_port(text: &str) -> Result<(&str, u16), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        let forms = "write ADDR:PORT, NAME:PORT or :PORT";
        return Err(format!("the address {text:?} has no port: {forms}"));
    };
    let digits_only = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits_only => Ok((host, port)),
        _ => Err(format!("the port {port:?} is not a number from 0 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        let table = [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("[::]:80", "[::]:80"),
            ("[fe80::1%2]:80", "[fe80::1%2]:80"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            (":0", "0.0.0.0:0"),
        ];
        for (text, address) in table {
            assert_eq!(parse_listen(text), Ok(address.parse().unwrap()), "{text}");
        }
        let localhost = parse_listen("localhost:0").unwrap();
        assert!(localhost.ip().is_loopback() && localhost.port() == 0);
        let zoned = parse_listen("[fe80::1%lo]:80").unwrap();
        assert_eq!(zoned.to_string(), "[fe80::1%1]:80");
    }

    #[test]
    fn an_address_that_is_none_is_told_why() {
        let table = [
            ("", "no port"),
            ("here", "no port"),
            ("8080", "no port"),
            ("[::1]", "not a number"),
            ("127.0.0.1:65536", "not a number"),
            ("localhost:+80", "not a number"),
            ("::1:80", "needs brackets"),
            ("two words:80", "not a host name"),
            ("[::1%]:80", "not an IPv6 address"),
            ("http://localhost:80", "needs brackets"),
            ("unix:/run/a.sock", "Unix socket"),
        ];
        for (text, words) in table {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn unix_sockets_are_told_from_hosts() {
        let unix = ListenAddress::Unix("/run/a.sock".into());
        assert_eq!(parse_listen_address("unix:/run/a.sock"), Ok(unix));
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(parse_listen_address("127.0.0.1:80"), Ok(address.into()));
        assert!(parse_listen_address("unix:").is_err());
        assert_eq!("unix:a".parse(), Ok(Upstream::Unix("a".into())));
        let target = "localhost:80".parse().unwrap();
        assert_eq!("localhost:80".parse(), Ok(Upstream::Target(target)));
        assert!("localhost".parse::<Upstream>().is_err());
    }

    #[test]
    fn times_and_off() {
        let minute = Duration::from_secs(60);
        assert_eq!("off".parse(), Ok(OptionalTime(None)));
        assert_eq!("60s".parse(), Ok(OptionalTime(Some(minute))));
        let keepalive = Keepalive::every(minute);
        assert_eq!("off".parse(), Ok(OptionalKeepalive(None)));
        assert_eq!("60s".parse(), Ok(OptionalKeepalive(Some(keepalive))));
        for text in ["0s", "never", "60", ""] {
            assert!(text.parse::<OptionalTime>().is_err(), "{text:?}");
            assert!(text.parse::<OptionalKeepalive>().is_err(), "{text:?}");
        }
        assert!("9h".parse::<OptionalKeepalive>().is_ok());
        assert!("10h".parse::<OptionalKeepalive>().is_err());
    }
}
