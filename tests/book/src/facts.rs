//! Facts about the kernel that chapters tell, tried out here, so that a sentence doesn't outlive its truth.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, SockRef, Socket, Type};

/// Longer than anything here takes.
const PATIENCE: u16 = 20_000;

/// Returns both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

/// Closes a socket with a reset.
fn reset(socket: TcpStream) {
    let linger = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    linger.unwrap();
    drop(socket);
}

/// Waits for an event of a socket.
fn wait_for(socket: &impl AsFd, flags: EpollFlags) {
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    poll.add(socket, EpollEvent::new(flags, 0)).unwrap();
    let mut events = [EpollEvent::empty()];
    let count = poll.wait(&mut events, EpollTimeout::from(PATIENCE));
    assert_eq!(count.unwrap(), 1, "no event");
}

fn write(mut socket: &TcpStream) -> Result<usize, ErrorKind> {
    socket.write(b"x").map_err(|error| error.kind())
}

fn read(mut socket: &TcpStream, room: usize) -> Result<usize, ErrorKind> {
    let mut buffer = vec![0; room];
    socket.read(&mut buffer).map_err(|error| error.kind())
}

/// `stage2-client.md` and `stage4-half-close.md`.
#[test]
fn epipe_as_the_first_error_means_that_a_fin_came_before_the_reset() {
    let (near, far) = pair();
    drop(far);
    assert_eq!(read(&near, 1), Ok(0), "the FIN");
    assert_eq!(write(&near), Ok(1), "the first write succeeds");
    wait_for(&near, EpollFlags::EPOLLERR);
    assert_eq!(write(&near), Err(ErrorKind::BrokenPipe));
}

#[test]
fn a_reset_without_a_fin_is_told_once_and_later_writes_get_epipe() {
    let (near, far) = pair();
    reset(far);
    wait_for(&near, EpollFlags::EPOLLERR);
    assert_eq!(write(&near), Err(ErrorKind::ConnectionReset));
    assert_eq!(write(&near), Err(ErrorKind::BrokenPipe));
}

/// `stage4-half-close.md`: on Linux the receiver keeps them.
#[test]
fn bytes_before_a_reset_can_still_be_read() {
    let (near, mut far) = pair();
    far.write_all(&[7; 1000]).unwrap();
    reset(far);
    wait_for(&near, EpollFlags::EPOLLERR);
    assert_eq!(read(&near, 4000), Ok(1000));
    assert_eq!(read(&near, 1), Err(ErrorKind::ConnectionReset));
}

/// `stage4-half-close.md`, the reasons for a reset.
#[test]
fn close_with_unread_bytes_sends_a_reset() {
    let (near, far) = pair();
    assert_eq!(write(&near), Ok(1));
    wait_for(&far, EpollFlags::EPOLLIN);
    drop(far);
    assert_eq!(read(&near, 1), Err(ErrorKind::ConnectionReset));
}

/// `stage4-limits.md`, stopping.
#[test]
fn a_closed_listener_resets_the_clients_in_its_accept_queue() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    wait_for(&listener, EpollFlags::EPOLLIN);
    drop(listener);
    assert_eq!(read(&client, 1), Err(ErrorKind::ConnectionReset));
}

/// `stage1-server.md`, `stage4-faults.md`: a backlog of 0 lets one connection in.
#[test]
fn the_accept_queue_takes_one_connection_more_than_the_backlog() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _queued = TcpStream::connect(address).unwrap();
    wait_for(&listener, EpollFlags::EPOLLIN);
    let next = TcpStream::connect_timeout(&address, Duration::from_millis(300));
    assert_eq!(next.unwrap_err().kind(), ErrorKind::TimedOut);
}

/// `stage3-loop.md` and `stage4-route-table.md`.
#[test]
fn a_closed_socket_stays_in_epoll_while_it_has_another_descriptor() {
    let (near, far) = pair();
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    poll.add(&near, EpollEvent::new(EpollFlags::EPOLLIN, 7))
        .unwrap();
    let second = near.try_clone().unwrap();
    drop(near);
    assert_eq!(write(&far), Ok(1));
    let mut events = [EpollEvent::empty()];
    let count = poll.wait(&mut events, EpollTimeout::from(PATIENCE));
    assert_eq!((count, events[0].data()), (Ok(1), 7));
    drop(second);
    assert_eq!(poll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
}

/// `stage1-server.md`: `write(2)` promises nothing, but on one machine the bytes may be there already.
#[test]
fn bytes_can_be_unread_at_the_peer_although_its_program_sleeps() {
    let (near, far) = pair();
    assert_eq!(write(&near), Ok(1));
    wait_for(&far, EpollFlags::EPOLLIN);
    let kernel = stage4_proxy::kernel_queues::of(&far, stage4_proxy::token::Side::Client);
    assert_eq!(kernel.and_then(|view| view.unread), Some(1));
}
