//! Whole transfers under random cuts, driven by edge-triggered events as a worker drives them.

use super::*;

use proptest::collection::vec;
use proptest::prelude::*;

/// How the far ends of a transfer behave.
#[derive(Clone, Debug)]
struct Far {
    /// How many bytes each write tries; again from the beginning after the last one.
    writes: Vec<usize>,
    /// How many bytes each read takes; 0 for a pause.
    reads: Vec<usize>,
    total: usize,
}

fn far() -> impl Strategy<Value = Far> {
    let size = || prop_oneof![1..50_usize, 1..3 * CHUNK, 1..20 * CHUNK];
    let pause = prop_oneof![1 => Just(0_usize), 2 => size()];
    (vec(size(), 1..10), vec(pause, 1..20), 0..400_000_usize).prop_map(
        |(writes, mut reads, total)| {
            reads.push(CHUNK);
            Far {
                writes,
                reads,
                total,
            }
        },
    )
}

/// Returns bytes without a repeated stretch, so that a lost or doubled one shows.
fn pattern(total: usize) -> Vec<u8> {
    let words = (0_u32..).map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes());
    words.flatten().take(total).collect()
}

impl Rig {
    /// Carries the far ends' bytes as a worker does, which gives a turn only after an event or when
    /// the last one was unfinished; returns the bytes that arrived.
    fn carry(&mut self, far: &Far, bytes: &[u8]) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        let (mut writes, mut reads) = (far.writes.iter().cycle(), far.reads.iter().cycle());
        let (mut unsent, mut seen, mut unfinished) = (bytes, Vec::new(), false);
        loop {
            self.send_some(&mut unsent, *writes.next().unwrap());
            if self.note_events(Duration::ZERO) || unfinished {
                unfinished = self.pump().unwrap() == Progress::Unfinished;
            }
            self.check_bounds();
            if self.read_some(&mut seen, *reads.next().unwrap()) {
                return seen;
            }
            assert!(
                Instant::now() < end,
                "{} of {} bytes came: {:?}",
                seen.len(),
                bytes.len(),
                self.flow
            );
        }
    }

    /// Writes as much as the sender takes, and its FIN once after the last byte.
    fn send_some(&self, unsent: &mut &[u8], most: usize) {
        let piece = &unsent[..most.min(unsent.len())];
        if let Ok(count) = (&self.sender).write(piece) {
            *unsent = &unsent[count..];
        }
        if unsent.is_empty() {
            shut(&self.sender);
        }
    }

    /// Reads at most once and returns whether that was the end.
    fn read_some(&self, seen: &mut Vec<u8>, most: usize) -> bool {
        let mut room = vec![0; most];
        match (&self.reader).read(&mut room) {
            Ok(count) => {
                seen.extend_from_slice(&room[..count]);
                count == 0 && most > 0
            }
            Err(error) => {
                assert_eq!(error.kind(), WouldBlock);
                false
            }
        }
    }

    fn check_bounds(&self) {
        assert!(self.flow.half.pending().len() <= CHUNK);
        assert!(self.flow.half.piped() <= limits().pipe_size);
    }
}

proptest! {
    // A transfer that hangs costs its whole patience, so shrink it in a few steps only.
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2, ..ProptestConfig::default() })]

    /// Every byte arrives, once and in order, however writes and reads are cut, however small the
    /// sockets' buffers are, with a pipe or without; then comes the end, and the pipe is back.
    #[test]
    fn every_byte_arrives(far in far(), over_tcp: bool, tiny: bool, pipes in 0..2_usize) {
        let limits = Limits { pipes, ..limits() };
        let mut rig = Rig::new(if over_tcp { tcp } else { unix }, &limits);
        if tiny && !over_tcp {
            for socket in [&rig.sender, rig.source.socket(), rig.sink.socket(), &rig.reader] {
                shrink(socket);
            }
        }
        let bytes = pattern(far.total);
        let seen = rig.carry(&far, &bytes);
        prop_assert!(seen == bytes, "{} of {} bytes came, or others", seen.len(), bytes.len());
        prop_assert_eq!(rig.flow.half.moved(), bytes.len() as u64);
        prop_assert_eq!(rig.pool_has_a_pipe(), pipes == 1);
    }
}
