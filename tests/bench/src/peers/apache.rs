//! Apache with mod_proxy, one process beside its parent, on the event module.

use std::fs;
use std::io;
use std::path::Path;

use crate::peers::{Launch, Place, program};

const MODULES: &str = "/usr/lib/apache2/modules";

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    let file = place.folder.join("apache.conf");
    fs::write(&file, config(place))?;
    let mut command = program::command("apache2");
    command.arg("-DFOREGROUND").arg("-f").arg(file);
    Ok(Launch {
        command,
        forks: true,
    })
}

/// Returns its configuration; unless it is told, it connects to the ports 443 and 563 alone.
fn config(place: &Place<'_>) -> String {
    // A thread works on each CONNECT as long as it is open, and 64 are the most that a row has.
    const THREADS: usize = 128;
    let (listen, folder) = (place.listen, place.folder.display());
    let load = load_modules();
    format!(
        "ServerRoot {folder}
ServerName localhost
Listen {listen}
PidFile {folder}/apache.pid
ErrorLog /dev/stderr
LogLevel crit
{load}
User nobody
Group nogroup
StartServers 1
ServerLimit 1
ThreadLimit {THREADS}
ThreadsPerChild {THREADS}
MaxRequestWorkers {THREADS}
MinSpareThreads {THREADS}
MaxSpareThreads {THREADS}
MaxKeepAliveRequests 0
KeepAliveTimeout 600
ProxyRequests On
ProxyVia Off
AllowCONNECT 1-65535
"
    )
}

/// Returns a line for each module that is a file; others are compiled in.
fn load_modules() -> String {
    let names = [
        "mpm_event",
        "authz_core",
        "proxy",
        "proxy_http",
        "proxy_connect",
    ];
    let file = |name: &&str| Path::new(&format!("{MODULES}/mod_{name}.so")).exists();
    let line = |name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n");
    names.into_iter().filter(file).map(line).collect()
}
