use super::*;

use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use harness::PATIENCE;
use socket2::Socket;
use stage3_epoll::Events;

/// Rows with sessions that relay, and what a worker has around them.
struct Rig {
    table: RouteTable<Session>,
    poll: Poll,
    gathering: Gathering,
    /// Looks after which the next one was not due at once.
    pauses: usize,
    /// The far ends, so that the connections stay open.
    far: Vec<TcpStream>,
}

impl Rig {
    fn new() -> Self {
        Self {
            table: RouteTable::new(2),
            poll: Poll::new().unwrap(),
            gathering: Gathering::default(),
            pauses: 0,
            far: Vec::new(),
        }
    }

    /// Adds a session whose upstream sends bulk; returns its row.
    fn session(&mut self) -> u32 {
        let mut session = Session::new(self.endpoint(), None, Instant::now());
        session.upstream = Some(self.endpoint());
        session.connected(Instant::now());
        session.down = Flow::with_bulk(0);
        let row = self.table.insert(session).unwrap();
        self.table.mint(row, Side::Client);
        self.table.mint(row, Side::Upstream);
        row
    }

    fn endpoint(&mut self) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, peer_addr) = listener.accept().unwrap();
        self.far.push(far);
        Endpoint::accepted(Socket::from(near), peer_addr)
    }

    /// Moves bytes from the upstream of a session, which then waits for more.
    fn carry(&mut self, row: u32, bytes: u64) {
        let session = self.table.row_mut(row).unwrap();
        session.down.half.passed(bytes.try_into().unwrap());
        self.wait(row);
    }

    fn wait(&mut self, row: u32) {
        self.gathering
            .session_waits(&mut self.table, row, &self.poll);
    }

    /// Waits for the next event of the timer, and looks.
    fn look(&mut self) -> Option<u32> {
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
        let tokens: Vec<_> = events.iter().map(|event| event.token().0).collect();
        assert_eq!(tokens, [Token::GATHERING.pack()]);
        let row = self.gathering.look(&mut self.table);
        self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        self.pauses += usize::from(events.is_empty());
        row
    }

    fn gathers(&self) -> bool {
        matches!(self.gathering, Gathering::Looking(..))
    }
}

#[test]
fn a_long_transfer_gathers_until_nothing_comes() {
    let mut rig = Rig::new();
    let row = rig.session();
    rig.wait(row);
    rig.carry(row, GATHER_AFTER - 1);
    assert!(!rig.gathers(), "one byte is missing");
    rig.carry(row, 1);
    assert!(rig.gathers());
    for _ in 0..10 {
        rig.carry(row, 1);
        assert_eq!(rig.look(), None, "a byte has come");
    }
    assert!(rig.pauses > 0, "each look was followed by the next one");
    assert_eq!(rig.look(), Some(row), "nothing has come");
    let session = rig.table.row_mut(row).unwrap();
    assert!(
        session.upstream.as_ref().unwrap().readable,
        "it takes what there is"
    );
    assert!(!rig.gathers());
    rig.carry(row, GATHER_AFTER);
    assert!(
        !rig.gathers(),
        "the bytes of the watch before count no more"
    );
    rig.carry(row, GATHER_AFTER);
    assert!(rig.gathers(), "a new watch has the same end");
}

#[test]
fn a_transfer_whose_receiver_speaks_does_not_gather() {
    let mut rig = Rig::new();
    let row = rig.session();
    for _ in 0..5 {
        rig.carry(row, GATHER_AFTER);
        let session = rig.table.row_mut(row).unwrap();
        session.up.half.passed(1);
    }
    assert!(!rig.gathers());
}

#[test]
fn of_two_transfers_none_gathers() {
    let mut rig = Rig::new();
    let rows = [rig.session(), rig.session()];
    for _ in 0..5 {
        rows.iter().for_each(|&row| rig.carry(row, GATHER_AFTER));
    }
    assert!(!rig.gathers());
}

#[test]
fn what_gathers_is_forgotten_with_its_session() {
    let mut rig = Rig::new();
    let row = rig.session();
    rig.wait(row);
    rig.carry(row, GATHER_AFTER);
    assert!(rig.gathers());
    rig.table.remove(row);
    // Another one in the same row.
    assert_eq!(rig.session(), row);
    assert_eq!(rig.look(), None);
    assert!(!rig.gathers());
}

#[test]
fn a_session_without_bulk_is_not_watched() {
    let mut rig = Rig::new();
    let row = rig.session();
    rig.table.row_mut(row).unwrap().down = Flow::default();
    rig.wait(row);
    assert!(matches!(rig.gathering, Gathering::Idle));
}
