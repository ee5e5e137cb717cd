//! Server: the event loop. It waits, gives each client its turn, and accepts last.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use socket2::Socket;
use stage1_server::AcceptFailure;

use crate::client::{Client, State};
use crate::client_table::ClientTable;
use crate::listener::Listener;
use crate::poll::{Event, Events, Poll};
use crate::token::Token;
use crate::waker::Waker;

/// The listener's token. Rows of clients are counted from 0 and never come near it.
const LISTENER: Token = Token(u64::MAX);

/// The waker's token.
const WAKER: Token = Token(u64::MAX - 1);

/// How many events are fetched at once.
const MAX_EVENTS: usize = 256;

/// How many clients are accepted in one turn, so that a burst of new clients does not starve the
/// connected ones.
const MAX_ACCEPTS: usize = 64;

/// How many bytes are read at once from one client.
const MAX_READ: usize = 16 * 1024;

/// Serves any number of clients with one thread.
#[derive(Debug)]
pub struct Server {
    poll: Poll,
    waker: Arc<Waker>,
    listener: Listener,
    clients: ClientTable<Client<Socket>>,
    /// The memory that is lent to every read; between two turns it holds nothing.
    scratch: Vec<u8>,
}

/// The loop's next step after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    Stop,
}

impl Server {
    /// Creates a server around the listening socket `socket`, which must be in non-blocking mode.
    ///
    /// # Errors
    /// Fails when no file descriptor is left for the poll and its waker (`EMFILE`).
    pub fn new(socket: Socket) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(&poll, WAKER)?);
        let listener = Listener::new(socket);
        poll.register(listener.socket(), LISTENER, listener.interest())?;
        Ok(Self {
            poll,
            waker,
            listener,
            clients: ClientTable::new(),
            scratch: vec![0; MAX_READ],
        })
    }

    /// Returns the waker that stops this server; it works from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Serves until the waker is woken. Dropping the server then closes the clients that are left.
    ///
    /// # Errors
    /// Fails only if the poll or the listener is broken. A client's failure ends that client.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        loop {
            let timeout = self.listener.poll_timeout(Instant::now());
            self.poll.poll(&mut events, timeout)?;
            match self.turn(events.iter())? {
                Next::Wait => {}
                Next::Stop => return Ok(()),
            }
        }
    }

    /// Takes one turn: first each client that has an event, last the listener.
    ///
    /// Accepting comes last because clients that leave make room for others, and because a new
    /// client must not be mistaken for one that left a moment ago in the same batch. An event of the waker ends the
    /// turn at once: the rest of the batch is not served, because the caller closes its clients anyway.
    fn turn(&mut self, batch: impl Iterator<Item = Event>) -> io::Result<Next> {
        let mut listener_is_ready = false;
        for event in batch {
            match event.token() {
                WAKER => return Ok(Next::Stop),
                LISTENER => listener_is_ready = true,
                token => self.serve(token, event),
            }
        }
        if listener_is_ready {
            self.accept_some()?;
        }
        // Every turn, not only after accepting: a client that left may have ended a pause.
        self.update_listener(Instant::now())?;
        Ok(Next::Wait)
    }

    /// Gives one client its turn; afterwards it is registered for what it wants now, or dismissed.
    ///
    /// An event whose client has left in the meantime is ignored.
    fn serve(&mut self, token: Token, event: Event) {
        let Some(client) = self.clients.get_mut(token) else {
            tracing::trace!("an event came too late for {token:?}");
            return;
        };
        let outcome = client
            .on_event(event, &mut self.scratch)
            .and_then(|()| update_client(&self.poll, token, client));
        if outcome.is_err() || client.state() == State::Closed {
            self.dismiss(token, outcome);
        }
    }

    /// Removes a client. Dropping it closes its socket, and closing takes it out of the poll.
    fn dismiss(&mut self, token: Token, outcome: io::Result<()>) {
        let Some(client) = self.clients.remove(token) else {
            return;
        };
        let address = client.peer_addr();
        match outcome {
            Ok(()) => tracing::debug!("client {address} is served"),
            Err(error) => tracing::info!("client {address} ended early: {error}"),
        }
        // A descriptor is freed here, so a pause has lost its reason.
        self.listener.resume();
    }

    /// Accepts pending clients, [`MAX_ACCEPTS`] at most.
    ///
    /// # Errors
    /// Fails only if the listener is broken. When file descriptors have run out, accepting pauses.
    fn accept_some(&mut self) -> io::Result<()> {
        for _ in 0..MAX_ACCEPTS {
            match self.listener.accept() {
                Ok(client) => self.admit(client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Retry => {}
                    AcceptFailure::Pause => {
                        tracing::warn!("cannot accept for now: {error}");
                        self.listener.pause(Instant::now());
                        return Ok(());
                    }
                    AcceptFailure::Fatal => return Err(error),
                },
            }
        }
        // Clients may still be pending: the listener is level-triggered, so the next batch says so.
        Ok(())
    }

    /// Inserts a new client into the table and registers it.
    fn admit(&mut self, client: Client<Socket>) {
        let token = self.clients.insert(client);
        let Some(client) = self.clients.get_mut(token) else {
            return;
        };
        tracing::debug!("client {} has connected", client.peer_addr());
        let interest = client.interest();
        if let Err(error) = self.poll.register(client.socket(), token, interest) {
            self.dismiss(token, Err(error));
        }
    }

    /// Registers the listener's interest, if that has changed: a pause has begun or ended.
    fn update_listener(&mut self, now: Instant) -> io::Result<()> {
        self.listener.tick(now);
        match self.listener.change_of_interest() {
            Some(interest) => {
                let socket = self.listener.socket();
                self.poll.reregister(socket, LISTENER, interest)
            }
            None => Ok(()),
        }
    }
}

/// Registers a client's interest, if that has changed.
fn update_client(poll: &Poll, token: Token, client: &mut Client<Socket>) -> io::Result<()> {
    match client.change_of_interest() {
        Some(interest) => poll.reregister(client.socket(), token, interest),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::Duration;

    use harness::expect_bytes;
    use stage1_server::{ListenOptions, listen, local_addr};

    use super::*;
    use crate::interest::Interest;
    use crate::poll::Readiness;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn server() -> (Server, SocketAddr) {
        let options = ListenOptions {
            nonblocking: true,
            ..ListenOptions::default()
        };
        let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let address = local_addr(&listener).unwrap();
        (Server::new(listener).unwrap(), address)
    }

    fn dial(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Waits for one batch, hands it to the server, and returns its tokens.
    fn take_turn(server: &mut Server) -> Vec<Token> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        server.poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "an event was due, and none came");
        let next = server.turn(events.iter()).unwrap();
        assert_eq!(next, Next::Wait, "only the waker stops the loop");
        events.iter().map(Event::token).collect()
    }

    #[test]
    fn the_waker_stops_a_server_that_runs_in_another_thread() {
        let (mut server, address) = server();
        let waker = server.waker();
        let thread = thread::spawn(move || server.run());
        let mut client = dial(address);
        client.write_all(b"one\n").unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        expect_bytes("The answer", b"eno\n", &answer);
        waker.wake().unwrap();
        thread.join().unwrap().unwrap();
        assert_eq!(
            client.read(&mut answer).unwrap(),
            0,
            "closed with the server"
        );
    }

    #[test]
    fn a_late_event_does_not_reach_the_next_client_of_the_row() {
        let (mut server, address) = server();
        let first = dial(address);
        assert_eq!(take_turn(&mut server), [LISTENER], "a client has come");
        drop(first);
        let [old] = take_turn(&mut server)[..] else {
            panic!("one event was expected");
        };
        assert!(server.clients.is_empty(), "the client has left");

        let mut second = dial(address);
        second.write_all(b"one\n").unwrap();
        assert_eq!(take_turn(&mut server), [LISTENER], "the next client");
        let late = Event::new(old, Readiness::EPOLLIN | Readiness::EPOLLHUP);
        server.turn([late].into_iter()).unwrap();
        second.set_nonblocking(true).unwrap();
        let error = second.read(&mut [0; 4]).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::WouldBlock,
            "the late event served it"
        );

        let [new] = take_turn(&mut server)[..] else {
            panic!("one event was expected");
        };
        assert_ne!(new, old, "a new client has a new token");
        let mut answer = [0; 4];
        second.set_nonblocking(false).unwrap();
        second.read_exact(&mut answer).unwrap();
        expect_bytes("The answer", b"eno\n", &answer);
    }

    #[test]
    fn a_turn_accepts_a_bounded_number() {
        let (mut server, address) = server();
        let clients: Vec<_> = (0..=MAX_ACCEPTS).map(|_| dial(address)).collect();
        for expected in [MAX_ACCEPTS, clients.len()] {
            assert_eq!(take_turn(&mut server), [LISTENER], "clients wait");
            let accepted = server.clients.len();
            assert_eq!(accepted, expected, "a turn accepts MAX_ACCEPTS at most");
        }
    }

    #[test]
    fn a_pause_silences_the_listener_until_a_client_leaves() {
        let (mut server, address) = server();
        let first = dial(address);
        take_turn(&mut server);
        // Begun in the future, so that it cannot end by itself during the test.
        server.listener.pause(Instant::now() + PATIENCE * 10);
        server.update_listener(Instant::now()).unwrap();
        let _second = dial(address);
        let mut events = Events::with_capacity(MAX_EVENTS);
        server.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "a paused listener is silent");

        drop(first);
        take_turn(&mut server);
        assert_eq!(take_turn(&mut server), [LISTENER], "a client has left");
        assert_eq!(server.clients.len(), 1, "the client that had to wait");
    }

    #[test]
    fn a_steady_conversation_changes_no_registration() {
        let (mut server, address) = server();
        let mut client = dial(address);
        take_turn(&mut server);
        for _ in 0..100 {
            client.write_all(b"one\n").unwrap();
            let [token] = take_turn(&mut server)[..] else {
                panic!("one event was expected");
            };
            let client = server.clients.get_mut(token).unwrap();
            assert_eq!(client.interest(), Interest::READABLE, "all is sent");
            let change = client.change_of_interest();
            assert_eq!(change, None, "the turn has registered it already");
        }
    }
}
