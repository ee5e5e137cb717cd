//! The kernel's queues of two sockets that are connected with each other.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use harness::{PATIENCE, eventually, eventually_equal, sockets};

use super::*;

/// Returns an upstream's socket, and the one that it is connected with.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

fn upstream(socket: &TcpStream) -> KernelView {
    of(socket, Side::Upstream).unwrap()
}

fn client(socket: &TcpStream) -> KernelView {
    of(socket, Side::Client).unwrap()
}

const AT_REST: KernelView = KernelView {
    state: Some("ESTABLISHED"),
    unread: Some(0),
    in_flight: Some(0),
    unsent: Some(0),
};

#[test]
fn bytes_are_unread_until_they_are_read() {
    let (near, mut far) = pair();
    assert_eq!([upstream(&near), client(&far)], [AT_REST; 2]);
    (&near).write_all(b"question").unwrap();
    far.write_all(b"answer").unwrap();
    let unread = |count| KernelView {
        unread: Some(count),
        ..AT_REST
    };
    eventually_equal("both ends", &[unread(6), unread(8)], || {
        [upstream(&near), client(&far)]
    });
    far.read_exact(&mut [0; 8]).unwrap();
    eventually_equal("one end", &AT_REST, || client(&far));
}

#[test]
fn a_reader_that_pauses_leaves_bytes_unsent_and_none_is_lost() {
    let (mut near, mut far) = pair();
    let mut written = 0;
    while let Ok(count) = near.write(&[7; 64 * 1024]) {
        written += count;
    }
    let written = u64::try_from(written).unwrap();
    eventually("every byte is in one of the queues", PATIENCE, || {
        let (near, far) = (upstream(&near), client(&far));
        near.in_flight == Some(0)
            && near.unsent.unwrap() > 0
            && near.unsent.unwrap() + far.unread.unwrap() == written
    });
    let ss = sockets::find(near.local_addr().unwrap(), near.peer_addr().unwrap()).unwrap();
    assert_eq!(upstream(&near).unsent, Some(ss.unsent));
    let mut bytes = vec![0; usize::try_from(written).unwrap()];
    far.read_exact(&mut bytes).unwrap();
    eventually_equal("both ends", &[AT_REST; 2], || {
        [upstream(&near), client(&far)]
    });
}

#[test]
fn an_end_shows_in_the_states_and_adds_no_byte() {
    let (near, far) = pair();
    let state = |name| KernelView {
        state: Some(name),
        ..AT_REST
    };
    near.shutdown(Shutdown::Write).unwrap();
    eventually_equal(
        "both ends",
        &[state("FIN-WAIT-2"), state("CLOSE-WAIT")],
        || [upstream(&near), client(&far)],
    );
}

/// A connection as the kernel would describe it, with unsent bytes and these others.
fn info(segments: u32, sent: u64, repeated: u64, acked: u64) -> Counters {
    let mut info: Counters = [0; 27];
    let word = |number: u32| {
        let [first, second, third, fourth] = number.to_ne_bytes();
        u64::from_ne_bytes([first, second, third, fourth, 0xff, 0xff, 0xff, 0xff])
    };
    info[STATE] = u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
    info[UNACKED] = word(segments);
    info[NOTSENT_BYTES] = word(70);
    (info[BYTES_SENT], info[BYTES_RETRANS], info[BYTES_ACKED]) = (sent, repeated, acked);
    info
}

#[test]
fn bytes_in_flight_are_those_sent_and_not_acknowledged() {
    let in_flight = |info, side| {
        let view = read(&info, side);
        assert_eq!((view.state, view.unsent), (Some("ESTABLISHED"), Some(70)));
        view.in_flight.unwrap()
    };
    assert_eq!(in_flight(info(1, 100, 0, 60), Side::Client), 40);
    let syn_too = info(1, 100, 0, 61);
    assert_eq!(in_flight(syn_too, Side::Upstream), 40, "our SYN");
    assert_eq!(
        in_flight(info(2, 130, 30, 60), Side::Client),
        40,
        "repeated"
    );
    assert_eq!(in_flight(info(0, 100, 0, 101), Side::Client), 0, "a FIN");
    assert_eq!(in_flight(info(1, 0, 0, 0), Side::Client), 0, "a SYN");
}

#[test]
fn a_unix_socket_tells_its_unread_bytes_only() {
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.write_all(b"bytes").unwrap();
    let unread = KernelView {
        unread: Some(5),
        ..KernelView::default()
    };
    assert_eq!(of(&far, Side::Client), Some(unread));
}

#[test]
fn a_pipe_tells_its_bytes_from_either_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"bytes").unwrap();
    let view = |unread, unsent| KernelView {
        unread: Some(unread),
        unsent,
        ..KernelView::default()
    };
    assert_eq!(of_pipes(&reader, &writer), Some(view(5, Some(5))));
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.write_all(b"word").unwrap();
    assert_eq!(of_pipes(&far, &far), Some(view(4, None)), "no pipe");
    assert_eq!(of_pipes(&near, &writer), Some(view(0, Some(5))));
}

#[test]
fn a_listener_and_an_unconnected_socket_have_a_state() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let state = |socket: &dyn AsFd| of(&socket, Side::Client).and_then(|view| view.state);
    assert_eq!(state(&listener), Some("LISTEN"));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    assert_eq!(state(&socket), Some("CLOSED"));
}

#[test]
fn an_old_kernel_has_no_counters() {
    for (release, expected) in [
        ("6.1.0-13-amd64", Some((6, 1))),
        ("4.19.0", Some((4, 19))),
        ("10.0-rc1", Some((10, 0))),
        ("5", None),
        ("", None),
    ] {
        assert_eq!(version(release), expected, "{release}");
    }
    assert!((4, 9) < COUNTERS_SINCE && COUNTERS_SINCE < (5, 0));
    assert_eq!(state_name(0), None);
    assert_eq!(state_name(8), Some("CLOSE-WAIT"));
    assert_eq!(state_name(13), None);
}
