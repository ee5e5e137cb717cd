//! The submissions of a rehearsal, and the verdicts that each must get.
//!
//! Each has the reference's stage 1, changed in one way. In the code `{course}` is the folder of the course, `{mark}` a
//! word in the arguments of every process that must not survive the test.

use crate::rehearse::submission::Change::{Append, Before, Blank, Body, File, Link};
use crate::rehearse::submission::{Quick, Submission};

/// Pure: the tests call it in their own process, and the program calls it in one of its own.
const REVERSE: &str = "stage1-server/src/line.rs::reverse_line";
/// The program, once its arguments are read.
const RUN: &str = "stage1-server/src/main.rs::run";

pub(super) const SUBMISSIONS: &[Submission] = &[
    Submission {
        name: "perfect",
        about: "as the reference",
        changes: &[],
        expected: "ppppp",
        quick: Quick::Whole,
    },
    Submission {
        name: "partial",
        about: "three exercises of five are written",
        changes: &[Blank(&["1.4", "1.5"])],
        expected: "pppff",
        quick: Quick::No,
    },
    Submission {
        name: "blank",
        about: "nothing is written",
        changes: &[Blank(&["1.1", "1.2", "1.3", "1.4", "1.5"])],
        expected: "fffff",
        quick: Quick::No,
    },
    Submission {
        name: "uncompilable",
        about: "does not compile",
        changes: &[Append("stage1-server/src/line.rs", "fn broken( {")],
        expected: "nnnnn",
        quick: Quick::Whole,
    },
    Submission {
        name: "unsafe",
        about: "unsafe code, which would allow everything",
        changes: &[Append(
            "stage1-server/src/line.rs",
            "/// Reads any byte.\npub fn any(at: *const u8) -> u8 { unsafe { *at } }",
        )],
        expected: "nnnnn",
        quick: Quick::No,
    },
    Submission {
        name: "looping",
        about: "loops forever",
        changes: &[Body(REVERSE, "{ let _ = line; loop {} }")],
        expected: "plpxf",
        quick: Quick::Functions("plpff"),
    },
    Submission {
        name: "sleeping",
        about: "sleeps for hours",
        changes: &[Body(
            REVERSE,
            "{ let _ = line; std::thread::sleep(std::time::Duration::from_secs(9999)); }",
        )],
        expected: "plpxf",
        quick: Quick::No,
    },
    Submission {
        name: "forking",
        about: "every process starts two more, up to a thousand",
        changes: &[Body(
            REVERSE,
            r#"{
                let _ = line;
                // It ends by itself, whatever the grading does: a rehearsal must not bring the machine down.
                let script = "f() { [ $1 -eq 0 ] && exec sleep 1{mark}; f $(($1-1)) & f $(($1-1)) & wait; }; f 9";
                let _ = std::process::Command::new("sh").args(["-c", script]).status();
            }"#,
        )],
        expected: "pfpxf",
        quick: Quick::Functions("pfpff"),
    },
    Submission {
        name: "flooding",
        about: "floods stdout",
        changes: &[Body(
            REVERSE,
            r#"{ let _ = line; loop { println!("{}", "flood ".repeat(1000)); } }"#,
        )],
        expected: "pfpff",
        quick: Quick::Functions("pfpff"),
    },
    Submission {
        name: "hoarding",
        about: "takes memory without end",
        changes: &[Body(
            REVERSE,
            "{ let _ = line; let mut all = Vec::new(); loop { all.push(vec![1_u8; 1 << 24]); } }",
        )],
        expected: "pfpff",
        quick: Quick::No,
    },
    Submission {
        name: "tampering",
        about: "nothing is written, but tests, manifests, build script and cargo's settings are changed",
        changes: &[
            Blank(&["1.1", "1.2", "1.3", "1.4", "1.5"]),
            File("tests/stage1.rs", "#[test] fn e11_easy() {}"),
            File("tests/src/lib.rs", "//! Nothing."),
            File(
                "stage1-server/Cargo.toml",
                "[package]\nname = \"stage1-server\"\nversion = \"9.0.0\"\nbuild = \"build.rs\"\n",
            ),
            File(
                "stage1-server/build.rs",
                "fn main() { std::process::Command::new(\"sleep\").arg(\"1{mark}\").spawn().unwrap(); }",
            ),
            File(
                ".cargo/config.toml",
                "[build]\nrustc-wrapper = \"/bin/true\"\n",
            ),
            File("course.toml", ""),
        ],
        expected: "fffff",
        quick: Quick::Whole,
    },
    Submission {
        name: "linking",
        about: "a source file that is a link to somewhere else",
        changes: &[Link(
            "stage1-server/src/line.rs",
            "{course}/stage1-server/src/line.rs",
        )],
        expected: "uuuuu",
        quick: Quick::No,
    },
    Submission {
        name: "including",
        about: "nothing is written, but the compiler is asked to take in the reference",
        changes: &[File(
            "stage1-server/src/line.rs",
            "include!(\"{course}/stage1-server/src/line.rs\");",
        )],
        expected: "nnnnn",
        quick: Quick::No,
    },
    Submission {
        name: "borrowing",
        about: "the program is the reference's program",
        changes: &[Body(
            RUN,
            r#"{
                let _ = arguments;
                let listen = std::env::args().nth(2).unwrap_or_default();
                let program = "{course}/target/debug/stage1-server";
                std::process::Command::new(program).args(["--listen", &listen]).status().map(|_| ())
            }"#,
        )],
        expected: "ppppf",
        quick: Quick::No,
    },
    Submission {
        name: "faking",
        about: "prints what a passed test prints, and ends",
        changes: &[Body(
            REVERSE,
            r#"{
                let _ = line;
                println!("test e12_bytes_are_not_text ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored");
                println!("the test has come to its end: 00000000000000000000000000000000");
                std::process::exit(0)
            }"#,
        )],
        expected: "pfpff",
        quick: Quick::Functions("pfpff"),
    },
    Submission {
        name: "exiting",
        about: "ends the process with 0",
        changes: &[Body(REVERSE, "{ let _ = line; std::process::exit(0) }")],
        expected: "pfpff",
        quick: Quick::No,
    },
    Submission {
        name: "spying",
        about: "looks for the grader's nonce: in stdin, in the environment, in its own memory",
        changes: &[Body(
            REVERSE,
            r#"{
                use std::io::{Read as _, Seek as _, SeekFrom};
                let _ = line;
                println!("test result: ok. 1 passed; 0 failed; 0 ignored");
                let mut found = String::new();
                let _ = std::io::stdin().read_to_string(&mut found);
                for (_, value) in std::env::vars() {
                    found += &value;
                }
                println!("the test has come to its end: {found}");
                let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
                let ranges = maps.lines().filter(|line| line.contains(" rw-p "));
                for range in ranges.filter_map(|line| line.split(' ').next()?.split_once('-')) {
                    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
                    let Ok(mut memory) = std::fs::File::open("/proc/self/mem") else { break };
                    let _ = memory.seek(SeekFrom::Start(number(range.0)));
                    let mut bytes = Vec::new();
                    let _ = memory.take(number(range.1) - number(range.0)).read_to_end(&mut bytes);
                    for word in bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == 32) {
                        println!("the test has come to its end: {}", String::from_utf8_lossy(word));
                    }
                }
                std::process::exit(0)
            }"#,
        )],
        expected: "pfpff",
        quick: Quick::No,
    },
    Submission {
        name: "killing",
        about: "kills its parent and its process group",
        changes: &[Body(
            REVERSE,
            r#"{
                let _ = line;
                let script = format!("kill -9 {}; kill -9 0", std::os::unix::process::parent_id());
                let _ = std::process::Command::new("sh").args(["-c", &script]).status();
            }"#,
        )],
        expected: "pxpxf",
        quick: Quick::No,
    },
    Submission {
        name: "daemons",
        about: "right, but leaves processes behind that have left their group",
        changes: &[Before(
            REVERSE,
            r#"
                // Once in each test, because a test with many lines would otherwise have too many processes.
                static DAEMON: std::sync::Once = std::sync::Once::new();
                DAEMON.call_once(|| {
                    let mut daemon = std::process::Command::new("setsid");
                    let _ = daemon.args(["sleep", "1{mark}"]).spawn();
                });
            "#,
        )],
        expected: "ppppp",
        quick: Quick::Functions("pppff"),
    },
    Submission {
        name: "deleting",
        about: "right, but tries to delete the tests, itself and the course",
        changes: &[Before(
            REVERSE,
            r#"
                if let Ok(executable) = std::env::current_exe() {
                    let _ = std::fs::remove_file(executable);
                }
                for folder in [".", "../tests", "{course}/tests/course/src/rehearse"] {
                    let _ = std::fs::remove_dir_all(folder);
                }
            "#,
        )],
        expected: "ppppp",
        quick: Quick::No,
    },
];
