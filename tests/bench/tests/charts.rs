//! The charts of the book are those of the results in this tree.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// Returns what `relay-bench chart` prints for a file of results.
fn chart(results: &str, flags: &[&str]) -> io::Result<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("chart")
        .arg(folder.join(results))
        .args(flags)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_figures_of_the_book_come_from_these_results() {
    let figures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../book/figures");
    for (results, figure) in [
        ("relay.json", "ratios.txt"),
        ("ways-in.json", "ratios-ways-in.txt"),
        ("tunnel.json", "ratios-tunnel.txt"),
    ] {
        let path = figures.join(figure);
        let found = fs::read_to_string(&path).unwrap();
        assert_eq!(
            found,
            chart(results, &["--figure"]).unwrap(),
            "renew it: cargo relay-bench chart tests/bench/results/{results} --figure > book/figures/{figure}"
        );
    }
}

#[test]
fn a_picture_has_a_bar_for_each_row_with_a_ratio() {
    let picture = chart("relay.json", &[]).unwrap();
    assert_eq!(picture.matches("<rect").count(), 12, "{picture}");
    assert!(picture.contains("1.93 haproxy-splice"), "{picture}");
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
