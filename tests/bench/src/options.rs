//! The command line, and the plan that it becomes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::chart::ChartOptions;
use crate::cores::Cores;
use crate::limits;
use crate::minimal::MinimalOptions;
use crate::pairs::PairsOptions;
use crate::peers::ours::Package;
use crate::peers::{Programs, Subject, ours};
use crate::rows::Row;
use crate::scenario::Scenario;
use crate::soak::SoakOptions;

/// Measures this proxy beside other proxies, interleaved in one run, and prints a Markdown table.
#[derive(Debug, Parser)]
#[command(name = "relay-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// How often everything is measured; the table shows medians [default: 5, with --all 7, with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// How long one measure takes, in seconds [default: 2, with --quick 0.2]
    #[arg(long, value_parser = parse_seconds)]
    seconds: Option<Duration>,

    /// Measures every row, and writes `report.md`, `ratios.svg` and `results.json` to the folder of --report
    #[arg(long, conflicts_with = "only")]
    pub(crate) all: bool,

    /// A trial of --all in some minutes: one short round, and no more than 1,000 sessions at once
    #[arg(long, requires = "all")]
    quick: bool,

    /// The folder for the files of --all
    #[arg(long, value_name = "FOLDER", default_value = "target/relay-bench")]
    pub(crate) report: PathBuf,

    /// Only these rows, by key or by the beginning of it: `bulk,http-p99`. `tunnel` needs root for the links of a given
    /// rate (network namespaces), and about 8 minutes with `--seconds 0.5`
    #[arg(long, value_delimiter = ',', value_name = "ROW,..", value_parser = parse_row)]
    only: Vec<String>,

    /// Only these columns: `direct,haproxy,ours`
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    peers: Vec<String>,

    /// Our stage4-proxy; without this it is built in release
    #[arg(long, value_name = "PATH")]
    ours: Option<PathBuf>,

    /// Our stage5-mux, for the rows of the queue and of the tunnel; without this it is built in release
    #[arg(long, value_name = "PATH")]
    ours_queue: Option<PathBuf>,

    /// An older build of our stage4-proxy, in a column named `beside`; with `--peers beside,ours` the two alone
    #[arg(long, value_name = "PATH")]
    beside: Option<PathBuf>,

    /// An older build of our stage5-mux, for the rows of the queue and of the tunnel in that column
    #[arg(long, value_name = "PATH")]
    beside_queue: Option<PathBuf>,

    /// One more column: any proxy that stays in the foreground, with `{listen}` (or `{port}`) and
    /// `{upstream}` in its command
    #[arg(long, value_name = "NAME=COMMAND", value_parser = parse_custom)]
    also: Vec<(String, String)>,

    /// Writes every figure of every round to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Shows the rows and the proxies that can be measured here, and ends
    #[arg(long)]
    pub(crate) list: bool,
}

/// The work besides measuring.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Soak(SoakOptions),
    Chart(ChartOptions),
    Pairs(PairsOptions),
    Minimal(MinimalOptions),
}

/// The rows, scenarios and subjects of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) time: Duration,
    pub(crate) rows: Vec<Row>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) subjects: Vec<Subject>,
    /// The proxies that are not installed, one sentence each.
    pub(crate) missing: Vec<String>,
    pub(crate) cores: Cores,
}

impl Options {
    /// Finds the peers, builds ours, and raises the fd limit.
    pub(crate) fn plan(&self) -> io::Result<Plan> {
        let rows = self.rows();
        let has_row = |scenario: &Scenario| scenario.rows().iter().any(|row| rows.contains(row));
        limits::raise_fd_limit()?;
        let scenarios = Scenario::all().filter(has_row);
        let scenarios: Vec<Scenario> = scenarios
            .filter(|each| !self.quick || each.is_quick())
            .collect();
        let (scenarios, impossible) = possible(scenarios);
        let is_possible = |row: &Row| scenarios.iter().any(|each| each.rows().contains(row));
        let rows: Vec<Row> = rows.into_iter().filter(is_possible).collect();
        let (subjects, mut missing) = self.subjects(&scenarios)?;
        missing.extend(impossible);
        let (rounds, time, cores) = (self.rounds(), self.time(), Cores::choose()?);
        Ok(Plan {
            rounds,
            time,
            rows,
            scenarios,
            subjects,
            missing,
            cores,
        })
    }

    fn rounds(&self) -> u32 {
        let usual = match (self.all, self.quick) {
            (_, true) => 1,
            (true, false) => 7,
            (false, false) => 5,
        };
        self.rounds.unwrap_or(usual)
    }

    fn time(&self) -> Duration {
        let usual = if self.quick { 200 } else { 2_000 };
        self.seconds.unwrap_or(Duration::from_millis(usual))
    }

    fn rows(&self) -> Vec<Row> {
        let is_wanted =
            |row: &Row| self.only.is_empty() || self.only.iter().any(|word| row.is_named_by(word));
        Row::all().filter(is_wanted).collect()
    }

    /// Returns the columns that will be measured, and a sentence about each that cannot be.
    fn subjects(&self, scenarios: &[Scenario]) -> io::Result<(Vec<Subject>, Vec<String>)> {
        let mut subjects = vec![Subject::direct()];
        subjects.extend(Subject::limits());
        subjects.extend(Subject::peers());
        subjects.extend(
            self.also
                .iter()
                .map(|(name, command)| Subject::custom(name, command)),
        );
        subjects.push(Subject::fixed(Programs::default()));
        subjects.push(Subject::early(Programs::default()));
        subjects.extend(self.beside()?);
        subjects.push(Subject::ours(Programs::default()));
        self.check_names(&subjects)?;
        let has_part = |subject: &Subject| scenarios.iter().any(|each| each.suits(subject));
        subjects.retain(|subject| self.wants(&subject.name));
        let without_part = subjects.extract_if(.., |subject| !has_part(subject));
        let without_part: Vec<Subject> = without_part.collect();
        if !self.peers.is_empty() {
            without_part.iter().for_each(say_that_it_has_no_part);
        }
        let missing = missing(&subjects);
        subjects.retain(|subject| subject.find().and_then(|()| subject.prepare()).is_ok());
        if subjects.is_empty() {
            let sentence =
                "nothing to measure: none of these columns can do the work of these rows here";
            return Err(io::Error::other(sentence));
        }
        if subjects.iter().any(Subject::is_built) {
            let programs = self.programs(scenarios)?;
            subjects
                .iter_mut()
                .for_each(|subject| subject.build(&programs));
        }
        Ok((subjects, missing))
    }

    /// Returns the column of an older build, if one is given.
    fn beside(&self) -> io::Result<Option<Subject>> {
        let find = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
        let (relay, queue) = (find(&self.beside)?, find(&self.beside_queue)?);
        let is_given = relay.is_some() || queue.is_some();
        Ok(is_given.then(|| Subject::beside(Programs { relay, queue })))
    }

    /// Returns our programs, as far as they are measured.
    fn programs(&self, scenarios: &[Scenario]) -> io::Result<Programs> {
        let program = |package, given: Option<&Path>| {
            let mut jobs = scenarios.iter().map(|scenario| scenario.job());
            let is_needed = jobs.any(|job| ours::package(job) == package);
            let find = || given.map_or_else(|| ours::build(package), absolute);
            is_needed.then(find).transpose()
        };
        Ok(Programs {
            relay: program(Package::Proxy, self.ours.as_deref())?,
            queue: program(Package::Mux, self.ours_queue.as_deref())?,
        })
    }

    fn check_names(&self, subjects: &[Subject]) -> io::Result<()> {
        let is_known = |name: &&String| subjects.iter().any(|subject| subject.name == **name);
        match self.peers.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(io::Error::other(format!(
                "no column is called {name:?}: see --list"
            ))),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peer| peer == name)
    }
}

/// Returns the scenarios that this machine has room for, and a sentence for each reason against the others.
fn possible(scenarios: Vec<Scenario>) -> (Vec<Scenario>, Vec<String>) {
    let (mut possible, mut sentences) = (Vec::new(), Vec::new());
    for scenario in scenarios {
        match scenario.check() {
            Ok(()) => possible.push(scenario),
            // Several scenarios may lack the same thing.
            Err(sentence) if sentences.contains(&sentence) => {}
            Err(sentence) => sentences.push(sentence),
        }
    }
    for sentence in &sentences {
        eprintln!("relay-bench: {sentence}");
    }
    (possible, sentences)
}

fn say_that_it_has_no_part(subject: &Subject) {
    eprintln!("relay-bench: {} has no part in these rows", subject.name);
}

/// Prints which proxies are missing and how to install them, once for each program.
fn missing(subjects: &[Subject]) -> Vec<String> {
    let mut sentences: Vec<String> = subjects
        .iter()
        .filter_map(|subject| subject.find().and_then(|()| subject.prepare()).err())
        .collect();
    sentences.dedup();
    for sentence in &sentences {
        eprintln!("relay-bench: {sentence}");
    }
    sentences
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    let sentence = |error| io::Error::other(format!("{}: {error}", path.display()));
    path.canonicalize().map_err(sentence)
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.1..=60.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number from 0.1 to 60".into())
}

fn parse_row(text: &str) -> Result<String, String> {
    let is_named = Row::all().any(|row| row.is_named_by(text));
    is_named
        .then(|| text.to_owned())
        .ok_or_else(|| "no such row: see --list".into())
}

fn parse_custom(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, command)| {
        !name.is_empty()
            && (command.contains("{listen}") || command.contains("{port}"))
            && command.contains("{upstream}")
    });
    let sentence = "NAME=COMMAND, with {listen} or {port}, and {upstream}, in the command";
    parts
        .map(|(name, command)| (name.into(), command.into()))
        .ok_or_else(|| sentence.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Job, Role};

    fn options(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["relay-bench"], words].concat())
    }

    #[test]
    fn only_selects_rows_and_with_them_scenarios() {
        let options = options(&["--only", "http-p99,trip"]).unwrap();
        assert_eq!(options.rows(), [Row::HttpTail, Row::RoundTrip]);
    }

    #[test]
    fn all_has_more_rounds_and_quick_is_one_short_one() {
        let plan = |words: &[&str]| {
            let options = options(words).unwrap();
            (options.rounds(), options.time().as_millis())
        };
        assert_eq!(plan(&[]), (5, 2_000));
        assert_eq!(plan(&["--all"]), (7, 2_000));
        assert_eq!(plan(&["--all", "--quick"]), (1, 200));
        assert_eq!(plan(&["--all", "--quick", "--rounds", "3"]), (3, 200));
        assert!(options(&["--quick"]).is_err());
    }

    #[test]
    fn an_unknown_column_is_an_error() {
        let options = options(&["--peers", "direct,hproxy"]).unwrap();
        let error = options.plan().unwrap_err().to_string();
        assert!(error.contains("hproxy"), "{error}");
    }

    #[test]
    fn columns_without_a_part_in_the_rows_are_an_error() {
        let options = options(&["--only", "udp", "--peers", "fixed,squid"]).unwrap();
        let error = options.plan().unwrap_err().to_string();
        assert!(error.contains("nothing to measure"), "{error}");
    }

    #[test]
    fn an_older_build_is_a_column_with_the_jobs_that_it_has() {
        let path = std::env::current_exe().unwrap();
        let options = options(&["--beside", path.to_str().unwrap()]).unwrap();
        let subject = options.beside().unwrap().unwrap();
        assert_eq!(subject.name, "beside");
        assert!(subject.can(Job::Relay) && !subject.can(Job::Queue));
        assert_eq!(subject.role(), Role::Peer);
    }

    #[test]
    fn a_missing_older_build_is_an_error() {
        let options = options(&["--beside-queue", "/nowhere/stage5-mux"]).unwrap();
        let error = options.plan().unwrap_err().to_string();
        assert!(error.contains("/nowhere/stage5-mux"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            ["--rounds", "0"],
            ["--seconds", "-1"],
            ["--seconds", "nan"],
            ["--only", "speed"],
            ["--also", "x=true"],
        ] {
            assert!(options(&words).is_err(), "{words:?}");
        }
    }
}
