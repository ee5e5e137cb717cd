//! Events of sessions that have ended.

use std::net::Shutdown;

use super::*;

/// A socket that has sent its FIN and waits for the other one, as the kernel numbers it.
const FIN_WAIT_2: u8 = 5;

/// Goes to one target, but stops the whole event loop at the second client.
#[derive(Debug)]
struct Stopping {
    clients: Mutex<usize>,
    target: Arc<Target>,
    stopped: Gate,
    go_on: Gate,
}

impl Ingress for Stopping {
    fn name(&self) -> &'static str {
        "stopping"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        let mut clients = self.clients.lock().unwrap();
        *clients += 1;
        if *clients == 2 {
            self.stopped.open();
            self.go_on.wait();
        }
        Opening::Target(Arc::clone(&self.target))
    }
}

/// A client has ended its input. While the loop is stopped, its upstream ends, too, and the
/// client resets: the kernel gives both events in one batch, and the first one ends the session.
#[test]
fn an_event_of_a_session_that_ended_in_the_same_batch_is_dropped() {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let (stopped, go_on) = (Gate::new("the loop is stopped"), Gate::new("it goes on"));
    let ingress = Stopping {
        clients: Mutex::new(0),
        target: Arc::new(target(&listener.local_addr().unwrap().to_string())),
        stopped: stopped.clone(),
        go_on: go_on.clone(),
    };
    let proxy = Running::start(ingress, answering(Vec::new()), Limits::default());
    let first = proxy.client();
    let (upstream, _) = listener.accept().unwrap();
    eventually("the first session relays", PATIENCE, || {
        let sessions = proxy.snapshot().sessions;
        sessions.iter().any(|session| session.phase == "relay")
    });
    first.half_close();
    assert_eq!(io::Read::read(&mut &upstream, &mut [0]).unwrap(), 0);
    let second = proxy.client();
    stopped.wait();

    let (here, there) = (
        upstream.local_addr().unwrap(),
        upstream.peer_addr().unwrap(),
    );
    upstream.shutdown(Shutdown::Write).unwrap();
    eventually("the upstream's end has arrived", PATIENCE, || {
        sockets::find(there, here).is_none_or(|row| row.state != FIN_WAIT_2)
    });
    let (proxys, clients) = (first.remote(), first.local());
    first.reset();
    eventually("the reset has arrived", PATIENCE, || {
        sockets::find(proxys, clients).is_none()
    });
    go_on.open();

    proxy.await_stale_events(1);
    let (next_upstream, _) = listener.accept().unwrap();
    io::Write::write_all(&mut &next_upstream, b"for the second").unwrap();
    second.expect(b"for the second");
}
