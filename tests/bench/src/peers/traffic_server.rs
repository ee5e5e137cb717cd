//! Apache Traffic Server, one thread for connections, which caches nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::limits::session_capacity;
use crate::peers::{Launch, Place, program};

/// The files that it demands; empty ones say nothing.
const EMPTY_FILES: [&str; 2] = ["storage.config", "sni.yaml"];

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    let folder = place.folder;
    for part in ["etc", "run", "log"] {
        fs::create_dir_all(folder.join(part))?;
    }
    let etc = folder.join("etc");
    for name in EMPTY_FILES {
        fs::write(etc.join(name), "")?;
    }
    fs::write(etc.join("records.config"), records(place))?;
    fs::write(etc.join("ip_allow.yaml"), CLIENTS)?;
    let root = folder.join("runroot.yaml");
    fs::write(&root, run_root(folder))?;
    let mut command = program::command("traffic_server");
    command.arg(format!("--run-root={}", root.display()));
    Ok(Launch {
        command,
        forks: false,
    })
}

/// Every client of this machine may ask for everything, CONNECT included.
const CLIENTS: &str = "ip_allow:
  - apply: in
    ip_addrs: 127.0.0.1
    action: allow
    methods: ALL
";

/// Returns its settings: a forward proxy without rules, a log, or a cache, that stays the user who started it (`#-1`).
fn records(place: &Place<'_>) -> String {
    let (ip, port, sessions) = (place.listen.ip(), place.listen.port(), session_capacity());
    format!(
        "CONFIG proxy.config.http.server_ports STRING {port}:ip-in={ip}
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.net.connections_throttle INT {sessions}
CONFIG proxy.config.url_remap.remap_required INT 0
CONFIG proxy.config.reverse_proxy.enabled INT 0
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.http.connect_ports STRING *
CONFIG proxy.config.http.insert_request_via_str INT 0
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.crash_log_helper STRING NULL
"
    )
}

/// Returns where its files are: everything that it would write to the system is in one folder.
fn run_root(folder: &Path) -> String {
    const PLACES: [(&str, &str); 15] = [
        ("prefix", ""),
        ("exec_prefix", ""),
        ("bindir", ""),
        ("sbindir", ""),
        ("sysconfdir", "etc"),
        ("datadir", "etc"),
        ("includedir", ""),
        ("libdir", ""),
        ("libexecdir", ""),
        ("localstatedir", "run"),
        ("runtimedir", "run"),
        ("logdir", "log"),
        ("mandir", ""),
        ("infodir", ""),
        ("cachedir", "run"),
    ];
    let line = |(name, part): (&str, &str)| format!("{name}: {}\n", folder.join(part).display());
    PLACES.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_in_its_folder() {
        let text = run_root(Path::new("/tmp/x"));
        assert!(
            text.lines().all(|line| line.contains(": /tmp/x/")),
            "{text}"
        );
        assert!(text.contains("sysconfdir: /tmp/x/etc\n"), "{text}");
    }
}
