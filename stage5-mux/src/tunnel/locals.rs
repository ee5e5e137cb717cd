//! The local sides of all streams, by row and by stream.

use mio::event::Event;
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::timers::Timers;
use stage4_proxy::token::{Side, Token};

use crate::tunnel::event::{Pulled, Source};
use crate::tunnel::hops::Device;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::{Local, Phase};
use crate::tunnel::racing::Racing;

/// In no table: rows are counted from 0 and bounded.
const NO_ROW: u32 = u32::MAX;

/// A table of local sides.
#[derive(Debug)]
pub(super) struct Locals {
    table: RouteTable<Local>,
    side: Side,
    /// The row of the stream in each slot of the session, if that row has this stream; otherwise anything.
    rows: Vec<u32>,
    /// When a connect in progress has taken too long.
    pub(super) timers: Timers,
    /// Rows whose end or error was read; the worker looks at them.
    changed: Vec<(u32, Pulled)>,
    created: u64,
}

impl Locals {
    /// Creates a table for so many local sides.
    pub(super) fn new(capacity: u32, side: Side) -> Self {
        Self {
            table: RouteTable::new(capacity),
            side,
            rows: Vec::new(),
            timers: Timers::new(),
            changed: Vec::new(),
            created: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Adds a local side and returns its row, unless the table is full.
    pub(super) fn insert(&mut self, local: Local) -> Option<u32> {
        let is_session = !matches!(local.phase, Phase::Parting);
        let row = self.table.insert(local).ok()?;
        self.created += u64::from(is_session);
        Some(row)
    }

    /// Returns the table, to be shown.
    pub(super) fn table(&self) -> &RouteTable<Local> {
        &self.table
    }

    /// Returns the side of the tunnel on which these are.
    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// Returns how many there ever were; the rest of a stream, behind its request, is none.
    pub(super) fn created(&self) -> u64 {
        self.created
    }

    /// Gives a stream to a local side.
    pub(super) fn attach(&mut self, row: u32, key: StreamKey) {
        if let Some(local) = self.table.row_mut(row) {
            local.key = Some(key);
        }
        if self.rows.len() <= key.slot() {
            self.rows.resize(key.slot() + 1, NO_ROW);
        }
        self.rows[key.slot()] = row;
    }

    /// Takes the stream from a local side.
    pub(super) fn detach(&mut self, row: u32) -> Option<StreamKey> {
        let local = self.table.row_mut(row)?;
        local.uncredited = 0;
        local.key.take()
    }

    /// Mints the token for the next socket of a row.
    pub(super) fn mint(&mut self, row: u32) -> Token {
        self.table.mint(row, self.side)
    }

    /// Mints the token for one of several sockets of a row: it is in no cell of the table until its socket has won.
    pub(super) fn mint_racer(&mut self, row: u32) -> Token {
        let token = self.mint(row);
        self.table.vacate(row, self.side);
        token
    }

    /// Puts the token of the socket that has won into its cell.
    pub(super) fn adopt(&mut self, token: Token) {
        self.table.adopt(token);
    }

    /// Returns the attempts to connect a row.
    pub(super) fn racing_mut(&mut self, row: u32) -> Option<&mut Racing> {
        match &mut self.table.row_mut(row)?.phase {
            Phase::Connecting(racing) => Some(racing),
            Phase::Handshake
            | Phase::Delayed
            | Phase::Request
            | Phase::Resolving(_)
            | Phase::Open
            | Phase::Forward(_)
            | Phase::Lingering { .. }
            | Phase::Parting => None,
        }
    }

    /// Returns the rows of clients that are between two requests.
    pub(super) fn idle_rows(&self) -> Vec<u32> {
        let rows = self.table.iter();
        let idle = rows.filter(|(_, local)| local.waits_for_next());
        idle.map(|(row, _)| row).collect()
    }

    /// Returns the row of a stream.
    pub(super) fn row_of(&self, key: StreamKey) -> Option<u32> {
        let row = *self.rows.get(key.slot())?;
        let local = self.table.row(row)?;
        (local.key == Some(key)).then_some(row)
    }

    /// Returns the row that a token names.
    pub(super) fn row_named(&mut self, token: Token) -> Option<u32> {
        self.table.get_mut(token).map(|_| token.row())
    }

    /// Gives an event to the socket that its token names, and returns the row.
    pub(super) fn note(&mut self, token: Token, event: &Event) -> Option<u32> {
        let row = token.row();
        let endpoint = if self.table.token(row, self.side) == Some(token) {
            self.table.row_mut(row)?.socket.as_mut()?
        } else {
            let mut racers = self.racing_mut(row)?.race.sockets_mut();
            &mut racers.find(|racer| racer.token == token)?.endpoint
        };
        endpoint.note(event);
        Some(row)
    }

    pub(super) fn get_mut(&mut self, row: u32) -> Option<&mut Local> {
        self.table.row_mut(row)
    }

    /// Removes a local side; with it, its socket is closed.
    pub(super) fn remove(&mut self, row: u32) -> Option<Local> {
        self.timers.set(row, None);
        self.detach(row);
        self.table.remove(row)
    }

    /// Returns the device whose end of the tunnel these are.
    pub(super) fn device(&self) -> Device {
        match self.side {
            Side::Client => Device::Client,
            Side::Upstream => Device::Server,
        }
    }

    /// Returns the port that tells this connection from the others: a client's, or our own at the server's end.
    pub(super) fn port(&self, row: u32) -> Option<u16> {
        let endpoint = self.table.row(row)?.newest_socket()?;
        let address = match self.side {
            Side::Client => endpoint.peer_addr().socket_addr(),
            Side::Upstream => endpoint.local_addr(),
        };
        address.map(|address| address.port())
    }

    /// Separates all local sides from their streams, and returns their rows.
    pub(super) fn detach_all(&mut self) -> Vec<u32> {
        self.rows.clear();
        let rows: Vec<_> = self.table.iter().map(|(row, _)| row).collect();
        for &row in &rows {
            if let Some(local) = self.table.row_mut(row) {
                local.key = None;
            }
        }
        rows
    }

    /// Takes a row whose end, or error, was read.
    pub(super) fn take_changed(&mut self) -> Option<(u32, Pulled)> {
        self.changed.pop()
    }
}

impl Source for Locals {
    fn read(&mut self, stream: StreamKey, buffer: &mut [u8]) -> Pulled {
        let Some(row) = self.row_of(stream) else {
            return Pulled::Failed;
        };
        let Some(local) = self.table.row_mut(row) else {
            return Pulled::Failed;
        };
        let pulled = local.read(buffer);
        if matches!(pulled, Pulled::End | Pulled::Failed) {
            self.changed.push((row, pulled));
        }
        if let Pulled::Bytes(bytes) | Pulled::Last(bytes) = pulled {
            local.tally.note_to_link(bytes);
            if Device::is_logged() {
                self.device().log_pulled(self.port(row), bytes);
            }
        }
        pulled
    }
}
