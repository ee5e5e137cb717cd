//! The names of the data flow: each hop of a request through the tunnel, as Device-Component-Protocol.
//!
//! The names come from the document that has described such a tunnel first ("Muxing TCP/IP connections over non-TCP/IP
//! transports"). The device is `C`, where the clients are, or `S`, where the upstream is. The protocol is `T` for a
//! TCP connection, or `N` for a stream; there it was a pair of node.js streams. `X` is a port that tells one connection
//! from the others. The document breaks off before it has named the hops of the server's device in this way; it has
//! their long names only, from which the short ones follow as they do at the client.
//!
//! | hop | long name in the document | in this program | `x` |
//! |---|---|---|---|
//! | `C-HTTP Client-T` | Client Device HTTP TCP/IP Client | the program that connects to us | |
//! | `C-Mux Listener X-T` | Client Device TCP/IP Mux Listener Port X | the accepted socket: a `Local` | port of the client |
//! | `[TCP/IP to Node.js Stream Bridge]` | the same | `bridge.rs` | |
//! | `C-Mux Listener X-N` | Client Device Node.js Mux Listener Port X | a stream of the session | port of the client |
//! | `[Mux Layer]` | the same | `session.rs` | |
//! | `C-Mux Singleton-N` | Client Device Node.js Mux Listener Singleton | the frames of all streams: the batch, the reader | |
//! | `[TCP/IP to Node.js Stream Bridge]` | the same | `worker/linking.rs` | |
//! | `C-Native Singleton-T` | Client Device TCP/IP Singleton Listener | the connection of the link | |
//! | `[TCP/IP to Non-TCP/IP Transport Bridge]` | the same | the transport: the kernel's TCP, ssh, a radio | |
//! | `S-Native Singleton-T` | Server Device TCP/IP Singleton Client | the connection of the link | |
//! | `[TCP/IP to Node.js Stream Bridge]` | the same | `worker/linking.rs` | |
//! | `S-Mux Singleton-N` | Server Device Node.js Mux Client Singleton | the frames of all streams | |
//! | `[Mux Layer]` | the same | `session.rs` | |
//! | `S-Mux Client X-N` | Server Device Node.js Mux Client Port X | a stream of the session | our port |
//! | `[TCP/IP to Node.js Stream Bridge]` | the same | `bridge.rs` | |
//! | `S-Mux Client X-T` | Server Device TCP/IP Mux Client Port X | the socket that we have connected: a `Local` | our port |
//! | `S-HTTP Listener X-T` | Server Device HTTP TCP/IP Listener Port X | the upstream | |
//!
//! A request goes down this list and its response comes back up. With `RUST_LOG=stage5_mux::tunnel::hops=trace`, or
//! `RUST_LOG=trace`, every step from one hop to the next is a line of the log, at both ends. The bytes of a stream are
//! counted without headers, those of the link with them; several streams may share a step of the link.

use tracing::Level;

/// What the document calls the two bridges and the layer between them.
const STREAM_BRIDGE: &str = "[TCP/IP to Node.js Stream Bridge]";
const MUX_LAYER: &str = "[Mux Layer]";
const TRANSPORT_BRIDGE: &str = "[TCP/IP to Non-TCP/IP Transport Bridge]";

/// The device on which an end of the tunnel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// Clients connect to it.
    Client,
    /// It connects to the upstream.
    Server,
}

/// The hops of one device, from the program outside to the link.
#[derive(Clone, Copy, Debug)]
struct Names {
    program: &'static str,
    socket: &'static str,
    stream: &'static str,
    frames: &'static str,
    link: &'static str,
}

const CLIENT: Names = Names {
    program: "C-HTTP Client-T",
    socket: "C-Mux Listener X-T",
    stream: "C-Mux Listener X-N",
    frames: "C-Mux Singleton-N",
    link: "C-Native Singleton-T",
};

const SERVER: Names = Names {
    program: "S-HTTP Listener X-T",
    socket: "S-Mux Client X-T",
    stream: "S-Mux Client X-N",
    frames: "S-Mux Singleton-N",
    link: "S-Native Singleton-T",
};

impl Device {
    /// Returns whether anything is logged; it costs one load while nothing is.
    pub(super) fn is_logged() -> bool {
        tracing::enabled!(Level::TRACE)
    }

    fn names(self) -> &'static Names {
        match self {
            Self::Client => &CLIENT,
            Self::Server => &SERVER,
        }
    }

    /// Logs that bytes of a local side were put into a frame: they were read when the link had room for them, so
    /// there is no moment between these hops.
    pub(super) fn log_pulled(self, port: Option<u16>, bytes: usize) {
        let names = self.names();
        self.log_step(&[names.program, names.socket], port, bytes);
        self.log_step(&[names.socket, STREAM_BRIDGE, names.stream], port, bytes);
        self.log_step(&[names.stream, MUX_LAYER, names.frames], port, bytes);
    }

    /// Logs that frames were written to the link.
    pub(super) fn log_written(self, bytes: usize) {
        let names = self.names();
        self.log_step(&[names.frames, STREAM_BRIDGE, names.link], None, bytes);
        self.log_step(&[names.link, TRANSPORT_BRIDGE], None, bytes);
    }

    /// Logs that frames were read from the link.
    pub(super) fn log_received(self, bytes: usize) {
        let names = self.names();
        self.log_step(&[TRANSPORT_BRIDGE, names.link], None, bytes);
        self.log_step(&[names.link, STREAM_BRIDGE, names.frames], None, bytes);
    }

    /// Logs that the payload of a frame was given to its stream, and by the bridge to the local side.
    pub(super) fn log_delivered(self, port: Option<u16>, bytes: usize) {
        let names = self.names();
        self.log_step(&[names.frames, MUX_LAYER, names.stream], port, bytes);
        self.log_step(&[names.stream, STREAM_BRIDGE, names.socket], port, bytes);
    }

    /// Logs that the socket of a local side has taken bytes.
    pub(super) fn log_taken(self, port: Option<u16>, bytes: usize) {
        let names = self.names();
        self.log_step(&[names.socket, names.program], port, bytes);
    }

    /// Logs one step, in the direction in which the bytes go.
    fn log_step(self, places: &[&str], x: Option<u16>, bytes: usize) {
        let step = places.join(" --> ");
        match x {
            Some(x) => tracing::trace!(x, bytes, "{step}"),
            None => tracing::trace!(bytes, "{step}"),
        }
    }
}
