//! The first process in the namespaces: it makes the two networks, is the cable between them, and runs the commands.
//!
//! Everything ends with it, because it is the first process of a PID namespace (`pid_namespaces(7)`).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::net::cable::Cable;
use crate::net::control::{self, Answer, Request};
use crate::net::network::Network;
use crate::net::options::Options;
use crate::net::packet::Port;
use crate::net::relay::{self, Shared};
use crate::net::side::{HOSTS, Side};
use crate::net::words::{Commands, code_of};
use crate::net::{namespaces, output};

/// How long the commands may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
/// The time between two looks at processes that are to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// All processes of our PID namespace except for ourselves (`kill(2)`).
const ALL: Pid = Pid::from_raw(-1);

/// Something that may end the network.
enum Event {
    Ended(Side, u8),
    Signal(i32),
    Stop,
    CableBroke(String),
}

/// A network that runs.
struct Running {
    sides: [Network; 2],
    outputs: Vec<JoinHandle<()>>,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

/// Makes the network, runs the commands, and returns the exit status.
///
/// # Errors
///
/// Fails if the kernel lacks something, or a command cannot be started.
pub(super) fn run(options: &Options) -> Result<u8> {
    // The network ends even if the process outside is killed.
    set_pdeathsig(Signal::SIGKILL)?;
    let commands = Commands::parse(&options.words, options.keep)?;
    let socket = control::path_of(None)?;
    mount(&socket)?;
    let mut running = Running::start(options, &socket)?;
    if options.keep || options.words.is_empty() {
        running.introduce(options);
    }
    let code = running
        .commands(options, commands)
        .and_then(|last| running.wait(last));
    let _ = fs::remove_file(&socket);
    running.end();
    code
}

/// Mounts the files of our own; the one with the names of hosts has no name itself once it is mounted.
fn mount(socket: &Path) -> Result<()> {
    let hosts = socket.with_extension("hosts");
    fs::write(&hosts, HOSTS).with_context(|| format!("cannot write {}", hosts.display()))?;
    let mounted = namespaces::mount_own(&hosts);
    fs::remove_file(&hosts)?;
    mounted.context("the kernel allows no mounts in a namespace")
}

impl Running {
    fn start(options: &Options, socket: &Path) -> Result<Self> {
        // Only the relay uses these ends of the cable. Without the setting, it carries some packets more.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let sides = [Network::create(Side::Left)?, Network::create(Side::Right)?];
        let open =
            |side: Side| Port::open(side.name()).context("the kernel has no packet sockets for us");
        let ports = [open(Side::Left)?, open(Side::Right)?];
        let shared = Arc::new(Shared::new(Cable::new(options.cable)));
        let (sender, events) = mpsc::channel();
        let running = Self {
            sides,
            outputs: Vec::new(),
            sender,
            events,
        };
        running.relay(ports, Arc::clone(&shared), options.seed);
        running.listen_to_signals()?;
        running.control(socket, shared)?;
        Ok(running)
    }

    fn relay(&self, ports: [Port; 2], shared: Arc<Shared>, seed: u64) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            if let Err(error) = relay::run(&ports, &shared, seed) {
                let _ = sender.send(Event::CableBroke(error.to_string()));
            }
        });
    }

    fn listen_to_signals(&self) -> Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let sender = self.sender.clone();
        thread::spawn(move || {
            for signal in signals.forever() {
                let _ = sender.send(Event::Signal(signal));
            }
        });
        Ok(())
    }

    fn control(&self, socket: &Path, shared: Arc<Shared>) -> Result<()> {
        let listener = control::listen(socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        let sender = self.sender.clone();
        let sides = [&self.sides[0], &self.sides[1]].map(Network::descriptor);
        thread::spawn(move || {
            control::serve(&listener, |request| {
                let mut state = shared.lock();
                match request {
                    Request::Pull => state.cable.is_pulled = true,
                    Request::Plug => state.cable.is_pulled = false,
                    Request::Change(change) => state.cable = state.cable.with(change),
                    Request::Status => {}
                    Request::Stop => drop(sender.send(Event::Stop)),
                }
                let (cable, counts) = (state.cable, state.counts);
                Answer {
                    cable,
                    counts,
                    sides,
                }
            });
        });
        Ok(())
    }

    /// Tells the person at the terminal what there is.
    fn introduce(&self, options: &Options) {
        println!("left:  10.0.0.1 and fd00::1");
        println!("right: 10.0.0.2 and fd00::2");
        println!("cable: {}", Cable::new(options.cable));
        println!("In another terminal: cargo course net exec right COMMAND");
    }

    /// Starts the commands, right first, and returns the side whose end is the end of all.
    fn commands(&mut self, options: &Options, commands: Commands) -> Result<Option<Side>> {
        let last = commands.last(options.keep);
        let has_both = commands.has_both();
        if let Some(words) = commands.right {
            let mut child = self.spawn(Side::Right, &words, has_both)?;
            if has_both {
                let is_over = || matches!(child.try_wait(), Ok(Some(_)) | Err(_));
                self.sides[1].wait_for_listener(Instant::now() + options.wait, is_over)?;
            }
            self.wait_in_thread(Side::Right, child);
        }
        if let Some(words) = commands.left {
            let child = self.spawn(Side::Left, &words, has_both)?;
            self.wait_in_thread(Side::Left, child);
        }
        Ok(last)
    }

    fn spawn(&mut self, side: Side, words: &[String], has_both: bool) -> Result<Child> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if has_both {
            let output = output::prefix(&mut command, side)?;
            self.outputs.push(output);
            if side == Side::Right {
                command.stdin(Stdio::null());
            }
        }
        let [left, right] = &self.sides;
        let network = match side {
            Side::Left => left,
            Side::Right => right,
        };
        let child = network.inside(move || command.spawn())?;
        child.with_context(|| format!("{side}: cannot start {}", words[0]))
    }

    fn wait_in_thread(&self, side: Side, mut child: Child) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            let code = child.wait().map_or(1, code_of);
            let _ = sender.send(Event::Ended(side, code));
        });
    }

    /// Waits for the event that ends the network, and returns the exit status.
    fn wait(&self, last: Option<Side>) -> Result<u8> {
        for event in &self.events {
            match event {
                Event::Ended(side, code) if Some(side) == last => return Ok(code),
                Event::Ended(_, _) => {}
                Event::Signal(signal) => return Ok(u8::try_from(128 + signal).unwrap_or(1)),
                Event::Stop => return Ok(0),
                Event::CableBroke(error) => anyhow::bail!("the cable broke: {error}"),
            }
        }
        Ok(0)
    }

    /// Ends all processes, and passes on the last lines of their output.
    fn end(&mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            // It fails if there is no process left.
            let _ = kill(ALL, signal);
            wait_until_alone(Instant::now() + GRACE);
        }
        for output in self.outputs.drain(..) {
            let _ = output.join();
        }
    }
}

fn wait_until_alone(deadline: Instant) {
    while kill(ALL, None) != Err(Errno::ESRCH) && Instant::now() < deadline {
        // Orphans, which are our children now.
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
