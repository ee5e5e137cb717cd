//! Exercise 4.3 in the running proxy: an idle session owns no buffer and costs no CPU.

use harness::{Client, Connect, Hand, Peer, Test, proc};
use nix::sys::resource::{Resource, getrlimit};

use crate::support::{HALF_A_SECOND, Proxy, proxy_and_hand, wait_until_still};

/// The most user-space memory of an idle session, in bytes.
const MOST: u64 = 1024;

/// Opens further sessions; each carries a byte in both directions and then nothing.
fn open(proxy: &Proxy, hand: &Hand, count: usize, sessions: &mut Vec<(Client, Peer)>) {
    // In hundreds, so that no accept queue overflows.
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

/// How many sessions stall at the same time.
const WAVE: usize = 60;
/// The bytes of one send: less than the proxy reads at once, so that it copies them.
const PIECE: usize = 30_000;

/// Lets clients that do not read stall, each with a part of a piece in the proxy's own memory; then they read all of it.
///
/// How much the kernel takes is the same for each of them, so they differ in what was sent before the first piece: of some
/// the proxy keeps nearly the whole piece, of others nearly nothing.
#[track_caller]
fn stall(proxy: &Proxy, wave: &[(Client, Peer)]) {
    let piece = vec![6; PIECE];
    let first = |place: usize| &piece[..place * PIECE / wave.len()];
    for (place, (_, upstream)) in wave.iter().enumerate() {
        upstream.send(first(place));
    }
    let mut sent = 0;
    while !are_held_back(proxy, wave, sent * PIECE) {
        for (_, upstream) in wave {
            upstream.send(&piece);
        }
        sent += 1;
        wait_until_still(proxy);
        let what = format!("{sent} pieces are on their way, and no client holds the proxy back");
        harness::ensure(sent < 400, what);
    }
    for (place, (client, _)) in wave.iter().enumerate() {
        client.expect(&[first(place), &piece.repeat(sent)].concat());
    }
}

/// Returns whether the proxy has passed on less than was `sent` to each of these clients.
#[track_caller]
fn are_held_back(proxy: &Proxy, wave: &[(Client, Peer)], sent: usize) -> bool {
    let mut rows = proxy.routes().sessions;
    rows.retain(|row| row.bytes_down < sent as u64);
    wave.iter().all(|(client, _)| {
        rows.iter()
            .any(|row| row.client.peer == Some(client.local()))
    })
}

#[test]
fn e43_what_a_transfer_needed_is_given_back() {
    let _test = Test::begin(
        "A buffer that has become empty owns no memory: clear() of a Vec keeps its room for as long as the session lives.",
    );
    let slow = Connect::new().segment(88).receive_buffer(2048);
    let (proxy, hand) = proxy_and_hand(&[]);
    let waves = [(); 3].map(|()| {
        let session = |_| (slow.to(proxy.addr()), hand.next());
        (0..WAVE).map(session).collect::<Vec<_>>()
    });
    // The first wave fills the allocator's own stock, from which the later ones may take.
    stall(&proxy, &waves[0]);
    let mut before = proc::private_kib(proxy.pid());
    let grown = [&waves[1], &waves[2]].map(|wave| {
        stall(&proxy, wave);
        let after = proc::private_kib(proxy.pid());
        let grown = after.saturating_sub(before);
        before = after;
        grown
    });
    eprintln!(
        "{grown:?} KiB more after each of two further waves of {WAVE} sessions that have stalled"
    );
    // Memory that one wave has freed may stay with the allocator, below something that is still in use, but the next wave
    // uses it again. Buffers that are kept come with each wave, and make some 800 KiB.
    let least = grown[0].min(grown[1]);
    harness::ensure(
        least < 400,
        format!(
            "In each of two waves, {WAVE} sessions have stalled and then delivered everything, and the proxy has kept {least} KiB or \
             more, {} for each session. No byte is pending, so a buffer kept its memory when its last byte was consumed.",
            least / WAVE as u64
        ),
    );
}
