//! nginx with the stream module, one process.

use std::fs;
use std::io;
use std::path::Path;

use crate::peers::{Job, Launch, Place, program};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub(super) fn launch(place: &Place<'_>, buffer_size: &str) -> io::Result<Launch> {
    let file = place.folder.join("nginx.conf");
    fs::write(&file, config(place, buffer_size))?;
    let mut command = program::command("nginx");
    // -e: else it opens its compiled-in log before it has read the configuration.
    command
        .arg("-e")
        .arg("stderr")
        .arg("-p")
        .arg(place.folder)
        .arg("-c")
        .arg(file);
    Ok(Launch {
        command,
        forks: false,
    })
}

/// Returns its configuration, with two connections for each session and some for itself; TCP_NODELAY is its default.
fn config(place: &Place<'_>, buffer_size: &str) -> String {
    // Where the module is compiled in, there is no file to load.
    let load = if Path::new(MODULE).exists() {
        format!("load_module {MODULE};")
    } else {
        String::new()
    };
    let connections = place.session_capacity() * 2 + 64;
    let (listen, upstream) = (place.listen, place.upstream);
    let kind = if place.job == Job::Datagrams {
        "udp"
    } else {
        "backlog=4096"
    };
    let pid_file = place.folder.join("nginx.pid");
    let pid_file = pid_file.display();
    format!(
        "{load}
daemon off;
master_process off;
worker_processes 1;
pid {pid_file};
error_log stderr crit;
events {{
    worker_connections {connections};
}}
stream {{
    access_log off;
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
    proxy_buffer_size {buffer_size};
    server {{
        listen {listen} {kind};
        proxy_pass {upstream};
    }}
}}
"
    )
}
