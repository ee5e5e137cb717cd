//! Exercise 4.3 in the running proxy: an idle session owns no buffer and costs no CPU.

use harness::{Client, Connect, Hand, Peer, Test, proc};
use nix::sys::resource::{Resource, getrlimit};

use crate::support::{HALF_A_SECOND, Proxy, proxy_and_hand};

/// The most user-space memory of an idle session, in bytes.
const MOST: u64 = 1024;

/// Opens further sessions; each carries a byte in both directions and then nothing.
fn open(proxy: &Proxy, hand: &Hand, count: usize, sessions: &mut Vec<(Client, Peer)>) {
    // In hundreds, so that no backlog overflows.
    for _ in 0..count / 100 {
        let connect = Connect::new();
        let clients: Vec<_> = (0..100).map(|_| connect.to(proxy.addr())).collect();
        let upstreams: Vec<_> = (0..100).map(|_| hand.next()).collect();
        for (client, upstream) in clients.iter().zip(&upstreams) {
            client.send(b"?");
            upstream.send(b"!");
        }
        for (client, upstream) in clients.iter().zip(&upstreams) {
            client.expect(b"!");
            upstream.expect(b"?");
        }
        sessions.extend(clients.into_iter().zip(upstreams));
    }
}

#[test]
fn e43_an_idle_session_needs_less_than_a_kibibyte() {
    const SESSIONS: usize = 5000;
    let _test = Test::begin("A buffer is borrowed while bytes are pending, not owned for life.");
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit can be read");
    if hard < 16_000 {
        eprintln!("skipped: the limit of open files is {hard}, below 16,000");
        return;
    }
    let (proxy, hand) = proxy_and_hand(&[]);
    let mut sessions = Vec::new();
    open(&proxy, &hand, 100, &mut sessions);
    let before = proc::private_kib(proxy.pid());
    open(&proxy, &hand, SESSIONS, &mut sessions);
    let grown = proc::private_kib(proxy.pid()).saturating_sub(before) * 1024;
    let each = grown / SESSIONS as u64;
    eprintln!("an idle session holds {each} bytes of user-space memory");
    assert!(each <= MOST, "{each} bytes for each idle session");
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    drop(sessions);
    proxy.wait_for_rows(0);
}

#[test]
fn e43_what_a_transfer_needed_is_given_back() {
    let _test = Test::begin("A buffer that has become empty is no longer needed.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let mut sessions = Vec::new();
    open(&proxy, &hand, 100, &mut sessions);
    let before = proc::private_kib(proxy.pid());
    let bytes = vec![6; 200_000];
    // All of them stall at once, so that each needs a buffer at the same time.
    proxy.stop();
    let sendings: Vec<_> = sessions
        .iter()
        .map(|(_, upstream)| upstream.send_in_background(bytes.clone()))
        .collect();
    proxy.cont();
    for (client, _) in &sessions {
        client.expect(&bytes);
    }
    drop(sendings);
    let grown = proc::private_kib(proxy.pid()).saturating_sub(before);
    eprintln!("{grown} KiB more after 100 transfers");
    assert!(grown < 1024, "{grown} KiB are kept after 100 transfers");
}
