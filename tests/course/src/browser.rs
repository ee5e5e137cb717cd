//! Opens a page of the book in a browser.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Opens an address with the first program that can.
///
/// # Errors
///
/// Fails if none can, for example because there is no screen.
pub fn open(address: &str) -> io::Result<()> {
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some());
    // Without a screen, xdg-open would start a browser for the terminal.
    let programs: &[&str] = if has_screen {
        &["xdg-open", "wslview", "open"]
    } else {
        &["wslview", "open"]
    };
    let opens = |program: &&str| {
        let mut command = Command::new(program);
        command
            .arg(address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if programs.iter().any(opens) {
        return Ok(());
    }
    Err(io::Error::other("no program here can open it"))
}

/// Returns the address of a file, with an anchor if it is not empty: `file:///home/a/x.html#y`.
pub fn file_address(file: &Path, anchor: &str) -> String {
    let mut address = "file://".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._~-".contains(byte) {
            address.push(char::from(*byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    if !anchor.is_empty() {
        let _ = write!(address, "#{anchor}");
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_escapes_the_path_and_not_the_anchor() {
        let of = |path: &str, anchor| file_address(Path::new(path), anchor);
        assert_eq!(of("/a b/ü.html", ""), "file:///a%20b/%C3%BC.html");
        assert_eq!(
            of("/x/stage1-server.html", "exercise-1-1"),
            "file:///x/stage1-server.html#exercise-1-1"
        );
    }
}
