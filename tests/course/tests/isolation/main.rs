//! Every level of isolation keeps its promises, in every kind of machine that can be had here.
//!
//! A machine that allows little has its tests "skipped: ...", with the reason.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it should be, and says what it skips"
)]

mod cage;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use cage::{Cage, LEVELS, Mark, Place, course};

/// Exit statuses of `course confine`: a limit was exceeded, the deadline has passed.
const TOO_MUCH: i32 = 123;
const TIMED_OUT: i32 = 124;
/// Exit status: the test could not be confined or started.
const NOT_STARTED: i32 = 125;

/// Levels on which a test sees little of the machine.
const HIDDEN: &[&str] = &["root", "user", "shared-processes"];
/// Levels on which a test cannot signal the grader's processes.
const OUT_OF_REACH: &[&str] = &["root", "user", "other-user"];
/// Levels on which each test is a user of its own.
const OWN_USER: &[&str] = &["root", "other-user"];

/// Closes the inherited pipes, because a process that survives by mistake would keep ours open and the test would hang.
const QUIET: &str = "exec >/dev/null 2>&1;";

/// More time and memory than anything here takes.
const LONG: u64 = 60;
const LARGE: u64 = 2000;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_code(place: Place, output: &Output, code: i32) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{place}: {stderr}");
}

#[test]
fn limits_are_there_on_every_machine() {
    let mut places = Place::on(&["limits"]);
    assert!(places.any(|place| place.cage == Cage::Ourselves));
}

#[test]
fn a_test_with_too_many_processes_is_killed_with_all_of_them() {
    for place in Place::all() {
        let mark = Mark::new();
        // A tree with 511 of them: it ends by itself, whatever happens to it.
        let script = format!(
            "{QUIET} f() {{ [ $1 -eq 0 ] && exec sleep {mark}; f $(($1-1)) & f $(($1-1)) & wait; }}; f 8"
        );
        let output = place.run(LONG, LARGE, &script);
        assert_code(*place, &output, TOO_MUCH);
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("more than 200 processes"),
            "{place}: {stderr}"
        );
        mark.assert_gone(place);
    }
}

#[test]
fn a_test_with_too_much_memory_is_killed() {
    for place in Place::all() {
        let mark = Mark::new();
        let script = format!("{QUIET} x=$(head -c 40m /dev/zero | tr '\\0' x); sleep {mark}");
        let output = place.run(LONG, 32, &script);
        assert_code(*place, &output, TOO_MUCH);
        let stderr = text(&output.stderr);
        assert!(stderr.contains("more than 32 MiB"), "{place}: {stderr}");
        mark.assert_gone(place);
    }
}

#[test]
fn a_test_that_takes_too_long_is_killed() {
    for place in Place::all() {
        let mark = Mark::new();
        let output = place.run(1, LARGE, &format!("{QUIET} sleep {mark} & sleep {mark}"));
        assert_code(*place, &output, TIMED_OUT);
        mark.assert_gone(place);
    }
}

#[test]
fn a_process_that_leaves_its_group_and_its_parents_is_found() {
    for place in Place::all() {
        let mark = Mark::new();
        let script =
            format!("{QUIET} setsid setsid sleep {mark} & (setsid sleep {mark} &) ; exit 3");
        assert_code(*place, &place.run(LONG, LARGE, &script), 3);
        mark.assert_gone(place);
    }
}

#[test]
fn a_test_that_floods_its_output_ends_with_a_broken_pipe() {
    for place in Place::all() {
        let mark = Mark::new();
        let mut command = place.confine(LONG, LARGE, &format!("yes {mark}"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        let code = child.wait().unwrap().code();
        // A shell's word for SIGPIPE.
        assert_eq!(
            (line.trim(), code),
            (mark.to_string().as_str(), Some(141)),
            "{place}"
        );
        mark.assert_gone(place);
    }
}

#[test]
fn the_end_of_the_grading_is_the_end_of_its_tests() {
    for place in Place::all() {
        let mark = Mark::new();
        let confine = place.confine(LONG, LARGE, &format!("setsid sleep {mark} & sleep {mark}"));
        let mut grading = Command::new("sh");
        // The shell stays, as the parent of the test.
        grading
            .args(["-c", "\"$@\"; exit", "sh"])
            .arg(confine.get_program());
        let mut grading = grading
            .args(confine.get_args())
            .current_dir("/")
            .spawn()
            .unwrap();
        mark.wait_for_sleeper();
        grading.kill().unwrap();
        grading.wait().unwrap();
        mark.assert_gone(place);
    }
}

#[test]
fn the_kernel_bounds_processor_time_files_and_memory_of_each_process() {
    for place in Place::all() {
        let output = place.run(LONG, LARGE, "cat /proc/self/limits");
        let limits = text(&output.stdout);
        for limit in [
            "Max cpu time 130 130",
            "Max file size 1073741824 1073741824",
            "Max data size 4294967296 4294967296",
            "Max core file size 0 0",
        ] {
            let words = limits.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(limit), "{place}: {limit}: {limits}");
        }
    }
}

/// Runs two tests at the same time, and returns the first line of each.
fn two_at_once(place: Place, script: &str) -> [String; 2] {
    let start = || {
        let mut command = place.confine(LONG, LARGE, &format!("{script}; read -r end"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut both = [start(), start()];
    let lines = both.each_mut().map(|child| {
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    });
    for mut child in both {
        // Closes its stdin first, which ends it.
        child.wait().unwrap();
    }
    lines
}

#[test]
fn two_tests_at_once_share_neither_ports_nor_folders() {
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    for place in Place::on(HIDDEN) {
        let script = "echo $(readlink /proc/self/ns/net) $(mkdir /tmp/mine && echo made)";
        let [one, other] = two_at_once(*place, script);
        assert!(
            one.ends_with(" made") && other.ends_with(" made"),
            "{place}: {one}, {other}"
        );
        assert!(
            one != other && !one.contains(ours.to_str().unwrap()),
            "{place}: {one}, {other}"
        );
    }
}

#[test]
fn two_tests_at_once_are_two_users_each_counted_alone() {
    for place in Place::on(OWN_USER) {
        let [one, other] = two_at_once(*place, "id -u");
        let is_made = |user: &String| (20_000..60_000).contains(&user.parse::<u32>().unwrap());
        assert!(
            is_made(&one) && is_made(&other) && one != other,
            "{place}: {one}, {other}"
        );
        let limits = text(&place.run(LONG, LARGE, "cat /proc/self/limits").stdout);
        let limit = limits
            .lines()
            .find(|line| line.starts_with("Max processes"));
        assert!(limit.unwrap().contains("4096"), "{place}: {limits}");
    }
}

#[test]
fn no_test_has_the_rights_of_root_unless_nothing_can_be_done() {
    for place in Place::all().iter().filter(|place| place.level != "limits") {
        let script = "id -u; test -w /etc/passwd; echo $?; grep CapEff /proc/self/status";
        let output = place.run(LONG, LARGE, script);
        let stdout = text(&output.stdout);
        let lines: Vec<_> = stdout.lines().collect();
        assert_code(*place, &output, 0);
        assert!(
            matches!(lines[..], [user, "1", _] if user != "0"),
            "{place}: {stdout}"
        );
        assert!(
            lines[2].ends_with("\t0000000000000000"),
            "{place}: {stdout}"
        );
    }
}

#[test]
fn a_test_cannot_kill_its_watcher() {
    for place in Place::on(OUT_OF_REACH) {
        let output = place.run(LONG, LARGE, "kill -9 $PPID; echo alive");
        assert_code(*place, &output, 0);
        assert_eq!(text(&output.stdout), "alive\n", "{place}");
    }
}

#[test]
fn files_and_network_are_out_of_sight_where_there_are_namespaces() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let script = format!(
        "test -e {manifest}; echo $?; touch /x 2>/dev/null; echo $?; touch /tmp/x; echo $?; grep -c : /proc/net/dev"
    );
    for place in Place::on(HIDDEN) {
        let output = place.run(LONG, LARGE, &script);
        assert_eq!(text(&output.stdout), "1\n1\n0\n1\n", "{place}");
    }
}

#[test]
fn the_view_of_the_machine_itself_is_never_narrowed() {
    if let Some(why) = Cage::Container.missing() {
        println!("skipped: no mount namespace to try it in: {why}");
        return;
    }
    // The machine's is this one here, so that nothing is lost if it is narrowed after all.
    let script = "exec \"$0\" confine --inside=\"$(readlink /proc/self/ns/mnt)\" --isolation root \
                  --seconds 60 --memory 2000 -- true";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(course());
    let output = command.current_dir("/").output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(NOT_STARTED), "{stderr}");
    assert!(stderr.contains("no mount namespace"), "{stderr}");
}

#[test]
fn the_doctor_names_the_strongest_level() {
    for cage in Cage::ALL.iter().filter(|cage| cage.missing().is_none()) {
        let is_here = |level: &&&str| {
            let mut all = Place::all().iter();
            all.any(|place| place.cage == *cage && place.level == **level)
        };
        let words = match LEVELS.iter().find(is_here) {
            Some(&"root" | &"user") => "out of sight of other processes",
            Some(&"shared-processes") => "with a /tmp of its own",
            Some(&"other-user") => "as a user without rights, but with the network",
            _ => "with the rights, the network and the files of the grader",
        };
        let output = cage.command(&course()).arg("doctor").output().unwrap();
        let stdout = text(&output.stdout);
        let line = stdout.lines().find(|line| line.contains("grading: "));
        assert!(line.unwrap().contains(words), "{cage:?}: {stdout}");
    }
}
