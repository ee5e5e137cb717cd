//! Squid, one process, which caches nothing.

use std::fs;
use std::io;

use crate::limits::session_capacity;
use crate::peers::{Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    let file = place.folder.join("squid.conf");
    fs::write(&file, config(place))?;
    let mut command = program::command("squid");
    // -N: in the foreground, one process.
    command.arg("-N").arg("-f").arg(file);
    Ok(Launch {
        command,
        forks: false,
    })
}

fn config(place: &Place<'_>) -> String {
    let (listen, descriptors) = (place.listen, session_capacity() * 2 + 256);
    format!(
        "http_port {listen}
workers 1
http_access allow all
cache deny all
access_log none
cache_store_log none
cache_log /dev/null
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir none
max_filedescriptors {descriptors}
"
    )
}
