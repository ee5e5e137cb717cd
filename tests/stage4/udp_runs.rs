//! Runs of datagrams: what passes through the kernel as one piece (UDP_SEGMENT, UDP_GRO) keeps its borders.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use harness::{PATIENCE, Program, Rng, Test, eventually, fail, scaled, strace};
use nix::sys::socket::{
    ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt::UdpGroSegment,
};

use crate::datagrams::{LARGEST, UdpEcho, wait_for_dropped};
use crate::support::{Proxy, program};
use crate::udp_associate::{Association, packet};
use crate::udp_chain::header;

/// Sends `bytes` as one run of datagrams of `segment` bytes; the last one may be shorter.
#[track_caller]
fn send_run(socket: &UdpSocket, to: SocketAddr, bytes: &[u8], segment: u16) {
    let control = [ControlMessage::UdpGsoSegments(&segment)];
    let (slices, to) = ([IoSlice::new(bytes)], SockaddrStorage::from(to));
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let sent = sendmsg(fd, &slices, &control, flags, Some(&to));
    let sent = sent.unwrap_or_else(|error| fail(format!("cannot send a run: {error}")));
    assert_eq!(sent, bytes.len());
}

/// Returns a socket with room for many datagrams.
#[track_caller]
fn roomy() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let wait = Some(scaled(PATIENCE));
    socket.set_read_timeout(wait).expect("a deadline");
    let room = socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20);
    room.expect("a receive buffer");
    socket
}

/// Checks that these datagrams arrive, in any way that keeps the order of each length.
#[track_caller]
fn expect_all(socket: &UdpSocket, expected: &[&[u8]]) {
    let mut buffer = vec![0; LARGEST + 1];
    for (number, expected) in expected.iter().enumerate() {
        let received = socket.recv(&mut buffer);
        let length = received.unwrap_or_else(|error| {
            fail(format!("datagram {number} has not arrived: {error}"));
        });
        let what = format!("datagram {number} of a run");
        harness::expect_bytes(&what, expected, &buffer[..length]);
    }
}

/// Sends runs of several lengths through a proxy and back, and checks each border.
#[track_caller]
fn runs_come_back(through: SocketAddr) {
    let client = roomy();
    let bytes = Rng::for_test().bytes(LARGEST);
    // The longest run is 64 KiB in 44 datagrams; the last ones are whole, one byte, and as good as whole.
    for (length, segment) in [
        (300, 100),
        (301, 100),
        (64_768, 1472),
        (6400, 100),
        (65_507, 1024),
    ] {
        let expected: Vec<_> = bytes[..length].chunks(segment).collect();
        let segment = segment.try_into().expect("a segment");
        send_run(&client, through, &bytes[..length], segment);
        expect_all(&client, &expected);
    }
}

#[track_caller]
fn wait_for_runs(proxy: &Proxy, event: &str) {
    let what = format!("a run is counted as {event}");
    eventually(&what, PATIENCE, || runs(proxy, event) > 0.0);
}

#[track_caller]
fn proxy(echo: &UdpEcho, arguments: &[&str]) -> Proxy {
    Proxy::with(echo.addr(), &[&["--udp"], arguments].concat())
}

#[test]
fn udp_a_run_keeps_the_borders_of_its_datagrams() {
    let _test = Test::begin(
        "The kernel may hand over up to 64 KiB of equally long datagrams as one piece (UDP_GRO): the length of its \
         segments is beside it, and every buffer must be as long as the longest run.",
    );
    let echo = UdpEcho::start();
    for filter in ["address", "port"] {
        let proxy = proxy(&echo, &["--udp-filter", filter]);
        runs_come_back(proxy.addr());
        wait_for_runs(&proxy, "received");
        wait_for_runs(&proxy, "sent");
        assert_eq!(
            proxy.metrics()["proxy_udp_runs_total{event=\"refused\"}"],
            0.0
        );
    }
}

#[test]
fn udp_a_receiver_of_runs_gets_the_same_datagrams() {
    let _test = Test::begin(
        "An upstream that asks for runs gets them, with the right length of a segment.",
    );
    let upstream = roomy();
    setsockopt(&upstream, UdpGroSegment, &true).expect("UDP_GRO");
    let proxy = Proxy::with(upstream.local_addr().expect("an address"), &["--udp"]);
    let client = roomy();
    let bytes = Rng::for_test().bytes(950);
    send_run(&client, proxy.addr(), &bytes, 100);
    // The kernel may join them or not: all bytes come, and in their order.
    let (mut received, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while received.len() < bytes.len() {
        let length = upstream.recv(&mut buffer).expect("the rest of the run");
        assert_eq!((received.len() + length).min(950) % 100 % 50, 0, "a border");
        received.extend(&buffer[..length]);
    }
    harness::expect_bytes("the run", &bytes, &received);
}

#[test]
fn udp_datagrams_of_many_lengths_are_not_mixed_up() {
    let _test = Test::begin(
        "Only equally long datagrams make a run, a shorter one ends it, and a datagram of no bytes is never in one.",
    );
    let echo = UdpEcho::start();
    let proxy = proxy(&echo, &[]);
    let (client, mut random) = (roomy(), Rng::for_test());
    let lengths = [
        0, 1, 1, 1, 0, 7, 7, 3, 7, 7, 7, 9, 1472, 1472, 1472, 40, 0, 0, 40_000, 40_000, 5,
    ];
    for _ in 0..20 {
        let datagrams: Vec<_> = lengths.iter().map(|&length| random.bytes(length)).collect();
        for datagram in &datagrams {
            client.send_to(datagram, proxy.addr()).expect("to send");
        }
        let datagrams: Vec<_> = datagrams.iter().map(|it| &it[..]).collect();
        expect_all(&client, &datagrams);
    }
}

#[test]
fn udp_each_datagram_of_a_run_has_its_own_header() {
    let _test = Test::begin(
        "A hop reads the header of every datagram, because each may have another target, or none that is allowed.",
    );
    let echoes = [UdpEcho::start(), UdpEcho::start()];
    let proxy = Proxy::choosing("hop", &["--udp", "--deny", "10.0.0.0/8"]);
    let client = roomy();
    let mut run = Vec::new();
    let denied = "10.9.9.9:9".parse().expect("an address");
    for (number, target) in [echoes[0].addr(), denied, echoes[1].addr(), echoes[0].addr()]
        .iter()
        .enumerate()
    {
        run.extend(header(*target));
        run.push(u8::try_from(number).expect("few"));
    }
    let segment = u16::try_from(run.len() / 4).expect("a segment");
    send_run(&client, proxy.addr(), &run, segment);
    let mut answers: Vec<Vec<u8>> = (0..4)
        .map(|_| {
            let mut answer = vec![0; 100];
            let length = client.recv(&mut answer).expect("an answer");
            answer.truncate(length);
            answer
        })
        .collect();
    answers.sort();
    assert_eq!(answers[..3], [[1, 0, 0, 0], [1, 0, 0, 2], [1, 0, 0, 3]]);
    assert_ne!(answers[3][1], 0, "the denied one: {answers:?}");
    wait_for_dropped(&proxy, "denied", 1.0);
}

#[test]
fn udp_where_the_kernel_refuses_runs_datagrams_go_one_by_one() {
    let _test = Test::begin(
        "A device without checksums refuses a run (EIO). Nothing of it was sent: send its datagrams one by one, and try \
         no other run.",
    );
    let echo = UdpEcho::start();
    // The first sendmmsg(2) is the run; the second would be the next one, if there were one.
    let Some(program) = strace::inject(&Program::new(program()), "sendmmsg", "error=EIO:when=1")
    else {
        return;
    };
    let program = program.args(["--udp"]);
    let proxy = Proxy::start(&program, echo.addr());
    let client = roomy();
    let bytes = Rng::for_test().bytes(1000);
    for _ in 0..3 {
        send_run(&client, proxy.addr(), &bytes, 100);
        expect_all(&client, &bytes.chunks(100).collect::<Vec<_>>());
    }
    let metrics = proxy.metrics();
    assert_eq!(metrics["proxy_udp_runs_total{event=\"refused\"}"], 1.0);
    assert_eq!(metrics["proxy_udp_runs_total{event=\"sent\"}"], 0.0);
}

#[test]
fn udp_where_a_way_is_too_narrow_for_a_run_shorter_ones_still_leave() {
    let _test = Test::begin(
        "A segment that is longer than the packets of its way is refused (EMSGSIZE, EINVAL): that says nothing about shorter \
         ones.",
    );
    let echo = UdpEcho::start();
    for error in ["EMSGSIZE", "EINVAL"] {
        let fault = format!("error={error}:when=1");
        let Some(program) = strace::inject(&Program::new(program()), "sendmmsg", &fault) else {
            return;
        };
        let proxy = Proxy::start(&program.args(["--udp"]), echo.addr());
        let (client, bytes) = (roomy(), Rng::for_test().bytes(1000));
        for segment in [100, 200] {
            send_run(&client, proxy.addr(), &bytes, segment);
            expect_all(&client, &bytes.chunks(segment.into()).collect::<Vec<_>>());
        }
        assert_eq!(
            runs(&proxy, "sent"),
            0.0,
            "as long as the refused one, and longer"
        );
        send_run(&client, proxy.addr(), &bytes, 99);
        expect_all(&client, &bytes.chunks(99).collect::<Vec<_>>());
        wait_for_runs(&proxy, "sent");
        assert_eq!(runs(&proxy, "refused"), 1.0);
    }
}

/// Starts a proxy of datagrams, from a program that may be behind strace.
#[track_caller]
fn start(program: &Program, ingress: &str, echo: &UdpEcho) -> Proxy {
    let udp = ["--udp"].iter().filter(|_| ingress == "fixed");
    let program = program.clone().args(udp).args(["--ingress", ingress]);
    // Without it, the thread that listens sets few options, and a number means one call of one thread.
    let program = program.args(["--keepalive", "off"]);
    let program = program.args(["--upstream", &echo.addr().to_string()]);
    // Below the ports that the kernel gives away: if another test had one of those for datagrams, the proxy would try a
    // second one, and the calls would have other numbers.
    let port = u16::try_from(20_000 + Rng::for_test().below(10_000)).expect("a port");
    Proxy::listening(program, ([127, 0, 0, 1], port).into())
}

/// Sends a run through a proxy of either kind to the echo, and checks what comes back.
#[track_caller]
fn a_run_comes_back(proxy: &Proxy, ingress: &str, echo: &UdpEcho) {
    let (client, bytes) = (roomy(), Rng::for_test().bytes(900));
    if ingress == "fixed" {
        send_run(&client, proxy.addr(), &bytes, 90);
        return expect_all(&client, &bytes.chunks(90).collect::<Vec<_>>());
    }
    // Several, so that the first send is later in its thread than all calls of the thread that listens.
    let associations: Vec<_> = (0..5).map(|_| Association::new(proxy)).collect();
    let packets: Vec<_> = bytes.chunks(90).map(|it| packet(echo.addr(), it)).collect();
    send_run(&client, associations[0].socket, &packets.concat(), 100);
    expect_all(
        &client,
        &packets.iter().map(|it| &it[..]).collect::<Vec<_>>(),
    );
}

/// Returns the number of the call of setsockopt(2) that sets an option, among those of its thread.
#[track_caller]
fn place_of(option: &str, ingress: &str, echo: &UdpEcho) -> Option<usize> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace");
    let program = strace::record(&Program::new(program()), "setsockopt", &file)?;
    let proxy = start(&program, ingress, echo);
    a_run_comes_back(&proxy, ingress, echo);
    let mut place = None;
    eventually("the option is in the trace", PATIENCE, || {
        let trace = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<_> = trace.lines().collect();
        let thread = |line: &str| line.split(' ').next().map(str::to_owned);
        let found = lines.iter().position(|line| line.contains(option));
        place = found.map(|found| {
            let same = |line: &&&str| thread(line) == thread(lines[found]);
            lines[..=found].iter().filter(same).count()
        });
        place.is_some()
    });
    place
}

#[test]
fn udp_a_kernel_that_knows_no_runs_is_no_obstacle() {
    let _test = Test::begin(
        "An older kernel has neither UDP_SEGMENT nor UDP_GRO (ENOPROTOOPT): it gets datagrams.",
    );
    let echo = UdpEcho::start();
    for (option, ingress, without) in [
        ("UDP_GRO", "fixed", "received"),
        ("UDP_SEGMENT", "socks5", "sent"),
    ] {
        let Some(place) = place_of(option, ingress, &echo) else {
            return;
        };
        let fault = format!("error=ENOPROTOOPT:when={place}");
        let program = strace::inject(&Program::new(program()), "setsockopt", &fault);
        let proxy = start(&program.expect("strace"), ingress, &echo);
        a_run_comes_back(&proxy, ingress, &echo);
        assert_eq!(runs(&proxy, "refused"), 1.0, "{option}");
        assert_eq!(runs(&proxy, without), 0.0, "{option}");
    }
}

fn runs(proxy: &Proxy, event: &str) -> f64 {
    proxy.metrics()[&format!("proxy_udp_runs_total{{event=\"{event}\"}}")]
}
