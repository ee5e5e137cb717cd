//! shadowsocks-rust on one thread: as a SOCKS5 server, as a hop of a chain, and as a relay of datagrams.
//!
//! It is built to have two ends, `sslocal` and `ssserver`, with encryption between them. Beside proxies of one process it
//! does its best with one of the two: `sslocal` that knows no server connects by itself, and `ssserver` with the method
//! `none` takes from clients the address alone, without encryption and without an answer.

use std::process::Command;

use crate::limits::session_capacity;
use crate::peers::{Job, Launch, Place, program};

/// The end that speaks SOCKS5, or knows one upstream.
const LOCAL: &str = "sslocal";
/// The end that is told where to go.
const SERVER: &str = "ssserver";

pub(super) fn find() -> Result<(), String> {
    const INSTALL: &str = "cargo install shadowsocks-rust";
    program::find_or(LOCAL, INSTALL)?;
    program::find_or(SERVER, INSTALL)
}

pub(super) fn version() -> Option<String> {
    program::version(LOCAL, "--version")
}

pub(super) fn launch(place: &Place<'_>) -> Launch {
    let mut command = match place.job {
        Job::Chain(_) => hop(place),
        Job::Datagrams => datagrams(place),
        Job::Associate => associate(place),
        Job::Relay
        | Job::Grow(_)
        | Job::Queue
        | Job::Socks5
        | Job::Connect
        | Job::Forward
        | Job::Preproxy
        | Job::Tunnel => socks5(place),
    };
    command.args(["--single-threaded", "--tcp-no-delay"]);
    Launch {
        command,
        forks: false,
    }
}

fn socks5(place: &Place<'_>) -> Command {
    let mut command = program::command(LOCAL);
    command.args(["--local-addr", &place.listen.to_string()]);
    command.args(["--protocol", "socks"]);
    command
}

fn associate(place: &Place<'_>) -> Command {
    let flows = session_capacity().to_string();
    let mut command = socks5(place);
    // -U: datagrams beside connections.
    command.args(["-U", "--udp-max-associations", &flows]);
    command
}

/// Its clients write the address in front of their bytes, in the form of RFC 1928 section 5.
fn hop(place: &Place<'_>) -> Command {
    let mut command = program::command(SERVER);
    command.args(["--server-addr", &place.listen.to_string()]);
    command.args(["--encrypt-method", "none"]);
    command
}

fn datagrams(place: &Place<'_>) -> Command {
    let flows = session_capacity().to_string();
    let mut command = program::command(LOCAL);
    command.args(["--local-addr", &place.listen.to_string(), "-u"]);
    command.args(["--protocol", "tunnel"]);
    command.args(["--forward-addr", &place.upstream.to_string()]);
    command.args(["--udp-max-associations", &flows]);
    command
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words(job: Job) -> Vec<String> {
        let launch = launch(&Place {
            job,
            listen: "127.0.0.1:1".parse().unwrap(),
            upstream: "127.0.0.1:2".parse().unwrap(),
            folder: Path::new("/"),
        });
        let program = Path::new(launch.command.get_program()).file_name().unwrap();
        let arguments = launch.command.get_args().chain([program]);
        arguments
            .map(|word| word.to_string_lossy().into())
            .collect()
    }

    #[test]
    fn each_job_has_the_end_that_can_do_it_alone() {
        let has = |job, word: &str| words(job).iter().any(|other| other == word);
        assert!(has(Job::Socks5, "sslocal") && has(Job::Socks5, "socks"));
        assert!(has(Job::Chain(3), "ssserver") && has(Job::Chain(3), "none"));
        assert!(has(Job::Datagrams, "sslocal") && has(Job::Datagrams, "127.0.0.1:2"));
        assert!(!has(Job::Socks5, "127.0.0.1:2"));
    }
}
