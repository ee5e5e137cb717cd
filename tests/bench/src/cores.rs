//! Which core does what.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The core of the proxy, and the core of everything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// Takes the first two cores that this process may use.
    ///
    /// On a machine with one core both names mean the same core; the figures then say little.
    pub(crate) fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let proxy = cores.next().unwrap_or(0);
        let load = cores.next().unwrap_or(proxy);
        if proxy == load {
            eprintln!("relay-bench: only one core: proxy and load share it");
        }
        Ok(Self { proxy, load })
    }
}

/// Keeps the calling thread, and what it starts from now on, on one core: `sched_setaffinity(2)`.
pub(crate) fn pin_this_thread(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
