//! The Markdown table, and the notes below it.

use crate::comparison::{Comparison, FEWEST, Verdict};
use crate::machine::Machine;
use crate::peers::{Job, Role, Subject};
use crate::results::Results;
use crate::rows::Row;
use crate::scenario::Scenario;
use crate::stop;

/// Below this share of other programs the figures can be trusted.
const QUIET: f64 = 0.05;

/// Returns the whole output of a run: a table for each kind of work, and the notes.
pub(crate) fn render(results: &Results, machine: &Machine) -> String {
    let mut text = String::new();
    for rows in results
        .rows
        .chunk_by(|one, other| title_of(*one) == title_of(*other))
    {
        text += &table(results, rows);
    }
    for note in notes(results, machine) {
        text += &format!("- {note}\n");
    }
    text
}

/// Returns the kind of work in a row.
pub(crate) fn title_of(row: Row) -> &'static str {
    let mut scenarios = Scenario::all();
    let scenario = scenarios.find(|scenario| scenario.rows().contains(&row));
    scenario.map_or("", |scenario| scenario.job().title())
}

/// Returns the kind of work in the last row; tunnels come last.
fn title_of_last(results: &Results) -> &'static str {
    results.rows.last().map_or("", |&row| title_of(row))
}

/// Returns the table of some rows, with the columns that have a part in them.
fn table(results: &Results, rows: &[Row]) -> String {
    let columns = 0..results.columns.len();
    let columns: Vec<usize> = columns
        .filter(|&column| results.has_part(rows, column))
        .collect();
    if columns.is_empty() {
        // A run that was stopped has not come to these rows.
        return String::new();
    }
    let has_fixed = columns
        .iter()
        .any(|&column| results.columns[column].role == Role::Fixed);
    let title = rows.first().map_or("", |&row| title_of(row));
    let mut text = header(results, title, &columns, has_fixed);
    for &row in rows {
        text += &line(results, row, &columns, has_fixed);
    }
    text + "\n"
}

/// Returns the rows and columns that can be measured, for `--list`.
pub(crate) fn list() -> String {
    let mut text = String::from("Rows:\n");
    for row in Row::all() {
        text += &format!("  {:<24}{}\n", row.spec().key, title(row));
    }
    text += "\nColumns:\n";
    let mut line = |name: &str, words: &str| text += &format!("  {name:<22}{words}\n");
    line("direct", "the load straight to the upstream");
    line(
        "minimal-copy",
        "a bare relay, as the limit of one thread: relay-bench minimal",
    );
    line("minimal-splice", "the same, with splice(2)");
    for peer in Subject::peers() {
        let state = match peer.find() {
            Ok(()) => peer.version().unwrap_or_else(|| "installed".into()),
            Err(sentence) => sentence,
        };
        line(&peer.name, &state);
    }
    line(
        "fixed",
        "ours as a plain relay, in the rows in which clients name their targets",
    );
    line(
        "early",
        "ours in a chain whose clients send at once, as those of shadowsocks do",
    );
    line(
        "ours",
        "stage4-proxy and, for the queue and the tunnel, stage5-mux, built in release or given by --ours and --ours-queue",
    );
    line(
        "beside",
        "an older build of ours, given by --beside and --beside-queue",
    );
    text
}

fn title(row: Row) -> String {
    let spec = row.spec();
    spec.better.label(&spec.title)
}

fn header(results: &Results, title: &str, columns: &[usize], has_fixed: bool) -> String {
    let names = columns
        .iter()
        .map(|&column| results.columns[column].name.as_str());
    let fixed = has_fixed.then_some("ours / fixed");
    let names: Vec<&str> = names.chain(["ours / best peer"]).chain(fixed).collect();
    let rule = "---:|".repeat(names.len());
    format!("| {title} | {} |\n|---|{rule}\n", names.join(" | "))
}

fn line(results: &Results, row: Row, columns: &[usize], has_fixed: bool) -> String {
    let cells = columns.iter().map(|&column| cell(results, row, column));
    let best = results.compare(row).as_ref().map_or(String::new(), words);
    let fixed = results.compare_with_fixed(row);
    let fixed = has_fixed.then(|| fixed.as_ref().map_or(String::new(), ratio));
    let cells: Vec<String> = cells.chain([best]).chain(fixed).collect();
    format!("| {} | {} |\n", title(row), cells.join(" | "))
}

fn cell(results: &Results, row: Row, column: usize) -> String {
    let star = if results.is_held_down(row, column) {
        "*"
    } else {
        ""
    };
    match results.median(row, column) {
        Some(value) => number(value) + star,
        None if results.has_failed(row, column) => "failed".into(),
        // The row has no meaning for this subject.
        None => "–".into(),
    }
}

fn words(comparison: &Comparison) -> String {
    let (ratio, other) = (ratio(comparison), &comparison.other);
    match comparison.verdict {
        Verdict::Ahead => format!("**{ratio}** ahead of {other}"),
        Verdict::Level => format!("**{ratio}** level with {other}"),
        Verdict::Behind => format!("{ratio} behind {other}"),
        Verdict::Unsure => format!("{ratio} to {other}, unsure"),
    }
}

/// Returns the ratio of the medians, with the range of the rounds behind it.
fn ratio(comparison: &Comparison) -> String {
    let ratio = comparison.ratio.map(|ratio| format!("{ratio:.2}"));
    let range = comparison.range;
    let range = range.map(|(lowest, highest)| format!(" ({lowest:.2} to {highest:.2})"));
    ratio.unwrap_or("–".into()) + &range.unwrap_or_default()
}

/// Formats a figure with three digits, because more would be noise; thousands are separated.
pub(crate) fn number(value: f64) -> String {
    if value >= 999.5 {
        let digits = format!("{value:.0}");
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .filter_map(|group| std::str::from_utf8(group).ok())
            .collect();
        return groups.join(",");
    }
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn notes(results: &Results, machine: &Machine) -> Vec<String> {
    let mut notes = vec![
        format!(
            "Medians over {} interleaved round(s), {} s for each measure. ↑ more is better, ↓ less is better.",
            results.rounds,
            results.time.as_secs_f64()
        ),
        format!(
            "In brackets: the lowest and the highest ratio of one round. No winner is named (\"unsure\") if the rounds \
             disagree by more than a sign test at 7 % allows, or with fewer than {FEWEST} rounds."
        ),
        machine.sentence(),
    ];
    if stop::requested() {
        notes.push(
            "Stopped before the end: some rows have fewer rounds than that, or are not here."
                .into(),
        );
    }
    if !machine.versions.is_empty() {
        notes.push(format!("Versions: {}.", machine.versions.join("; ")));
    }
    notes.extend(
        results
            .missing
            .iter()
            .map(|sentence| format!("not measured: {sentence}")),
    );
    let column_count = results.columns.len();
    let any_held_down = results
        .rows
        .iter()
        .any(|&row| (0..column_count).any(|column| results.is_held_down(row, column)));
    if any_held_down {
        notes.push("\\* the load generator's core was full: the proxy may be faster.".into());
    }
    notes.extend(explanations(results));
    notes.extend(results.foreign_share().map(foreign));
    notes.extend(
        results
            .failures()
            .into_iter()
            .map(|failure| format!("failed: {failure}")),
    );
    notes
}

/// Returns what is special about some columns and rows.
fn explanations(results: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    let has_role = |role| results.columns.iter().any(|column| column.role == role);
    if has_role(Role::Direct) {
        notes.push(
            "direct: load and upstream share one core, so it shows the limit of the load.".into(),
        );
    }
    if has_role(Role::Limit) {
        notes.push(
            "minimal-copy, minimal-splice: bare relays, without limits, deadlines and logs, so they show about what one \
             thread can do with these system calls; they are not compared with."
                .into(),
        );
    }
    if has_role(Role::Fixed) {
        notes.push("fixed: ours with one upstream, which no client has to name; in a chain, plain relays in series.".into());
    }
    if has_role(Role::Early) {
        notes.push(
            "early: ours in a chain whose clients send their first byte right behind the headers, as those of shadowsocks \
             do; the answers of the hops come in front of the target's bytes."
                .into(),
        );
    }
    if results.rows.contains(&Row::Chain3Time) {
        notes.push(
            "In a chain, clients speak SOCKS5 to each proxy of a peer in its turn: one round trip for the method and one \
             for the request, each through all proxies before it. To ours they send the headers of all hops at once: one \
             round trip for the whole chain. Each connect(2) of a proxy adds one to the next."
                .into(),
        );
    }
    if has_column(results, "ssh") && results.rows.contains(&Row::Chain3Time) {
        notes.push(
            "In a chain, ssh has a client's end with -L in front and an sshd for each proxy, logged in to over those before \
             it (-J), once and for all connections: a connection is a channel of the last session, encrypted once for each \
             proxy. The CPU time is that of all sshd and ssh processes. For SOCKS5 it is one ssh -D and its sshd."
                .into(),
        );
    }
    if has_column(results, "shadowsocks") {
        notes.push(
            "shadowsocks: sslocal alone, without a server behind it, for SOCKS5 and datagrams; in a chain an ssserver for \
             each proxy with the method none, which takes the address in front of the first byte and answers nothing."
                .into(),
        );
    }
    if title_of_last(results) == Job::Tunnel.title() {
        notes.push(
            "Tunnel: the client's end and the load share one core, the server's end and the upstream the other, like two \
             machines; CPU, memory and fds are those of both ends. direct has no tunnel: a connection for each stream. ssh \
             encrypts (aes128-gcm), the others do not. Links with a rate are a veth pair with tbf(8); the one with a \
             delay is a relay of ours, of which direct shows what a plain connection gets through."
                .into(),
        );
    }
    if has_column(results, "socat") {
        notes.push(
            "socat has a process for each session: its idle rows are over 200 sessions.".into(),
        );
    }
    notes
}

fn has_column(results: &Results, name: &str) -> bool {
    results.columns.iter().any(|column| column.name == name)
}

fn foreign(share: f64) -> String {
    let advice = if share > QUIET {
        " Repeat this on a quiet machine."
    } else {
        ""
    };
    format!(
        "Other programs had {:.0} % of the two cores (median).{advice}",
        share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let cases = [
            (0.0, "0.00"),
            (0.1234, "0.12"),
            (9.999, "10.0"),
            (99.96, "100"),
            (999.4, "999"),
            (999.6, "1,000"),
            (128_345.0, "128,345"),
            (1_000_000.0, "1,000,000"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
