//! The upstream of the datagram rows: it counts datagrams, and answers the first one of a flow.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};
use socket2::SockRef;

use crate::load::Poll;

/// The length of a counted datagram.
pub(crate) const DATAGRAM_BYTES: u16 = 100;

/// How many datagrams one system call takes.
const BATCH: usize = 32;

/// The largest run of datagrams that the kernel hands over as one: `UDP_GRO` in `udp(7)`.
const RUN_BYTES: usize = 64 * 1024;

/// A socket that is read by the thread that sends, so that nothing else runs on their core.
#[derive(Debug)]
pub(crate) struct Sink {
    socket: UdpSocket,
    poll: Poll,
    buffers: Vec<Vec<u8>>,
}

impl Sink {
    /// Creates it on a port of its own, with a buffer in which no datagram is lost for want of time.
    pub(crate) fn open() -> io::Result<Self> {
        const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
        let poll = Poll::new()?;
        poll.add(&socket, 0, EpollFlags::EPOLLIN)?;
        Ok(Self {
            socket,
            poll,
            buffers: vec![vec![0; RUN_BYTES]; BATCH],
        })
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for datagrams; returns how many have come.
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<u64> {
        match self.poll.wait(Some(limit))? {
            0 => Ok(0),
            _ => self.drain(),
        }
    }

    /// Waits for one datagram and sends it back; returns whether there was one.
    pub(crate) fn answer(&mut self, limit: Duration) -> io::Result<bool> {
        if self.poll.wait(Some(limit))? == 0 {
            return Ok(false);
        }
        let (count, peer) = self.socket.recv_from(&mut self.buffers[0])?;
        self.socket.send_to(&self.buffers[0][..count], peer)?;
        Ok(true)
    }

    /// Takes all that has come: `recvmmsg(2)`.
    fn drain(&mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let bytes = match self.receive() {
                Err(Errno::EAGAIN) => return Ok(total),
                answer => answer?,
            };
            // A run that the kernel has joined counts as the datagrams in it, and a question as none.
            total += bytes
                .iter()
                .map(|bytes| bytes / u64::from(DATAGRAM_BYTES))
                .sum::<u64>();
            if bytes.len() < BATCH {
                return Ok(total);
            }
        }
    }

    /// Receives once; returns the length of each datagram or run.
    fn receive(&mut self) -> nix::Result<Vec<u64>> {
        let fd = self.socket.as_raw_fd();
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let buffers = self.buffers.iter_mut();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None)?;
        Ok(received.map(|message| message.bytes as u64).collect())
    }
}
