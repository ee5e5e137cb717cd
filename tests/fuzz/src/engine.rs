//! The engine as a program: how it is built, and how it is asked to fuzz.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use fuzz::{TARGET_VARIABLE, Target, corpus};

/// Flags for rustc: count each edge, and show the engine both sides of each comparison.
const INSTRUMENTATION: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Flags for libFuzzer: the bounds of one input in seconds and MiB, and similar values as a reason to go on.
const BOUNDS: &[&str] = &[
    "-timeout=10",
    "-rss_limit_mb=512",
    "-use_value_profile=1",
    "-print_final_stats=1",
];

/// The built engine.
#[derive(Debug)]
pub(crate) struct Engine {
    program: PathBuf,
    /// The folder for what it finds.
    folder: PathBuf,
}

impl Engine {
    /// Builds it, in a folder of its own, because everything in it is instrumented.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let folder = workspace.join("target/fuzz");
        let host = host()?;
        // With --target, what is built for the build itself is not instrumented.
        let status = Command::new(cargo())
            .args([
                "build",
                "--package",
                "fuzz",
                "--bin",
                "engine",
                "--features",
                "engine",
                "--profile",
                "fuzz",
            ])
            .args(["--target", &host, "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f"))
            .current_dir(&workspace)
            .status()
            .context("cargo cannot be started")?;
        ensure!(
            status.success(),
            "the engine cannot be built; it needs a C++ compiler"
        );
        let program = folder.join(host).join("fuzz/engine");
        Ok(Self { program, folder })
    }

    /// Fuzzes a target for so long.
    pub(crate) fn fuzz(&self, target: &Target, time: Duration) -> anyhow::Result<()> {
        let found = self.unpack(target)?;
        eprintln!("{}: {} s", target.name, time.as_secs());
        let findings = self.folder.join("findings");
        fs::create_dir_all(&findings)?;
        let status = self
            .command(target)
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={}", target.max_length))
            .arg(format!(
                "-artifact_prefix={}/{}-",
                findings.display(),
                target.name
            ))
            .args(BOUNDS)
            .arg(&found)
            .status()?;
        ensure!(
            status.success(),
            "a finding, above and in {}",
            findings.display()
        );
        Ok(())
    }

    /// Returns the inputs that together reach what all inputs reach.
    pub(crate) fn minimize(&self, target: &Target) -> anyhow::Result<Vec<Vec<u8>>> {
        let found = self.unpack(target)?;
        let kept = self.folder.join("kept").join(target.name);
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        let status = self
            .command(target)
            .arg("-set_cover_merge=1")
            .args([&kept, &found])
            .status()?;
        ensure!(status.success(), "the engine has failed");
        let files = fs::read_dir(&kept)?;
        files.map(|file| Ok(fs::read(file?.path())?)).collect()
    }

    /// Adds the corpus of a target to what was found earlier, and returns the folder.
    fn unpack(&self, target: &Target) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("found").join(target.name);
        fs::create_dir_all(&folder)?;
        if corpus::path(target).exists() {
            for (index, input) in corpus::read(target)?.iter().enumerate() {
                fs::write(folder.join(format!("corpus-{index}")), input)?;
            }
        }
        Ok(folder)
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command.env(TARGET_VARIABLE, target.name);
        command
    }
}

fn cargo() -> PathBuf {
    env::var_os("CARGO")
        .unwrap_or_else(|| "cargo".into())
        .into()
}

/// Returns the name of this machine for rustc.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc does not name its host"),
    }
}
