//! A link over standard input and output: pipes, FIFOs, a terminal.

use std::fs;

use harness::{Program, Scripted, Signal, Test};

use crate::support::{MIB, program};
use crate::tunnel_ends::WIRES;
use crate::tunnel_transport::{
    Far, LONG, address_behind, client, end, folder, over_stdio, server, text,
};

#[test]
fn tunnel_transport_standard_input_and_output_carry_nothing_but_the_link() {
    let _test = Test::begin(
        "No announcement on stdout; the end of stdin is the end of the link, and of the program.",
    );
    let echo = Scripted::echo();
    let server = server("stdio", echo.addr(), &[]).with_stdin().spawn();
    server.send_stdin(b"\0\0\0\x05\0\0\0\x01\0\0\0\x03hi\n");
    server.expect_stdout(b"\0\x01\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x03hi\n");
    server.close_stdin();
    assert!(server.wait().success());
    let server = end("server", "stdio", &[]).with_stdin().spawn();
    server.send_stdin(b"GET / HTTP/1.1\r\n\r\n");
    server.wait_for_stderr("the link is lost: protocol error");
    assert_eq!(server.wait().code(), Some(1));
    let file = format!(
        "exec '{}' server --via stdio </etc/passwd",
        program().display()
    );
    let refused = Program::new("/bin/sh").args(["-c", &file]).run();
    refused
        .expect_code(1)
        .expect_one_sentence(&["standard input", "no pipe, socket or terminal"]);
}

#[test]
fn tunnel_transport_two_fifos_carry_a_link() {
    let _test =
        Test::begin("Two programs whose standard input and output are FIFOs (`mkfifo(1)`).");
    for wire in WIRES {
        let folder = folder();
        let made = Program::new("/bin/sh")
            .args(["-c", "mkfifo \"$0/up\" \"$0/down\""])
            .arg(folder.path())
            .run();
        made.expect_code(0);
        let far = Far::start();
        let shell = |command: String, redirections: &str| {
            let script = format!(
                "cd '{}' && exec {command} {redirections}",
                text(folder.path())
            );
            Program::new("/bin/sh")
                .args(["-c", &script])
                .env("RUST_LOG", "info")
                .spawn()
        };
        let server = shell(over_stdio(far.addr(), &["--wire", wire]), "<up >down");
        let command = format!(
            "'{}' client --via stdio --listen 127.0.0.1:0 --wire {wire}",
            program().display()
        );
        let client = shell(command, ">up <down");
        let address = address_behind(&client, "listening on ");
        server.wait_for_stderr("the link is up");
        far.exchange(address, LONG);
        assert!(client.terminate().success());
        assert!(server.wait().success(), "the end of its input ends it");
    }
}

/// Runs a command on a terminal of its own, passes bytes in both directions, and tells at the end whether the terminal is
/// as it was.
const ON_A_TERMINAL: &str = "
import fcntl, os, pty, select, subprocess, sys, termios
master, slave = pty.openpty()
before = termios.tcgetattr(slave), fcntl.fcntl(slave, fcntl.F_GETFL)
child = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave)
def write(fd, data):
    while data:
        data = data[os.write(fd, data):]
raw = False
while True:
    ready, _, _ = select.select([0, master], [], [])
    if master in ready:
        # Now, because a server that its peer has left ends by itself.
        raw |= not termios.tcgetattr(slave)[3] & termios.ECHO
        write(1, os.read(master, 65536))
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            break
        write(master, data)
child.terminate()
child.wait()
after = termios.tcgetattr(slave), fcntl.fcntl(slave, fcntl.F_GETFL)
sys.stderr.write('the terminal is as before\\n' if raw and after == before else f'{raw} {before} {after}\\n')
";

#[test]
fn tunnel_transport_a_terminal_carries_a_link_and_is_as_before_at_the_end() {
    let _test = Test::begin(
        "A terminal is in raw mode while it is a link; O_NONBLOCK is not set for its other users.",
    );
    for wire in WIRES {
        let folder = folder();
        let script = folder.path().join("on_a_terminal.py");
        fs::write(&script, ON_A_TERMINAL).unwrap();
        let far = Far::start();
        let command = over_stdio(far.addr(), &["--wire", wire]);
        let via = format!("exec:python3 '{}' {command}", text(&script));
        let client = client(&via, &["--wire", wire]).serve();
        // The server's log arrives over the command's standard error, once its terminal is raw.
        client.wait_for_stderr("peer=stdio");
        far.exchange(client.addr(), 4 * MIB);
        client.signal(Signal::SIGTERM);
        client.wait_for_stderr("the terminal is as before");
        assert!(client.wait().success());
    }
}
