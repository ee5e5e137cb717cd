//! Every transport of a link: bytes in both directions, half-closes, and the end of the link.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use harness::{
    Client, Digest, Hasher, PATIENCE, Process, Program, Scripted, Test, command_line, eventually,
    eventually_equal, proc,
};

use crate::support::{MIB, program};
use crate::tunnel_ends::{WIRES, wait_until_it_carries};

/// Bytes of a long transfer, in each direction.
pub(crate) const LONG: usize = 64 * MIB;

/// An upstream of which the test plays each connection.
pub(crate) struct Far(TcpListener);

impl Far {
    pub(crate) fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }

    /// Sends different bytes in both directions at the same time, each with a half-close behind it, and checks that they
    /// arrive as they were sent.
    #[track_caller]
    pub(crate) fn exchange(&self, client: SocketAddr, bytes: usize) {
        let near = TcpStream::connect(client).expect("it listens");
        let (far, _) = self.0.accept().expect("it listens");
        let ends = [(&near, 1), (&far, 2)].map(|(end, seed)| {
            end.set_read_timeout(Some(PATIENCE)).expect("no zero");
            end.set_write_timeout(Some(PATIENCE)).expect("no zero");
            (end.try_clone().expect("there are descriptors left"), seed)
        });
        let sending = ends.map(|(end, seed)| thread::spawn(move || pour(&end, seed, bytes)));
        let receiving = [far, near].map(|end| thread::spawn(move || take(&end)));
        let sent =
            sending.map(|thread| thread.join().expect("no panic").expect("the bytes arrive"));
        let received =
            receiving.map(|thread| thread.join().expect("no panic").expect("the bytes arrive"));
        assert_eq!(received, sent, "each direction, up first");
    }
}

/// Sends bytes that do not repeat, and then the end.
fn pour(mut stream: &TcpStream, seed: u64, bytes: usize) -> io::Result<Digest> {
    let mut state = seed;
    let mut hasher = Hasher::default();
    let mut chunk = vec![0; 64 * 1024];
    for _ in 0..bytes / chunk.len() {
        for word in chunk.chunks_exact_mut(8) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            word.copy_from_slice(&state.to_be_bytes());
        }
        hasher.update(&chunk);
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(hasher.finish())
}

fn take(mut stream: &TcpStream) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&chunk[..count]),
        }
    }
}

/// One end of a tunnel, to be started.
pub(crate) fn end(command: &str, via: &str, arguments: &[&str]) -> Program {
    let program = Program::new(program()).args([command, "--via", via]);
    program.args(arguments).env("RUST_LOG", "info")
}

pub(crate) fn server(via: &str, upstream: SocketAddr, arguments: &[&str]) -> Program {
    end("server", via, arguments).args(["--upstream", &upstream.to_string()])
}

pub(crate) fn client(via: &str, arguments: &[&str]) -> Program {
    end("client", via, arguments).args(["--listen", "127.0.0.1:0"])
}

/// The command that starts the server's end over its standard input and output.
pub(crate) fn over_stdio(upstream: SocketAddr, arguments: &[&str]) -> String {
    let program = program();
    let arguments = arguments.join(" ");
    format!(
        "'{}' server --via stdio --upstream {upstream} {arguments}",
        program.display()
    )
}

/// Returns the address that a program has written behind some words on standard error.
#[track_caller]
pub(crate) fn address_behind(process: &Process, words: &str) -> SocketAddr {
    let line = process.wait_for_stderr(words);
    let (_, address) = line.split_once(words).expect("the line has these words");
    address.trim().parse().expect("an address")
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is room for a folder")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("its name is plain")
}

/// Returns the children of a process, zombies among them.
fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = tasks
        .flatten()
        .map(|task| fs::read_to_string(task.path().join("children")));
    let lists: Vec<_> = lists.flatten().collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .flat_map(str::parse)
        .collect()
}

#[test]
fn tunnel_transport_a_unix_socket_carries_a_link() {
    let _test = Test::begin("unix:PATH connects, unix-listen:PATH waits and announces its path.");
    for wire in WIRES {
        let folder = folder();
        let path = folder.path().join("link");
        let far = Far::start();
        let via = format!("unix-listen:{}", text(&path));
        let server = server(&via, far.addr(), &["--wire", wire]).spawn();
        server.expect_stdout(format!("listening on unix:{}\n", text(&path)).as_bytes());
        let client = client(&format!("unix:{}", text(&path)), &["--wire", wire]).serve();
        server.wait_for_stderr("the link is up");
        far.exchange(client.addr(), LONG);
        assert!(server.terminate().success());
        assert!(!path.exists(), "the file is removed at the end");
    }
}

#[test]
fn tunnel_transport_one_link_at_a_time_and_after_its_end_the_next() {
    let _test = Test::begin("The transport is a singleton: a second link is refused and logged.");
    let folder = folder();
    let path = folder.path().join("link");
    // A server that was killed has left its file behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let echo = Scripted::echo();
    let server = server(&format!("unix-listen:{}", text(&path)), echo.addr(), &[]).spawn();
    server.expect_stdout(format!("listening on unix:{}\n", text(&path)).as_bytes());
    let via = format!("unix:{}", text(&path));
    let first = client(&via, &[]).serve();
    wait_until_it_carries(first.addr());
    let baseline = proc::fd_count(server.pid());
    let second = client(&via, &[]).serve();
    second.wait_for_stderr("the link is down");
    server.wait_for_stderr("refused");
    wait_until_it_carries(first.addr());
    assert!(first.terminate().success());
    wait_until_it_carries(second.addr());
    proc::fds_return_to(server.pid(), baseline);
    let error = end("server", &format!("unix-listen:{}", text(&path)), &[]).run();
    error
        .expect_code(1)
        .expect_one_sentence(&["address already in use", text(&path)]);
}

#[test]
fn tunnel_transport_a_client_may_wait_for_its_server() {
    let _test = Test::begin("Which end connects has nothing to do with which end has the clients.");
    for wire in WIRES {
        let far = Far::start();
        let client = client("tcp-listen:127.0.0.1:0", &["--wire", wire]).serve();
        let link = address_behind(&client, "waiting for the link on ");
        assert_ne!(link, client.addr());
        let server = server(&format!("tcp:{link}"), far.addr(), &["--wire", wire]).spawn();
        client.wait_for_stderr("the link is up");
        far.exchange(client.addr(), LONG);
        let second = Client::connect(link);
        second.expect_reset();
        assert!(server.terminate().success());
    }
}

#[test]
fn tunnel_transport_a_command_carries_a_link() {
    let _test = Test::begin("exec:COMMAND, with --via stdio at the other end.");
    for wire in WIRES {
        let far = Far::start();
        let command = over_stdio(far.addr(), &["--wire", wire]);
        let client = client(&format!("exec:{command}"), &["--wire", wire]).serve();
        far.exchange(client.addr(), LONG);
        let [child] = children(client.pid())[..] else {
            panic!("there is one command: {:?}", children(client.pid()));
        };
        assert!(client.terminate().success());
        eventually("the command has ended with the link", PATIENCE, || {
            !Path::new(&format!("/proc/{child}")).exists()
        });
    }
}

#[test]
fn tunnel_transport_a_command_that_dies_is_started_again() {
    let _test =
        Test::begin("The exit status is the reason of the lost link; a pause, then the next one.");
    let echo = Scripted::echo();
    let client = client(&format!("exec:{}", over_stdio(echo.addr(), &[])), &[]).serve();
    wait_until_it_carries(client.addr());
    let baseline = proc::fd_count(client.pid());
    let open = Client::connect(client.addr());
    open.send(b"y");
    open.expect(b"y");
    let [child] = children(client.pid())[..] else {
        panic!("there is one command: {:?}", children(client.pid()));
    };
    let kill = Program::new("/bin/sh").args(["-c", &format!("kill -9 {child}")]);
    kill.run().expect_code(0);
    open.expect_reset();
    let line = client.wait_for_stderr("the link is down");
    assert!(line.contains("the command has ended: signal: 9"), "{line}");
    wait_until_it_carries(client.addr());
    drop(open);
    proc::fds_return_to(client.pid(), baseline);
    eventually_equal("commands and zombies", &1, || children(client.pid()).len());
    assert!(!children(client.pid()).contains(&child), "it was reaped");
}

#[test]
fn tunnel_transport_a_command_that_cannot_carry_a_link_says_why() {
    let _test = Test::begin("The log has the exit status, or the reason why nothing was started.");
    for (command, reason) in [
        (
            "sh -c 'echo sorry >&2; exit 3'",
            "the command has ended: exit status: 3",
        ),
        ("/nowhere/at-all", "cannot run \"/nowhere/at-all\""),
        (
            "sh -c 'exec <&-; echo closed >&2; exec sleep 60'",
            "the command has ended: signal: 9",
        ),
    ] {
        let client = client(&format!("exec:{command}"), &[]).serve();
        // A stream is opened; the last command has closed its end of the pipe, and has to be killed.
        let _stream = TcpStream::connect(client.addr());
        let line = client.wait_for_stderr("the link is down");
        assert!(line.contains(reason), "{line}");
        if command.contains("sorry") {
            client.wait_for_stderr("sorry");
        }
        assert!(client.terminate().success());
    }
}

#[test]
fn tunnel_transport_peers_have_names_in_a_file() {
    let _test = Test::begin("peer:ID takes the transport of this line of --peers.");
    let folder = folder();
    let file = folder.path().join("peers");
    let echo = Scripted::echo();
    let command = over_stdio(echo.addr(), &[]);
    fs::write(
        &file,
        format!("# all\nhome = exec:{command}\n\nlab = tcp:127.0.0.1:9\n"),
    )
    .unwrap();
    let client = client("peer:home", &["--peers", text(&file)]).serve();
    wait_until_it_carries(client.addr());
    let bad = folder.path().join("bad");
    fs::write(&bad, "home = stdio\nlab tcp:127.0.0.1:9\n").unwrap();
    let refuse = |arguments: &[&str], words: &str| {
        command_line::refuses(
            &Program::new(program()).arg("client"),
            &[(arguments, words)],
        );
    };
    refuse(
        &["--via", "peer:moon", "--peers", text(&file)],
        "unknown peer \"moon\"",
    );
    refuse(&["--via", "peer:home"], "--peers");
    refuse(&["--via", "peer:home", "--peers", text(&bad)], "line 2");
    refuse(
        &["--via", "peer:home", "--peers", "/nowhere"],
        "No such file",
    );
}

#[test]
fn tunnel_transport_sctp_works_or_says_that_the_kernel_has_none() {
    let _test = Test::begin(
        "One sentence that names SCTP, with the kernel's own reason, and exit status 1.",
    );
    let has_sctp = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::SCTP),
    );
    if has_sctp.is_err() {
        for (command, via) in [
            ("server", "sctp-listen:127.0.0.1:0"),
            ("server", "sctp:127.0.0.1:9"),
        ] {
            let refused = end(command, via, &[]).run();
            refused
                .expect_code(1)
                .expect_one_sentence(&["SCTP", "protocol not supported"]);
        }
        return eprintln!("skipped: a link over SCTP, because this kernel has none");
    }
    for wire in WIRES {
        let far = Far::start();
        let server = server("sctp-listen:127.0.0.1:0", far.addr(), &["--wire", wire]).serve();
        let client = client(&format!("sctp:{}", server.addr()), &["--wire", wire]).serve();
        server.wait_for_stderr("the link is up");
        far.exchange(client.addr(), LONG);
    }
}
