//! Three ways from an event to its session, side by side: nanoseconds for each lookup.
//!
//! ```text
//! scan       [[fd; 2]; N], searched from the front             as in `naive.rs`
//! by fd      a vector with a place for each descriptor number  one index
//! by token   the route table of the proxy                      one index, one comparison
//! ```
//!
//! Run it with `cargo bench -p stage4-proxy`. What each way costs in a running proxy, where a
//! system call of about a microsecond comes with each lookup, is another measurement.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::token::{Side, Token};

const SIZES: [usize; 6] = [8, 64, 512, 4_096, 32_768, 100_000];

/// Lookups until the sequence repeats: enough to reach all rows of the largest table, so that
/// neither cache nor predictor knows the next one.
const LOOKUPS: usize = 1 << 17;

/// Standard streams, poller, listener, waker: the number of the first session's socket.
const FIRST_FD: usize = 6;

/// As much of a session as a lookup has to touch, in a place of its own as in the proxy.
struct Session {
    bytes: u64,
    /// The rest of a session, so that the next session starts in another cache line.
    _rest: [u64; 47],
}

impl Session {
    fn new(number: usize) -> Self {
        Self {
            bytes: number as u64,
            _rest: [0; 47],
        }
    }
}

/// Returns the descriptor numbers of the two sockets of a row.
fn fds_of(row: usize) -> [usize; 2] {
    [FIRST_FD + 2 * row, FIRST_FD + 2 * row + 1]
}

/// Returns the rows that have events, in random order.
fn busy_rows(rows: usize) -> Vec<usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..LOOKUPS)
        .map(|_| usize::try_from(next() % rows as u64).expect("less than `rows`"))
        .collect()
}

/// Returns the items of a list in turn, again and again.
fn in_turn<T: Copy>(list: Vec<T>) -> impl FnMut() -> T {
    let mut place = 0;
    move || {
        place = (place + 1) % list.len();
        list[place]
    }
}

/// The source document's way: check every row until one holds the number.
fn scan(criterion: &mut Criterion, rows: usize) {
    let table: Vec<[usize; 2]> = (0..rows).map(fds_of).collect();
    let mut sessions: Vec<Session> = (0..rows).map(Session::new).collect();
    let busy = busy_rows(rows).into_iter();
    let mut fd = in_turn(busy.map(|row| fds_of(row)[row % 2]).collect());
    measure(criterion, "scan", rows, || {
        let fd = black_box(fd());
        let row = table.iter().position(|pair| pair.contains(&fd));
        sessions[row.expect("every number is there")].bytes += 1;
    });
}

/// A place for each descriptor number, which holds the row.
fn by_fd(criterion: &mut Criterion, rows: usize) {
    let mut places = vec![None; FIRST_FD + 2 * rows];
    for row in 0..rows {
        for fd in fds_of(row) {
            places[fd] = Some(row);
        }
    }
    let mut sessions: Vec<Session> = (0..rows).map(Session::new).collect();
    let busy = busy_rows(rows).into_iter();
    let mut fd = in_turn(busy.map(|row| fds_of(row)[row % 2]).collect());
    measure(criterion, "by fd", rows, || {
        let row = places[black_box(fd())];
        sessions[row.expect("every number is there")].bytes += 1;
    });
}

/// The proxy's way, from the 64 bits of an event.
fn by_token(criterion: &mut Criterion, rows: usize) {
    let mut table = RouteTable::new(u32::try_from(rows).expect("a table's size"));
    let mut tokens = Vec::new();
    for number in 0..rows {
        let Ok(row) = table.insert(Session::new(number)) else {
            panic!("there is room for {rows}");
        };
        tokens.push([Side::Client, Side::Upstream].map(|side| table.mint(row, side).pack()));
    }
    let busy = busy_rows(rows).into_iter();
    let mut bits = in_turn(busy.map(|row| tokens[row][row % 2]).collect());
    measure(criterion, "by token", rows, || {
        let token = Token::unpack(black_box(bits())).expect("one of ours");
        let session = table.get_mut(token);
        session.expect("none of them is stale").bytes += 1;
    });
}

fn measure(criterion: &mut Criterion, name: &str, rows: usize, mut lookup: impl FnMut()) {
    let mut group = criterion.benchmark_group(format!("{rows} rows"));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter(&mut lookup);
    });
    group.finish();
}

fn route_table(criterion: &mut Criterion) {
    for rows in SIZES {
        scan(criterion, rows);
        by_fd(criterion, rows);
        by_token(criterion, rows);
    }
}

/// Less than a second for each of the eighteen, and a minute for all.
fn quick() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1000))
        .without_plots()
}

criterion_group! {
    name = benches;
    config = quick();
    targets = route_table
}
criterion_main!(benches);
