//! Networks for a test, and what is asked of them and of the machine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Networks of a test, which meet no others.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// Returns `None` where there can be no network.
    pub(crate) fn new() -> Option<Self> {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let output = place.net(&["--", "left", "true"]).output().unwrap();
        if output.status.success() {
            return Some(place);
        }
        println!("skipped: {}", text(&output.stderr));
        None
    }

    pub(crate) fn net(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        command
            .arg("net")
            .args(words)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("COURSE_NET")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.net(words).output().unwrap()
    }

    /// Runs both commands over a cable; both must succeed.
    pub(crate) fn play(&self, cable: &[&str], left: &str, right: &str) -> String {
        let commands = [
            "--", "left", "python3", "-c", left, "--", "right", "python3", "-c", right,
        ];
        let output = self.run(&[cable, &commands].concat());
        assert!(output.status.success(), "{}", text(&output.stdout));
        text(&output.stdout)
    }

    /// Starts a network that stays, and waits until it is there.
    pub(crate) fn keep(&self, words: &[&str]) -> Kept {
        let mut child = self
            .net(&[&["--keep"], words].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("In another")));
        Kept(child)
    }

    /// Returns the files that networks have here.
    pub(crate) fn files(&self) -> Vec<String> {
        let folders = fs::read_dir(self.folder.path()).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        files
            .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// A network that stays until this is dropped.
pub(crate) struct Kept(pub(crate) Child);

impl Kept {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One that has been waited for has no process that a signal could reach.
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            let _ = self.0.wait();
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads the number behind a word of the output.
pub(crate) fn number(output: &str, word: &str) -> f64 {
    let (_, rest) = output
        .split_once(word)
        .unwrap_or_else(|| panic!("no {word}in {output}"));
    let digits = rest.split(|sign: char| !(sign.is_ascii_digit() || sign == '.'));
    digits.into_iter().next().unwrap().parse().unwrap()
}

/// Returns the processes of the machine with this word on their command line.
pub(crate) fn processes(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line
            .split(|byte| *byte == 0)
            .any(|one| one == word.as_bytes())
        {
            found.push(text(&line).replace('\0', " "));
        }
    }
    found
}

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}
