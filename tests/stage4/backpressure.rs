//! Exercise 4.4, speed mismatch: a slow reader holds back its own sender and no other (requirement B8).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::{
    Client, Hand, PATIENCE, Peer, Program, Rng, Scripted, Test, eventually, fail, proc, scaled,
};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, echoes, program, proxy_and_hand, session, talk,
    wait_until_still,
};

/// The length of a block of test bytes: it has no factor in common with any buffer, so that a buffer that is lost or
/// doubled shows.
const BLOCK: usize = MIB - 17;

/// A stream that is cheap to make and to check: a block of random bytes, again and again.
struct Blocks {
    block: Vec<u8>,
    offset: usize,
}

impl Blocks {
    fn new(seed: u64) -> Self {
        let block = Rng::from_seed(seed).bytes(BLOCK);
        Self { block, offset: 0 }
    }

    /// Writes `total` bytes, and counts those that were taken.
    fn write(&self, mut sink: &TcpStream, total: u64, taken: &AtomicU64) {
        for piece in self.block.chunks(256 * KIB).cycle() {
            let left = total - taken.load(Ordering::Relaxed);
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if length == 0 || sink.write_all(&piece[..length]).is_err() {
                return;
            }
            taken.fetch_add(length as u64, Ordering::Relaxed);
        }
    }

    /// Checks that `bytes` are the next ones.
    #[track_caller]
    fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let rest = &self.block[self.offset..];
            let count = rest.len().min(bytes.len());
            harness::ensure(rest[..count] == bytes[..count], "A byte is wrong.");
            self.offset = (self.offset + count) % BLOCK;
            bytes = &bytes[count..];
        }
    }

    /// Reads `total` bytes and checks every one of them.
    #[track_caller]
    fn read(&mut self, mut source: &TcpStream, total: u64) {
        // A transfer that stalls ends with an error; one that is slow does not.
        drop(source.set_read_timeout(Some(scaled(PATIENCE))));
        let (mut chunk, mut seen) = (vec![0; MIB], 0);
        while seen < total {
            match source.read(&mut chunk) {
                Ok(0) => fail(format!("The stream ended after {seen} bytes of {total}.")),
                Ok(count) => {
                    self.check(&chunk[..count]);
                    seen += count as u64;
                }
                Err(error) => fail(format!("After {seen} bytes: {error}.")),
            }
        }
        harness::ensure(seen == total, "More bytes arrived than were sent.");
    }
}

/// An upstream that pours `total` bytes into its first connection, and leaves it open; the others are echoes.
fn pouring(seed: u64, total: u64) -> (Scripted, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let upstream = Scripted::start("pouring upstream", move |peer: Peer| {
        let mut stream: &TcpStream = peer.stream();
        match peer.number() {
            0 => {
                Blocks::new(seed).write(stream, total, &count);
                // It fails when the test ends, passed or not.
                drop(std::io::copy(&mut stream, &mut std::io::sink()));
            }
            // An echo fails when its test ends, passed or not.
            _ => drop(std::io::copy(&mut &**peer.stream(), &mut stream)),
        }
    });
    (upstream, taken)
}

/// Sends a gigabyte towards a reader that sleeps.
#[test]
fn e44_a_gigabyte_towards_a_reader_that_sleeps() {
    const TOTAL: u64 = 1 << 30;
    let test = Test::begin("While bytes are pending for a slow sink, do not read its source.");
    let seed = test.transcript().seed();
    let (upstream, taken) = pouring(seed, TOTAL);
    let proxy = Proxy::to(upstream.addr());
    proxy.routes();
    let before = (proc::rss_kib(proxy.pid()), proc::private_kib(proxy.pid()));
    let sleeper = Client::connect(proxy.addr());
    upstream.wait_for_accepts(1);
    wait_until_still(&proxy);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    let held_back = taken.load(Ordering::Relaxed);
    assert!(
        held_back < TOTAL / 4,
        "{held_back} bytes went to a reader that sleeps"
    );

    let other = Client::connect(proxy.addr());
    echoes(&other);

    let started = std::time::Instant::now();
    Blocks::new(seed).read(sleeper.stream(), TOTAL);
    let seconds = started.elapsed().as_secs_f64();
    let grown = proc::rss_kib(proxy.pid()).saturating_sub(before.0);
    let private = proc::private_kib(proxy.pid()).saturating_sub(before.1);
    eprintln!("1 GiB in {seconds:.2} s: {grown} KiB more resident, {private} KiB more private");
    assert!(
        grown < 1024,
        "{grown} KiB more resident for one stalled session"
    );
}

/// Makes a sender push 100 MB at a reader that begins late, with other clients connected; returns all of them.
#[track_caller]
fn a_hundred_megabytes(proxy: &Proxy, hand: &Hand, upwards: bool) -> Vec<(Peer, Peer)> {
    const TOTAL: u64 = 100_000_000;
    let (client, upstream) = session(proxy, hand);
    let others: Vec<_> = (0..3).map(|_| session(proxy, hand)).collect();
    let (from, to) = if upwards {
        (client, upstream)
    } else {
        (upstream, client)
    };
    let seed = Rng::for_test().next_u64();
    let before = proc::rss_kib(proxy.pid());
    let taken = Arc::new(AtomicU64::new(0));
    let (count, stream) = (Arc::clone(&taken), Arc::clone(from.stream()));
    let sender = std::thread::spawn(move || {
        Blocks::new(seed).write(&stream, TOTAL, &count);
    });
    eventually("the sender begins", PATIENCE, || {
        taken.load(Ordering::Relaxed) > 0
    });
    wait_until_still(proxy);
    for (client, upstream) in &others {
        talk(client, upstream);
    }
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    harness::ensure(
        taken.load(Ordering::Relaxed) < TOTAL / 2,
        "The sender was never held back.",
    );
    Blocks::new(seed).read(to.stream(), TOTAL);
    let grown = proc::rss_kib(proxy.pid()).saturating_sub(before);
    eprintln!("100 MB: {grown} KiB more resident");
    harness::ensure(grown < 1024, format!("{grown} KiB more resident."));
    drop(sender.join());
    for (client, upstream) in &others {
        talk(client, upstream);
    }
    others.into_iter().chain([(from, to)]).collect()
}

#[test]
fn e44_a_slow_client_holds_only_its_own_upstream_back() {
    let _test = Test::begin("If the sink is full, stop reading; begin again when there is room.");
    let (proxy, hand) = proxy_and_hand(&[]);
    drop(a_hundred_megabytes(&proxy, &hand, false));
}

#[test]
fn e44_a_slow_upstream_holds_only_its_own_client_back() {
    let _test = Test::begin("The same rule upwards: an upload to a server that reads slowly.");
    let (proxy, hand) = proxy_and_hand(&[]);
    drop(a_hundred_megabytes(&proxy, &hand, true));
}

#[test]
fn e44_few_descriptors_change_nothing_about_a_slow_reader() {
    let _test = Test::begin(
        "Without descriptors to spare bytes are copied: a full buffer stops reading, too.",
    );
    let hand = Hand::start();
    let proxy = Proxy::start(&Program::new(program()).open_files(45), hand.addr());
    let _down = a_hundred_megabytes(&proxy, &hand, false);
    let _up = a_hundred_megabytes(&proxy, &hand, true);
}

#[test]
fn e44_a_stalled_direction_does_not_stall_the_other() {
    let _test = Test::begin(
        "Each direction has a state of its own: one may be full while the other flows.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    let download = upstream.send_in_background(vec![9; 64 * MIB]);
    wait_until_still(&proxy);
    for _ in 0..20 {
        let nonce = Rng::for_test().nonce(1000);
        client.send(&nonce);
        upstream.expect(&nonce);
    }
    let upload = Rng::for_test().bytes(2 * MIB);
    let sending = client.send_in_background(upload.clone());
    upstream.expect(&upload);
    sending.join();
    assert!(
        !download.is_done(),
        "the client has not read the download yet"
    );
}

#[test]
fn e44_many_stalled_sessions_use_bounded_memory() {
    let _test = Test::begin("Memory per session is bounded, whatever its peers do.");
    const SESSIONS: u64 = 20;
    let block = vec![3; 64 * MIB];
    let source = Scripted::start("source", move |peer| drop(peer.try_send(&block)));
    let proxy = Proxy::to(source.addr());
    let before = proc::private_kib(proxy.pid());
    let small = harness::Connect::new().receive_buffer(16 * KIB);
    let stalled: Vec<_> = (0..SESSIONS).map(|_| small.to(proxy.addr())).collect();
    source.wait_for_accepts(stalled.len());
    wait_until_still(&proxy);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    let each = proc::private_kib(proxy.pid()).saturating_sub(before) / SESSIONS;
    eprintln!("a stalled session holds {each} KiB");
    assert!(each <= 128, "{each} KiB for each stalled session");
}
