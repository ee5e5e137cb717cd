//! Exercise 5.2 through the library: the request queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use harness::{Rng, Test};
use stage5_mux::queue::request_queue::{QueueFull, RequestQueue};

fn line_of(queue: &RequestQueue) -> Vec<u32> {
    queue.iter().collect()
}

#[test]
fn e52_first_come_first_served() {
    let _test = Test::begin("A row joins at the end; the first row leaves first.");
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let mut queue = RequestQueue::new(10);
    assert_eq!((queue.take_first(), queue.is_empty()), (None, true));
    for (row, since) in [(7, now), (2, now + second), (9, now + 2 * second)] {
        assert_eq!(queue.join(row, since), Ok(()));
    }
    assert_eq!((line_of(&queue), queue.len()), (vec![7, 2, 9], 3));
    assert_eq!(queue.since(2), Some(now + second));
    assert_eq!(queue.take_first(), Some((7, now)));
    assert_eq!(queue.join(7, now), Ok(()), "and joins again at the end");
    for row in [2, 9, 7] {
        assert_eq!(queue.take_first().map(|(row, _)| row), Some(row));
    }
    assert_eq!((queue.take_first(), queue.len()), (None, 0));
}

#[test]
fn e52_whoever_goes_leaves_no_gap() {
    let _test = Test::begin(
        "A row may leave from the front, the end, or the middle: the list stays whole.",
    );
    for gone in 0..5 {
        let mut queue = RequestQueue::new(10);
        for row in 0..5 {
            assert_eq!(queue.join(row, Instant::now()), Ok(()));
        }
        assert!(queue.leave(gone));
        assert!(!queue.leave(gone), "it has left already");
        assert_eq!(queue.since(gone), None);
        let rest: Vec<u32> = (0..5).filter(|&row| row != gone).collect();
        assert_eq!((line_of(&queue), queue.len()), (rest.clone(), 4));
        assert_eq!(queue.join(gone, Instant::now()), Ok(()));
        for row in rest.into_iter().chain([gone]) {
            assert_eq!(queue.take_first().map(|(row, _)| row), Some(row));
        }
    }
    assert!(!RequestQueue::new(1).leave(1000), "no row has ever joined");
}

#[test]
fn e52_a_queue_has_a_bound() {
    let _test = Test::begin("The queue holds `capacity` rows; a row that leaves makes room.");
    let now = Instant::now();
    let mut queue = RequestQueue::new(2);
    assert_eq!(queue.join(1, now), Ok(()));
    assert_eq!(queue.join(2, now), Ok(()));
    assert_eq!(queue.join(3, now), Err(QueueFull));
    assert_eq!((line_of(&queue), queue.since(3)), (vec![1, 2], None));
    queue.leave(1);
    assert_eq!(queue.join(3, now), Ok(()));
    assert_eq!(line_of(&queue), [2, 3]);
}

#[test]
fn e52_it_agrees_with_a_plain_queue() {
    let _test =
        Test::begin("A linked list in an array behaves like a VecDeque; only leaving is faster.");
    let (mut rng, now) = (Rng::for_test(), Instant::now());
    let (mut queue, mut model) = (RequestQueue::new(12), VecDeque::new());
    for _ in 0..20_000 {
        let row = u32::from(rng.bytes(1)[0] % 16);
        match rng.below(3) {
            0 if !model.contains(&row) => {
                let fits = model.len() < 12;
                assert_eq!(queue.join(row, now).is_ok(), fits);
                if fits {
                    model.push_back(row);
                }
            }
            1 => {
                assert_eq!(queue.leave(row), model.contains(&row));
                model.retain(|&other| other != row);
            }
            _ => assert_eq!(queue.take_first().map(|(row, _)| row), model.pop_front()),
        }
        assert_eq!(queue.len(), model.len());
        assert!(queue.iter().eq(model.iter().copied()));
    }
}
