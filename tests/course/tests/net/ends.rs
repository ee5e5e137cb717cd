//! How a network ends, what it needs, and what is said where it cannot be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::place::{Place, processes, text, until};

#[test]
fn nothing_remains_however_it_ends() {
    let Some(place) = Place::new() else { return };
    for (number, signal) in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGKILL,
    ]
    .into_iter()
    .enumerate()
    {
        // A number that no other process has on its command line. One of the processes ignores signals, one is an orphan.
        let mark = format!("{}.{}{number}", 4000 + number, std::process::id());
        let stubborn = format!("trap '' TERM INT HUP; (sleep {mark} &) ; sleep {mark}");
        let kept = place.keep(&[
            "--", "left", "sh", "-c", &stubborn, "--", "right", "sleep", &mark,
        ]);
        until("all are there", || processes(&mark).len() >= 5);
        kept.signal(signal);
        until("all have ended", || processes(&mark).is_empty());
        drop(kept);
        if signal != Signal::SIGKILL {
            assert_eq!(place.files(), Vec::<String>::new(), "{signal}");
        }
    }
    // What a killed one has left behind is no hindrance.
    assert!(place.run(&["--", "left", "true"]).status.success());
    assert_eq!(place.files(), Vec::<String>::new());
}

#[test]
fn no_privilege_is_needed_where_the_kernel_has_user_namespaces() {
    let Some(place) = Place::new() else { return };
    if !geteuid().is_root() {
        return println!("skipped: the other tests have run without privileges already");
    }
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let own = place.folder.path().join("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(65534), Some(65534)).unwrap();
    open_to_all(place.folder.path());
    let setpriv = |words: &[&OsStr]| {
        let mut command = Command::new("setpriv");
        command.args(user).args(words).env("XDG_RUNTIME_DIR", &own);
        command.current_dir("/").output()
    };
    let course = OsStr::new(env!("CARGO_BIN_EXE_course"));
    let Ok(probe) = setpriv(&[course, "--version".as_ref()]) else {
        return println!("skipped: there is no setpriv");
    };
    if !probe.status.success() {
        return println!("skipped: the program is out of reach of other users");
    }
    let words = [
        "net",
        "--",
        "left",
        "sh",
        "-c",
        "id -u; ip -brief address show wire",
    ];
    let words: Vec<&OsStr> = std::iter::once(course)
        .chain(words.map(OsStr::new))
        .collect();
    let output = setpriv(&words).unwrap();
    if !output.status.success() && text(&output.stderr).contains("sysctl") {
        return println!("skipped: {}", text(&output.stderr));
    }
    assert!(
        text(&output.stdout).contains("0\nwire"),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_machine_that_cannot_says_what_it_lacks() {
    let Some(place) = Place::new() else { return };
    let course = env!("CARGO_BIN_EXE_course");
    let bin = place.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let without_ip = place
        .net(&["--", "left", "true"])
        .env("PATH", &bin)
        .output()
        .unwrap();
    assert!(
        text(&without_ip.stderr).contains("install iproute2"),
        "{}",
        text(&without_ip.stderr)
    );

    let script = "#!/bin/sh\necho 'Error: Unknown device type.' >&2\nexit 1\n";
    fs::write(bin.join("ip"), script).unwrap();
    fs::set_permissions(bin.join("ip"), fs::Permissions::from_mode(0o755)).unwrap();
    let without_veth = place
        .net(&["--", "left", "true"])
        .env("PATH", &bin)
        .output()
        .unwrap();
    assert!(
        text(&without_veth.stderr).contains("(veth)"),
        "{}",
        text(&without_veth.stderr)
    );

    // In a user namespace of its own, root may set the limits for those below it.
    let forbid = format!(
        "echo 0 > /proc/sys/user/max_net_namespaces && echo 0 > /proc/sys/user/max_user_namespaces && exec {course} net -- left true"
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "sh", "-c", &forbid]);
    let Ok(output) = unshare.env("XDG_RUNTIME_DIR", place.folder.path()).output() else {
        return println!("skipped: there is no unshare");
    };
    let shown = text(&output.stderr);
    assert!(
        shown.contains("sysctl -w user.max_user_namespaces"),
        "{shown}"
    );
}
