//! The file of users: read at the start, read again at SIGHUP, and refused if it is broken or open to others.

use harness::{Client, Program, Scripted, Signal, Test, command_line};

use crate::support::{Proxy, echoes, program};
use crate::users::{UserFile, credentials, enter, proxy_for};

#[test]
fn users_sighup_takes_one_away_and_lets_another_in_while_sessions_go_on() {
    let _test = Test::begin("SIGHUP reads the file again: only new clients meet the new list.");
    let (file, echo) = (UserFile::with("alice:secret\n"), Scripted::echo());
    let proxy = proxy_for("socks5", &file);
    let session = enter(&proxy, "alice", "secret", &echo);
    let halfway = Client::connect(proxy.addr());
    halfway.send(&[5, 1, 2]);
    halfway.expect(&[5, 2]);
    file.write("# alice has left\nbob:swordfish\ncarol:swordfish\n");
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_stderr("the user file was read again users=2");
    halfway.send(&credentials("alice", "secret"));
    halfway.expect(&[1, 1]);
    halfway.expect_eof();
    halfway.close();
    enter(&proxy, "bob", "swordfish", &echo);
    file.write("bob:swordfish\nmallory\n");
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_stderr(
        "line 2: there is no colon between the name and the password; the users stay as they were",
    );
    enter(&proxy, "carol", "swordfish", &echo);
    file.allow(0o644);
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_stderr("its permissions 0644 are too open");
    enter(&proxy, "carol", "swordfish", &echo);
    echoes(&session);
    assert!(
        !proxy.stderr().contains("swordfish"),
        "no password in the log"
    );
    // Only now does a signal ask the program to end, and it is the first one.
    proxy.signal(Signal::SIGTERM);
    proxy.wait_for_stderr("draining");
    echoes(&session);
    session.close();
    assert!(proxy.wait().success(), "the program did not end with 0");
}

#[test]
fn users_a_file_is_read_again_also_under_nohup() {
    let _test =
        Test::begin("SIGHUP ends nothing here, so a program that was to ignore it may act.");
    let (file, echo) = (UserFile::with("alice:secret\n"), Scripted::echo());
    let program = Program::new(program()).under_nohup();
    let Some(program) = program else {
        return;
    };
    let proxy = Proxy::launch(program.args(["--ingress", "socks5", "--user-file", &file.text()]));
    file.write("bob:swordfish\n");
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_stderr("the user file was read again users=1");
    enter(&proxy, "bob", "swordfish", &echo);
}

#[test]
fn users_of_the_command_line_leave_sighup_as_it_was() {
    let _test = Test::begin("Without a file to read again, SIGHUP lets the program end.");
    if harness::hangup::is_ignored() {
        return;
    }
    let (proxy, echo) = (
        Proxy::choosing("socks5", &["--user", "alice:secret", "--user", "bob:b"]),
        Scripted::echo(),
    );
    enter(&proxy, "alice", "secret", &echo);
    enter(&proxy, "bob", "b", &echo);
    proxy.signal(Signal::SIGHUP);
    assert!(proxy.wait().success(), "the program did not end with 0");
}

#[test]
fn users_flags_that_do_not_fit_end_with_2() {
    let _test = Test::begin("A password that is never asked for would be a false protection.");
    let file = UserFile::with("alice:secret\n");
    let path = file.text();
    let program = Program::new(program());
    command_line::help_of_flags(&program, &[("--user", "ps(1)"), ("--user-file", "SIGHUP")]);
    let never: [(&[&str], &str); 3] = [
        (&["--user", "alice:secret"], "--ingress socks5 or http"),
        (
            &["--ingress", "hop", "--user", "alice:secret"],
            "--ingress socks5 or http",
        ),
        (&["--user-file", &path], "--ingress socks5 or http"),
    ];
    command_line::refuses(&program, &never);
    let socks = program
        .clone()
        .args(["--ingress", "socks5", "--listen", "127.0.0.1:0"]);
    let missing = file.folder.path().join("none").display().to_string();
    let wrong: [(&[&str], &str); 4] = [
        (&["--user", "secret"], "no colon"),
        (&["--user", "alice:"], "the password is empty"),
        (&["--user", ":secret"], "the name is empty"),
        (&["--user-file", &missing], "No such file"),
    ];
    command_line::refuses(&socks, &wrong);
    for (text, mode, words) in [
        ("alice:secret\n", 0o640, "its permissions 0640 are too open"),
        ("alice:secret\n", 0o604, "its permissions 0604 are too open"),
        ("\n# a\nsecret\n", 0o600, "line 3: there is no colon"),
        (
            "alice:secret\nalice:secret\n",
            0o600,
            "line 2: the name has a password already",
        ),
        ("# secret\n", 0o600, "has no user"),
    ] {
        file.write(text);
        file.allow(mode);
        command_line::refuses(&socks, &[(&["--user-file", &path], words)]);
        let run = socks.clone().args(["--user-file", &path]).run();
        assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    }
    let run = socks.args(["--user", "secret"]).run();
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}
