//! Visitors of an inspector that never pause.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::inspector::Inspector;

/// The longest pause after which a visitor notices that it is to leave.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Threads that ask for a page again as soon as they have it, until they are dropped.
///
/// They judge nothing: an inspector may keep them waiting, refuse them, or reset them.
#[derive(Debug)]
pub struct Visitors {
    leaving: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Visitors {
    /// Starts `count` visitors of `path`.
    #[must_use]
    pub fn start(inspector: Inspector, path: &str, count: usize) -> Self {
        let leaving = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|_| {
            let (leaving, addr) = (Arc::clone(&leaving), inspector.addr());
            let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n");
            thread::spawn(move || {
                while !leaving.load(Ordering::Relaxed) {
                    drop(visit(addr, &request, &leaving));
                }
            })
        });
        Self {
            threads: threads.collect(),
            leaving,
        }
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A visitor that has panicked was no visitor; the test has its own checks.
            drop(thread.join());
        }
    }
}

/// Asks once, and reads the answer to its end.
fn visit(addr: SocketAddr, request: &str, leaving: &AtomicBool) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&addr, CHECK_EVERY)?;
    stream.set_read_timeout(Some(CHECK_EVERY))?;
    stream.write_all(request.as_bytes())?;
    let mut room = vec![0; 64 * 1024];
    while !leaving.load(Ordering::Relaxed) {
        match stream.read(&mut room) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
