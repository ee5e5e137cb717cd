//! The flags of the users, for the command line of every program that needs them.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Args;

use crate::access::users::{Users, UsersError};

/// `--user` and `--user-file`.
#[derive(Args, Clone, Default)]
#[group(skip)]
pub struct UserFlags {
    /// Demand a name and a password of each client: SOCKS5 by RFC 1929, HTTP by Basic (407); may be repeated
    ///
    /// The command line shows in ps(1), to every user of this machine: --user-file does not. Neither protocol
    /// encrypts anything. A wrong password costs its client a second. For --ingress socks5 and http.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Vec<OsString>,

    /// Read names and passwords from a file that only its owner may open: NAME:PASSWORD in each line
    ///
    /// Empty lines and lines that begin with # are skipped; the password begins behind the first colon; each has at most 255
    /// bytes. With this flag SIGHUP reads the file again and does not end the program; a file that is broken
    /// then changes nothing and is logged. Open sessions go on, also those of users that have left the list, but each HTTP request is asked anew.
    #[arg(long, value_name = "FILE")]
    user_file: Option<PathBuf>,
}

impl UserFlags {
    /// Reads the users for an ingress that asks for them; returns `None` without either flag.
    ///
    /// # Errors
    ///
    /// Fails as [`Users::read`] does.
    pub fn read(&self) -> Result<Option<Users>, UsersError> {
        if self.are_absent() {
            return Ok(None);
        }
        let given: Vec<_> = self.user.iter().map(|user| user.as_bytes()).collect();
        Users::read(&given, self.user_file.clone()).map(Some)
    }

    /// Checks the flags for an ingress that asks for no name.
    ///
    /// # Errors
    ///
    /// Fails if there is one, because its operator expects a protection that is not there.
    pub fn never_asked(&self) -> Result<(), UsersError> {
        if self.are_absent() {
            return Ok(());
        }
        Err(UsersError::NeverAsked)
    }

    fn are_absent(&self) -> bool {
        self.user.is_empty() && self.user_file.is_none()
    }
}

/// Without the passwords.
impl fmt::Debug for UserFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.user.len();
        formatter
            .debug_struct("UserFlags")
            .field("users", &users)
            .field("user_file", &self.user_file)
            .finish()
    }
}
