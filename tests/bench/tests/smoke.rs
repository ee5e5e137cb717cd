//! Runs the whole program for a moment: every row of the forward proxy and of the tunnel is filled, with ours and without.
//!
//! The figures mean nothing here: the times are a twentieth of the usual ones, and the build is not optimized.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Builds one of our programs as the tests do, and returns where it is.
fn build_ours(name: &str) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", name, "--bin", name]);
    let status = command.status()?;
    assert!(status.success(), "{name} does not build: {status}");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_bench"));
    Ok(program.with_file_name(name))
}

fn measure(rows: &str, columns: &str) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["--rounds", "1", "--seconds", "0.1", "--only", rows]);
    command.args(["--peers", columns]);
    if columns.contains("ours") {
        let (flag, name) = if rows.starts_with("tunnel") {
            ("--ours-queue", "stage5-mux")
        } else {
            ("--ours", "stage4-proxy")
        };
        command.arg(flag).arg(build_ours(name)?);
    }
    command.output()
}

/// Returns the cells of the line that begins with a title.
fn cells<'a>(table: &'a str, title: &str) -> Vec<&'a str> {
    let line = table
        .lines()
        .find(|line| line.starts_with(&format!("| {title}")));
    let line = line.unwrap_or_else(|| panic!("no line {title:?} in\n{table}"));
    line.trim_matches('|')
        .split('|')
        .skip(1)
        .map(str::trim)
        .collect()
}

fn assert_is_number(cell: &str, table: &str) {
    let digits = cell.trim_end_matches('*').replace(',', "");
    assert!(
        digits.parse::<f64>().is_ok(),
        "{cell:?} is no number in\n{table}"
    );
}

#[test]
fn every_row_of_the_forward_proxy_is_measured() {
    let output = measure("socks,forward,chain,associate", "direct,fixed,early,ours").unwrap();
    let (table, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}\n{table}");
    for (title, ours) in [
        ("SOCKS5: new connections/s", 2),
        ("SOCKS5: CPU us per connection", 2),
        ("SOCKS5: bulk", 2),
        ("SOCKS5: CPU s per GB", 2),
        ("CONNECT: new connections/s", 2),
        ("CONNECT: CPU us", 2),
        ("absolute-form, kept connections, req/s", 2),
        ("absolute-form, kept connections: CPU us", 2),
        ("absolute-form, new connections, req/s", 2),
        ("1 proxy: p50 us", 2),
        ("1 proxy: p50 us", 3),
        ("3 proxies: CPU us", 3),
        ("5 proxies: p50 us", 2),
        ("5 proxies: p50 us", 3),
        ("datagrams on 64 associations", 1),
        ("associations: lost", 1),
        ("associations: CPU us", 1),
    ] {
        assert_is_number(cells(&table, title)[ours], &table);
    }
    assert!(table.contains("congestion control "), "{table}");
}

#[test]
fn the_bare_relays_are_measured_and_not_compared_with() {
    let rows = "bulk,http,trip,connect,idle,stalled,empty";
    let output = measure(rows, "direct,minimal-copy,minimal-splice,ours").unwrap();
    let (table, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}\n{table}");
    for title in [
        "bulk, 1 connection",
        "CPU s per GB, 8",
        "HTTP keep-alive",
        "unloaded round trip",
        "new connections/s",
        "fds of an idle session",
        "bytes that such a session has taken in",
    ] {
        let cells = cells(&table, title);
        for cell in &cells[cells.len() - 4..cells.len() - 1] {
            assert_is_number(cell, &table);
        }
        assert_eq!(cells.last(), Some(&""), "a peer in\n{table}");
    }
    assert_eq!(
        cells(&table, "resident memory of the empty process")[1],
        "–"
    );
    assert!(table.contains("bare relays"), "{table}");
}

#[test]
fn curl_goes_through_a_proxy_behind_a_proxy() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not installed");
        return;
    }
    let output = measure("preproxy", "direct,ours").unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    let [direct, ours] = &cells(&table, "curl --preproxy: p50 us")[..2] else {
        panic!("no two columns in\n{table}");
    };
    assert_is_number(direct, &table);
    assert_is_number(ours, &table);
}

#[test]
fn the_list_says_how_to_install_what_is_missing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    // An empty folder: nothing is found in it, and what is in /usr/sbin may be.
    let empty = tempfile::tempdir().unwrap();
    let output = command
        .arg("--list")
        .env("PATH", empty.path())
        .output()
        .unwrap();
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(
        list.contains("vproxy is not installed: `cargo install vproxy`"),
        "{list}"
    );
    assert!(
        list.contains("microsocks is not installed: `apt-get install microsocks`"),
        "{list}"
    );
    assert!(
        list.contains("traffic_server is not installed: `apt-get install trafficserver`"),
        "{list}"
    );
    assert!(
        list.contains("sslocal is not installed: `cargo install shadowsocks-rust`"),
        "{list}"
    );
}

#[test]
fn a_run_that_is_stopped_prints_the_figures_so_far() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["--rounds", "100", "--seconds", "0.1"]);
    command.args(["--only", "bulk-1", "--peers", "direct"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bench = command.spawn().unwrap();
    let mut errors = BufReader::new(bench.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("round 1/100"), "{line}");
    // As timeout(1) does: to the process, and to its group.
    let pid = Pid::from_raw(bench.id().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    let (mut table, mut rest) = (String::new(), String::new());
    let mut output = bench.stdout.take().unwrap();
    output.read_to_string(&mut table).unwrap();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(130), "{rest}");
    assert_is_number(cells(&table, "bulk, 1 connection")[0], &table);
    assert!(table.contains("Stopped before the end"), "{table}");
}

#[test]
fn rows_that_need_more_descriptors_than_there_may_be_are_named() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 1024; ulimit -Hn 4096; exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_bench"));
    command.args(["--rounds", "1", "--seconds", "0.1"]);
    command.args(["--only", "growth-1-30000,trip", "--peers", "direct"]);
    let output = command.output().unwrap();
    let (table, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    assert_is_number(cells(&table, "unloaded round trip")[0], &table);
    let sentence = "not measured: 30000 sessions need 66700 open files, and the limit is 4096: `ulimit -Hn 66700`";
    assert!(table.contains(sentence), "{table}");
    assert!(!table.contains("30,000 sessions"), "{table}");
}

#[test]
fn every_row_of_datagrams_is_measured() {
    let output = measure("udp", "direct,ours").unwrap();
    let (table, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}\n{table}");
    for title in [
        "datagrams on 64 flows",
        "the same, sent in runs",
        "lost at 100,000",
    ] {
        assert_is_number(cells(&table, title)[1], &table);
    }
}

/// All but the links of a given rate, which need the right to create network namespaces.
#[test]
fn every_row_of_a_tunnel_on_loopback_is_measured() {
    let rows = "tunnel-bulk,tunnel-latency,tunnel-delay,tunnel-fair,tunnel-opens,tunnel-idle";
    let output = measure(rows, "direct,ours").unwrap();
    let (table, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}\n{table}");
    for title in [
        "bulk, 1 stream",
        "CPU s per GB of both ends, 8",
        "64 bytes there and back",
        "the same beside 8",
        "link of 100 ms",
        "fairness of 8",
        "beside a slow reader: fairness",
        "new streams/s",
        "CPU us of both ends",
        "memory of an idle stream",
        "fds of an idle stream",
    ] {
        assert_is_number(cells(&table, title)[1], &table);
    }
}

#[test]
fn the_list_names_the_tunnels() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let empty = tempfile::tempdir().unwrap();
    let output = command
        .arg("--list")
        .env("PATH", empty.path())
        .output()
        .unwrap();
    let list = String::from_utf8_lossy(&output.stdout);
    for words in [
        "tunnel-rate-10-p99",
        "penguin is not installed: `cargo install rusty-penguin`",
        "tokio-yamux 0.",
    ] {
        assert!(list.contains(words), "{words:?} is not in\n{list}");
    }
}
