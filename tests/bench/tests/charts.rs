//! The charts of the book are those of the results in this tree, which `cargo relay-bench` has written.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

fn results() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results")
}

/// Returns what `relay-bench chart` prints for one of the files of results.
fn chart(file: &str, flags: &[&str]) -> io::Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("chart")
        .arg(results().join(file))
        .args(flags)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_figures_of_the_book_come_from_these_results() {
    let figures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../book/figures");
    let relay = "bulk,http,trip,connect,idle,stalled,empty";
    let ways_in = "socks,forward,preproxy,udp,associate";
    for (file, rows, figure) in [
        ("results.json", relay, "ratios.txt"),
        ("results.json", ways_in, "ratios-ways-in.txt"),
        ("results.json", "growth", "ratios-growth.txt"),
        ("results.json", "chain", "ratios-chain.txt"),
        ("tails.json", "http,connect,queue", "ratios-tails.txt"),
        ("results.json", "tunnel", "ratios-tunnel.txt"),
    ] {
        let path = figures.join(figure);
        let found = fs::read_to_string(&path).unwrap();
        assert_eq!(
            found,
            chart(file, &["--only", rows, "--figure"]).unwrap(),
            "renew it: cargo relay-bench chart tests/bench/results/{file} --only {rows} --figure > book/figures/{figure}"
        );
    }
}

#[test]
fn the_tables_of_all_rounds_come_from_these_results() {
    const SPLICING: &str = "haproxy-splice,socket-proxyd";
    let page = results().join("../../../book/src/performance.md");
    let page = fs::read_to_string(page).unwrap();
    let all = ["tails.json", "results.json", "reno.json"].as_slice();
    for (rows, peers, files) in [
        (
            "http,connect",
            "haproxy,haproxy-splice,nginx,nginx-64k",
            all,
        ),
        ("queue", "haproxy", all),
        ("bulk", SPLICING, &["results.json", "bulk-bbr.json"]),
        ("bulk", SPLICING, &["reno.json", "bulk-reno.json"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.arg("pairs");
        command.args(files.iter().map(|file| results().join(file)));
        let output = command.args(["--only", rows, "--peers", peers]).output();
        let output = output.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let (table, _) = printed.split_once("\n\n").unwrap();
        assert!(
            page.contains(table),
            "renew it in book/src/performance.md:\n{table}"
        );
    }
}

#[test]
fn the_report_is_a_page_of_the_book() {
    let page = results().join("../../../book/src/performance-report.md");
    let page = fs::read_to_string(page).unwrap();
    let report = fs::read_to_string(results().join("report.md")).unwrap();
    let (_, tables) = report.split_once("\n## Medians\n").unwrap();
    assert!(
        page.ends_with(tables),
        "renew it: what follows `## Medians` in tests/bench/results/report.md belongs there"
    );
}

#[test]
fn the_picture_of_the_report_comes_from_these_results() {
    let found = fs::read_to_string(results().join("ratios.svg")).unwrap();
    assert_eq!(found, chart("results.json", &[]).unwrap());
    let one = chart("results.json", &["--only", "bulk-1-cpu"]).unwrap();
    assert_eq!(one.matches("<rect").count(), 1, "{one}");
}

#[test]
fn a_file_without_results_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["chart", "/dev/null"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("/dev/null"), "{errors}");
}
