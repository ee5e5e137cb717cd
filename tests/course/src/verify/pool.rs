//! Several benches at work at the same time: while one compiles, another's tests wait for their deadlines.
//!
//! ```text
//!   short settings, stage by stage: ▶ the first bench takes them from here ..... and the second from the end ◀
//!   long settings, which run all tests of a stage: ▶ the third bench; the others, when they have no short one left
//! ```
//!
//! Most of a short setting's time goes to the compiler, and most of a long one's to tests that wait. A bench that stays at
//! its end needs few stages, and its next setting is much like the one before, so that cargo has little to build.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;

use crate::run::build::target_folder;
use crate::run::dependencies;
use crate::verify::bench::{Bench, Row};
use crate::verify::plan::Setting;
use crate::verify::progress::Progress;
use crate::verify::terminal;
use crate::verify::turns::Turns;
use course::manifest::Manifest;

/// Creates `count` benches beside cargo's output, of which so many may compile at the same time; their common dependencies
/// are built once.
///
/// # Errors
///
/// Fails if they cannot be written, or the stages cannot be built.
pub(super) fn benches<'a>(
    root: &'a Path,
    manifest: &'a Manifest,
    count: usize,
    compiling: usize,
) -> Result<Vec<Bench<'a>>> {
    let folder = |number: usize| target_folder(root).join(format!("course/verify-{number}"));
    let turns = Arc::new(Turns::new(compiling));
    let open = |number| Bench::open(root, manifest, &folder(number), Arc::clone(&turns));
    let first = open(1)?;
    if !first.target().exists() {
        dependencies::take_over(root, &target_folder(root), first.target())?;
    }
    let mut benches = vec![first];
    for number in 2..=count {
        let bench = open(number)?;
        if !bench.target().exists() {
            let first = &benches[0];
            if number == 2 {
                terminal::tell("verify: building the stages for the first time");
                first.warm_up()?;
            }
            dependencies::take_over(root, first.target(), bench.target())?;
        }
        benches.push(bench);
    }
    Ok(benches)
}

/// Judges all settings; the rows are in the order in which their settings ended.
///
/// # Errors
///
/// Fails with the first error of a bench.
pub(super) fn run(
    benches: &[Bench<'_>],
    settings: &[Setting<'_>],
    progress: &Progress,
) -> Result<Vec<Row>> {
    let queue = Mutex::new(Queue::new(settings));
    let rows = Mutex::new(Ok(Vec::new()));
    let work = |bench: &Bench<'_>, post| {
        while let Some(setting) = take(&queue, post, &rows) {
            progress.begin(setting);
            let outcome = bench.judge(setting);
            if let Ok(rows) = &outcome {
                progress.end(setting, rows);
            }
            let mut all = lock(&rows);
            match (&mut *all, outcome) {
                (Ok(all), Ok(rows)) => all.extend(rows),
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => {}
            }
        }
    };
    thread::scope(|scope| {
        let posts = [Post::Front, Post::Back, Post::Long];
        for (bench, post) in benches.iter().zip(posts.into_iter().cycle()) {
            let work = &work;
            scope.spawn(move || work(bench, post));
        }
    });
    progress.finish();
    rows.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the next setting of a post, unless a bench has failed.
fn take<'s, 'a>(
    queue: &Mutex<Queue<&'s Setting<'a>>>,
    post: Post,
    rows: &Mutex<Result<Vec<Row>>>,
) -> Option<&'s Setting<'a>> {
    let goes_on = lock(rows).is_ok();
    goes_on.then(|| lock(queue).take(post)).flatten()
}

/// Which settings a bench takes first.
#[derive(Clone, Copy, Debug)]
enum Post {
    /// The short ones, from the first stage on.
    Front,
    /// The short ones, from the last stage back.
    Back,
    /// The long ones.
    Long,
}

/// The settings that no bench has taken.
#[derive(Debug)]
struct Queue<T> {
    short: VecDeque<T>,
    /// From the last stage back, because later stages have more tests, and the longest should not begin last.
    long: VecDeque<T>,
}

impl<'s, 'a> Queue<&'s Setting<'a>> {
    fn new(settings: &'s [Setting<'a>]) -> Self {
        let is_long = |setting: &&Setting<'_>| setting.is_long();
        let (long, short): (Vec<_>, Vec<_>) = settings.iter().partition(is_long);
        Self {
            short: short.into(),
            long: long.into_iter().rev().collect(),
        }
    }
}

impl<T> Queue<T> {
    fn take(&mut self, post: Post) -> Option<T> {
        match post {
            Post::Front => self.short.pop_front().or_else(|| self.long.pop_front()),
            Post::Back => self.short.pop_back().or_else(|| self.long.pop_front()),
            Post::Long => self.long.pop_front().or_else(|| self.short.pop_front()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_post_has_its_end_and_helps_the_others() {
        let mut queue = Queue {
            short: VecDeque::from([1, 2, 3, 4]),
            long: VecDeque::from([20, 10]),
        };
        assert_eq!(queue.take(Post::Front), Some(1));
        assert_eq!(queue.take(Post::Back), Some(4));
        assert_eq!(queue.take(Post::Long), Some(20));
        assert_eq!(queue.take(Post::Back), Some(3));
        assert_eq!(queue.take(Post::Long), Some(10));
        assert_eq!(queue.take(Post::Long), Some(2));
        for post in [Post::Front, Post::Back, Post::Long] {
            assert_eq!(queue.take(post), None);
        }
    }
}
