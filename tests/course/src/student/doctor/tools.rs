//! The programs that the course, its tests and the book's experiments use, and the packages they come in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// What makes it print its version.
    arguments: &'static [&'static str],
    /// Whether the course cannot do without it.
    pub(super) is_needed: bool,
    /// What is missing without it.
    pub(super) purpose: &'static str,
    /// The oldest version with which everything works.
    oldest: Option<(u32, u32)>,
    /// Its packages for apt, dnf and pacman.
    packages: [&'static str; 3],
}

/// The managers of packages, with the words that install one.
const MANAGERS: [(&str, &str); 3] = [
    ("apt-get", "apt install"),
    ("dnf", "dnf install"),
    ("pacman", "pacman -S"),
];

/// Folders with programs that are not in every user's path.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

const fn tool(
    name: &'static str,
    arguments: &'static [&'static str],
    purpose: &'static str,
    packages: [&'static str; 3],
) -> Tool {
    Tool {
        name,
        arguments,
        is_needed: false,
        purpose,
        oldest: None,
        packages,
    }
}

/// All programs, the needed ones first.
pub(super) const TOOLS: &[Tool] = &[
    Tool {
        is_needed: true,
        ..tool(
            "cc",
            &["--version"],
            "linking Rust programs",
            ["build-essential", "gcc", "base-devel"],
        )
    },
    Tool {
        is_needed: true,
        oldest: Some((3, 11)),
        ..tool(
            "python3",
            &["--version"],
            "the demonstration and the upstream of stage 4; with 3.11, the experiments of stage 5, too",
            ["python3", "python3", "python"],
        )
    },
    tool(
        "git",
        &["--version"],
        "your history, and handing in",
        ["git", "git", "git"],
    ),
    tool(
        "curl",
        &["--version"],
        "experiments, and a test of stage 4",
        ["curl", "curl", "curl"],
    ),
    tool(
        "strace",
        &["-V"],
        "most experiments, and a test of stage 4",
        ["strace", "strace", "strace"],
    ),
    tool(
        "ss",
        &["-V"],
        "most experiments",
        ["iproute2", "iproute", "iproute2"],
    ),
    tool(
        "nc",
        &["-h"],
        "some experiments of stages 4 and 5",
        ["netcat-openbsd", "nmap-ncat", "openbsd-netcat"],
    ),
    tool(
        "socat",
        &["-V"],
        "the milestone of stage 1, and experiments with slow and with silent peers",
        ["socat", "socat", "socat"],
    ),
    tool(
        "tcpdump",
        &["--version"],
        "experiments with packets",
        ["tcpdump", "tcpdump", "tcpdump"],
    ),
    tool(
        "jq",
        &["--version"],
        "experiments with the inspector",
        ["jq", "jq", "jq"],
    ),
    tool(
        "xxd",
        &["-v"],
        "experiments with bytes",
        ["xxd", "vim-common", "tinyxxd"],
    ),
    tool(
        "ps",
        &["--version"],
        "experiments with memory and processor time",
        ["procps", "procps-ng", "procps-ng"],
    ),
    tool(
        "man",
        &["--version"],
        "the manual pages that the code names, with manpages-dev or man-pages",
        [
            "man-db manpages-dev",
            "man-db man-pages",
            "man-db man-pages",
        ],
    ),
    tool(
        "nghttpx",
        &["--version"],
        "the experiment with HTTP/2 and HTTP/3 in stage 5",
        ["nghttp2-proxy nghttp2-client", "nghttp2", "nghttp2"],
    ),
    tool(
        "ssh",
        &["-V"],
        "the tunnel over ssh in stage 5",
        ["openssh-client", "openssh-clients", "openssh"],
    ),
    tool(
        "sshd",
        &["-V"],
        "tests of the tunnel over ssh",
        ["openssh-server", "openssh-server", "openssh"],
    ),
    tool(
        "ip",
        &["-V"],
        "tests and experiments in a network of their own",
        ["iproute2", "iproute", "iproute2"],
    ),
    tool(
        "unshare",
        &["--version"],
        "tests and experiments in a network of their own, and isolation in grading",
        ["util-linux", "util-linux", "util-linux"],
    ),
    tool(
        "setpriv",
        &["--version"],
        "ending the programs under test when a test run is killed",
        ["util-linux", "util-linux", "util-linux"],
    ),
    tool(
        "nft",
        &["--version"],
        "a test of redirected connections",
        ["nftables", "nftables", "nftables"],
    ),
    tool(
        "node",
        &["--version"],
        "tests with the library whose wire format is `multiplex`, and the model of the interactive pages",
        ["nodejs npm", "nodejs npm", "nodejs npm"],
    ),
    tool(
        "chromium",
        &["--version"],
        "tests with a real browser; any browser will do for the book",
        ["chromium", "chromium", "chromium"],
    ),
];

/// What the machine has of a tool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its version, if it tells one.
    Good(Option<String>),
    /// An older version than the oldest with which everything works.
    Old(String),
    Missing,
}

impl Tool {
    /// Looks for the tool on this machine.
    pub(super) fn find(&self) -> Found {
        let Some(program) = locate(self.name) else {
            return Found::Missing;
        };
        let output = Command::new(program)
            .args(self.arguments)
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            return Found::Missing;
        };
        let text = [output.stdout, output.stderr].concat();
        self.judge(version(&String::from_utf8_lossy(&text)))
    }

    fn judge(&self, version: Option<String>) -> Found {
        let numbers = version.as_deref().and_then(numbers);
        match (self.oldest, numbers, version) {
            (Some(oldest), Some(numbers), Some(version)) if numbers < oldest => Found::Old(version),
            (_, _, version) => Found::Good(version),
        }
    }

    /// Says how to install the tool: with the manager of this machine, or with each of the three.
    pub(super) fn how_to_install(&self, manager: Option<usize>) -> String {
        let with = |number: usize| format!("{} {}", MANAGERS[number].1, self.packages[number]);
        match manager {
            Some(number) => with(number),
            None => [0, 1, 2].map(with).join(", or "),
        }
    }
}

/// Returns one command that installs several tools.
pub(super) fn install_all(tools: &[&Tool], manager: usize) -> String {
    let mut packages = Vec::new();
    for package in tools
        .iter()
        .flat_map(|tool| tool.packages[manager].split(' '))
    {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    format!("{} {}", MANAGERS[manager].1, packages.join(" "))
}

/// Returns the place in [`MANAGERS`] of the one that this machine has.
pub(super) fn manager() -> Option<usize> {
    MANAGERS
        .iter()
        .position(|(program, _)| locate(program).is_some())
}

/// Finds a program in the path or in the system's folders.
fn locate(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_FOLDERS.map(PathBuf::from);
    let mut places = env::split_paths(&path).chain(system);
    places
        .find(|folder| folder.join(name).is_file())
        .map(|folder| Path::new(&folder).join(name))
}

/// Finds the first word that looks like a version, such as `3.11.2`, `10.0p2` or `iproute2-6.15.0`.
fn version(text: &str) -> Option<String> {
    let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '.'));
    let mut candidates = words.map(|word| word.trim_start_matches(char::is_alphabetic));
    candidates
        .find(|word| numbers(word).is_some())
        .map(|word| word.trim_end_matches('.').to_owned())
}

/// Reads the first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let end = rest.find(|sign: char| !sign.is_ascii_digit());
    let minor = &rest[..end.unwrap_or(rest.len())];
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let table = [
            ("Python 3.11.2", Some("3.11.2")),
            ("ss utility, iproute2-6.15.0, libbpf 1.6.2", Some("6.15.0")),
            ("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.4", Some("10.0p2")),
            ("OpenBSD netcat (Debian patchlevel 1.229-1)", Some("1.229")),
            ("jq-1.7.1", Some("1.7.1")),
            ("strace -- version 6.13", Some("6.13")),
            ("nothing to see.", None),
        ];
        for (text, expected) in table {
            assert_eq!(version(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_old_version_is_told_from_a_new_one_by_its_numbers() {
        let python = TOOLS.iter().find(|tool| tool.name == "python3").unwrap();
        let judge = |version: &str| python.judge(Some(version.to_owned()));
        assert_eq!(judge("3.9.2"), Found::Old("3.9.2".to_owned()));
        assert_eq!(judge("3.11.0"), Found::Good(Some("3.11.0".to_owned())));
        assert_eq!(python.judge(None), Found::Good(None));
    }

    #[test]
    fn every_tool_has_a_package_of_each_manager_and_one_command_installs_them_all() {
        for tool in TOOLS {
            assert!(
                tool.packages.iter().all(|package| !package.is_empty()),
                "{tool:?}"
            );
            let all = tool.how_to_install(None);
            assert!(
                ["apt install ", "dnf install ", "pacman -S "]
                    .iter()
                    .all(|words| all.contains(words)),
                "{all}"
            );
        }
        let two: Vec<_> = TOOLS
            .iter()
            .filter(|tool| ["unshare", "setpriv", "jq"].contains(&tool.name))
            .collect();
        assert_eq!(install_all(&two, 1), "dnf install jq util-linux");
    }
}
