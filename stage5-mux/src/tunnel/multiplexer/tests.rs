use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use harness::{BlackHole, ClosedPort, PATIENCE, Scripted};
use stage4_proxy::access::Policy;

use super::*;
use crate::tunnel::service::Tunnel;
use crate::tunnel::transport::Transport;

/// Starts a server's end, and returns it with the peers that know it as "far".
fn server(upstream: Option<SocketAddr>, wire: WireName) -> (Tunnel, Peers) {
    let limits = TunnelLimits::default();
    server_with(upstream, wire, limits)
}

fn server_with(
    upstream: Option<SocketAddr>,
    wire: WireName,
    limits: TunnelLimits,
) -> (Tunnel, Peers) {
    let config = Config {
        ends: Ends::Server {
            upstream: upstream.map(|address| address.to_string().parse().unwrap()),
            access: Policy::for_choosing(None, &[], &[], &[]).unwrap(),
        },
        via: "tcp-listen:127.0.0.1:0".parse().unwrap(),
        wire,
        secret: None,
        lookup: Lookup::system(Prefer::Ipv4),
        limits,
        inspect: None,
    };
    let tunnel = Tunnel::start(&config).unwrap();
    let mut peers = Peers::default();
    let address = tunnel.link_addr().unwrap();
    peers.insert(
        "far",
        format!("tcp:{address}").parse::<Transport>().unwrap(),
    );
    (tunnel, peers)
}

fn everything(mut stream: Stream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn many_streams_over_one_connection_carry_both_directions_and_their_ends() {
    let upstream = Scripted::start("all, backwards", |peer| {
        let mut bytes = peer.read_to_end();
        bytes.reverse();
        peer.send(&bytes);
        peer.half_close();
    });
    for wire in [WireName::Yamux, WireName::Multiplex] {
        let (tunnel, peers) = server(Some(upstream.addr()), wire);
        let multiplexer = Multiplexer::new(peers).with_wire(wire);
        let connection = Arc::new(multiplexer.connect("far").unwrap());
        let threads = (0..8_u8).map(|number| {
            let connection = Arc::clone(&connection);
            thread::spawn(move || {
                let mut sent = vec![number; 1024 * 1024];
                sent[0] = 255;
                let mut stream = connection.open().unwrap();
                stream.write_all(&sent).unwrap();
                stream.half_close().unwrap();
                sent.reverse();
                assert!(everything(stream).unwrap() == sent, "stream {number}");
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        Arc::into_inner(connection).unwrap().close().unwrap();
        tunnel.control().stop();
        tunnel.wait().unwrap();
    }
}

#[test]
fn a_stream_to_a_target_is_dialled_by_the_peer() {
    let upstream = Scripted::echo();
    let (tunnel, peers) = server(None, WireName::Yamux);
    let connection = Multiplexer::new(peers).connect("far").unwrap();
    let target: Target = upstream.addr_text().parse().unwrap();
    let mut stream = connection.open_to(&target).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.half_close().unwrap();
    assert_eq!(everything(stream).unwrap(), b"hello");
    connection.close().unwrap();
    tunnel.control().stop();
    tunnel.wait().unwrap();
}

#[test]
fn a_target_that_is_not_reached_is_an_error_with_the_peer_s_reason() {
    let limits = TunnelLimits {
        connect_timeout: Duration::from_millis(300),
        ..TunnelLimits::default()
    };
    for wire in [WireName::Yamux, WireName::Multiplex] {
        let (tunnel, peers) = server_with(None, wire, limits.clone());
        let multiplexer = Multiplexer::new(peers).with_wire(wire);
        let connection = multiplexer.connect("far").unwrap();
        let (closed, hole) = (ClosedPort::start(), BlackHole::start());
        let own = tunnel.link_addr().unwrap().to_string();
        for (target, kind, reason) in [
            (
                closed.addr().to_string(),
                io::ErrorKind::ConnectionRefused,
                "connection refused",
            ),
            (
                hole.addr().to_string(),
                io::ErrorKind::TimedOut,
                "connection timed out",
            ),
            (own, io::ErrorKind::PermissionDenied, "not allowed"),
            (
                "nowhere.invalid:80".to_owned(),
                io::ErrorKind::NotFound,
                "name resolution failed",
            ),
        ] {
            let mut stream = connection.open_to(&target.parse().unwrap()).unwrap();
            // Early bytes hide no reason; they may come later than the answer.
            if let Err(error) = stream.write_all(b"hello") {
                assert_eq!(error.kind(), kind, "{target}: {error}");
            }
            let error = stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), kind, "{target}: {error}");
            assert!(error.to_string().contains(reason), "{error}");
            let late = stream.write(b"hello").unwrap_err();
            assert_eq!(late.kind(), kind, "{target}: {late}");
        }
        connection.close().unwrap();
        tunnel.control().stop();
        tunnel.wait().unwrap();
    }
}

#[test]
fn a_lost_link_is_no_end_of_a_stream() {
    let upstream = Scripted::echo();
    let (tunnel, peers) = server(Some(upstream.addr()), WireName::Yamux);
    let connection = Multiplexer::new(peers).connect("far").unwrap();
    let mut stream = connection.open().unwrap();
    stream.write_all(b"x").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    tunnel.control().stop();
    tunnel.wait().unwrap();
    let error = everything(stream).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    // Its own end has seen the same, and then it takes no streams.
    let broken = connection.open().and_then(everything).unwrap_err();
    let lost = [io::ErrorKind::NotConnected, io::ErrorKind::ConnectionReset];
    assert!(lost.contains(&broken.kind()), "{broken}");
}

#[test]
fn a_peer_that_is_not_reached_is_an_error_with_its_reason() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let peers: Peers = format!("far = tcp:{closed}\ngone = unix:/nowhere")
        .parse()
        .unwrap();
    let multiplexer = Multiplexer::new(peers);
    for (peer, reason) in [
        ("moon", "unknown peer \"moon\": the peers are far, gone"),
        ("far", "refused"),
        ("gone", "No such file"),
    ] {
        let error = multiplexer.connect(peer).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
