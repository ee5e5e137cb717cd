//! The place of an isolation test: which user, in which kind of machine, on which level.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::deadline::{Deadline, holds_by};

/// The levels by their names on the command line, the strongest first.
pub(super) const LEVELS: &[&str] = &["root", "user", "shared-processes", "other-user", "limits"];

/// A user that owns no files, other than the usual `nobody`.
const STRANGER: &str = "--reuid=65530 --regid=65530 --clear-groups";

/// Like a container: root may not create namespaces, and in a chroot no user may (`unshare(2)`).
const NO_NAMESPACES: &str = "mount --rbind / \"$0\" && exec chroot \"$0\" setpriv --bounding-set=-sys_admin \
                             --inh-caps=-sys_admin ";

/// The kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cage {
    /// As the user of these tests.
    Ourselves,
    /// As an unprivileged user.
    Stranger,
    /// As root of a container.
    Container,
    /// As an unprivileged user in a container.
    ContainerStranger,
}

impl Cage {
    pub(super) const ALL: &[Self] = &[
        Self::Ourselves,
        Self::Stranger,
        Self::Container,
        Self::ContainerStranger,
    ];

    /// Prepares a command there.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => return Command::new(program),
            Self::Stranger => {
                let mut command = Command::new("setpriv");
                command.args(STRANGER.split(' '));
                command
            }
            Self::Container => contained(NO_NAMESPACES.to_owned()),
            Self::ContainerStranger => contained(NO_NAMESPACES.to_owned() + STRANGER),
        };
        command.arg(program);
        command
    }

    /// Returns the reason why there is no such machine here, if so.
    pub(super) fn missing(self) -> Option<String> {
        let output = self.command(Path::new("true")).output();
        match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Prepares a command in a chroot, in a mount namespace that ends with it.
fn contained(script: String) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &(script + " \"$@\"")])
        .arg(tools().join("root"));
    command
}

/// A world-readable folder with our program in it.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.join("root")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_course"), folder.join("course")).unwrap();
        let child = removed_after_us(&folder);
        (folder, child)
    };
    &TOOLS.get_or_init(make).0
}

/// Lets a shell remove the folder when its stdin ends, which is when this process ends, because statics are never dropped.
fn removed_after_us(folder: &Path) -> Child {
    let script = "read -r end; rm \"$0/course\"; rmdir \"$0/root\" \"$0\"";
    Command::new("sh")
        .args(["-c", script])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns a copy of our program that every user may run.
pub(super) fn course() -> PathBuf {
    tools().join("course")
}

/// A level in a machine that allows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) cage: Cage,
    pub(super) level: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:?}, {}", self.cage, self.level)
    }
}

impl Place {
    /// Lists the places that this machine allows, and prints the others.
    pub(super) fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Place>> = OnceLock::new();
        ALL.get_or_init(find)
    }

    /// Lists those on one of these levels.
    pub(super) fn on(levels: &'static [&'static str]) -> impl Iterator<Item = &'static Self> {
        let all = Self::all().iter();
        all.filter(move |place| levels.contains(&place.level))
    }

    /// Prepares a shell script under limits: seconds and MiB.
    pub(super) fn confine(&self, seconds: u64, memory: u64, script: &str) -> Command {
        let mut command = self.cage.command(&course());
        command
            .args(["confine", "--isolation", self.level])
            .args(["--seconds", &seconds.to_string()])
            .args(["--memory", &memory.to_string()])
            .args(["--", "sh", "-c", script])
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, seconds: u64, memory: u64, script: &str) -> Output {
        let output = self.confine(seconds, memory, script).output();
        output.unwrap_or_else(|error| panic!("{self}: {error}"))
    }
}

fn find() -> Vec<Place> {
    let mut found = Vec::new();
    for cage in Cage::ALL {
        if let Some(why) = cage.missing() {
            println!("skipped: {cage:?}: {why}");
            continue;
        }
        for level in LEVELS {
            let place = Place { cage: *cage, level };
            let output = place.run(60, 2000, "true");
            if output.status.success() {
                found.push(place);
            } else {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                println!("skipped: {place}: {why}");
            }
        }
    }
    found
}

/// The argument of a `sleep` that must not survive.
#[derive(Debug)]
pub(super) struct Mark(String);

impl fmt::Display for Mark {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl Mark {
    /// Creates a unique one.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("7{:08}{number:03}", std::process::id()))
    }

    /// Waits until a process with the mark runs.
    pub(super) fn wait_for_sleeper(&self) {
        let sleeper = format!("sleep\0{}\0", self.0);
        let is_there = || self.lines().any(|line| line == sleeper);
        assert!(
            holds_by(Deadline::patience(), &mut { is_there }),
            "no process with the mark runs"
        );
    }

    /// Asserts that no process with the mark is left soon.
    pub(super) fn assert_gone(&self, what: &dyn fmt::Display) {
        let is_gone = || self.lines().next().is_none();
        if !holds_by(Deadline::patience(), &mut { is_gone }) {
            let left: Vec<_> = self.lines().collect();
            panic!("{what}: still running: {left:?}");
        }
    }

    /// Lists the arguments of all processes that carry the mark in them.
    fn lines(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        lines.filter(|line| line.contains(&self.0))
    }
}
