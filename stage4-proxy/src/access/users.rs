//! Users: the names and passwords without which a client is refused.
//!
//! ```text
//!   --user      ──▶ List ──▶ Users ◀── check, by a handshake: a name, a password ──▶ User
//!   --user-file ──▶  ▲
//!                    └── SIGHUP: the file is read again; if it is broken, the list stays
//! ```
//!
//! A list is never changed, only replaced: sessions in flight go on, and the next check sees the new one.

mod file;
mod flags;
mod list;
mod secret;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::access::users::list::List;

pub use file::{FileError, read_private_file};
pub use flags::UserFlags;
pub use list::{Flaw, User, Wrong};

/// The users that may come; all clones see the same ones.
#[derive(Clone, Debug)]
pub struct Users {
    source: Arc<Source>,
    list: Arc<RwLock<Arc<List>>>,
}

/// Where users come from.
#[derive(Debug)]
struct Source {
    /// Those of the command line.
    given: List,
    file: Option<PathBuf>,
}

/// Why there is no list of users.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// A user of the command line is none. The text is left out, because it has a password.
    #[error("--user needs NAME:PASSWORD: {0}")]
    Flag(Flaw),
    /// The file cannot be read, or must not be.
    #[error("cannot read the user file {}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why it is not read.
        error: FileError,
    },
    /// A line of the file is none of `NAME:PASSWORD`, comment, or empty.
    #[error("the user file {}, line {line}: {flaw}", path.display())]
    Line {
        /// Its path.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The file may just be written anew; and a list of no users would refuse every client.
    #[error("the user file {} has no user", path.display())]
    NoUser {
        /// Its path.
        path: PathBuf,
    },
    /// Nothing would ask for a name.
    #[error(
        "--user and --user-file need a protocol in which a client says its name: --ingress socks5 or http"
    )]
    NeverAsked,
}

impl Users {
    /// Reads the users: those `given` as `NAME:PASSWORD`, and those of a file.
    ///
    /// # Errors
    ///
    /// Fails if one of them is malformed or there twice, or if the file cannot be read, is open to others
    /// than its owner, or has no user.
    pub fn read(given: &[&[u8]], file: Option<PathBuf>) -> Result<Self, UsersError> {
        let mut list = List::default();
        for user in given {
            list.add(user).map_err(UsersError::Flag)?;
        }
        let source = Source { given: list, file };
        let list = source.read()?;
        Ok(Self {
            source: Arc::new(source),
            list: Arc::new(RwLock::new(Arc::new(list))),
        })
    }

    /// Returns whether there is a file that can be read again.
    #[must_use]
    pub fn have_file(&self) -> bool {
        self.source.file.is_some()
    }

    /// Reads the file again, and returns how many users there are now.
    ///
    /// # Errors
    ///
    /// Fails as [`Users::read`] does; then the users stay as they are.
    pub fn read_again(&self) -> Result<usize, UsersError> {
        let list = self.source.read()?;
        let count = list.len();
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        Ok(count)
    }

    /// Checks a client's name and password, in a time that tells nothing about either.
    ///
    /// # Errors
    ///
    /// Fails if no user has both.
    pub fn check(&self, name: &[u8], password: &[u8]) -> Result<Arc<User>, Wrong> {
        // The lock is held for one clone, so that no worker waits for another one's comparison.
        let list = Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner));
        list.check(name, password)
    }
}

impl Source {
    fn read(&self) -> Result<List, UsersError> {
        let mut list = self.given.clone();
        let Some(path) = &self.file else {
            return Ok(list);
        };
        let path = path.clone();
        let text = match read_private_file(&path) {
            Ok(text) => text,
            Err(error) => return Err(UsersError::File { path, error }),
        };
        if let Err((line, flaw)) = list.add_file(&text) {
            return Err(UsersError::Line { path, line, flaw });
        }
        if list.len() == self.given.len() {
            return Err(UsersError::NoUser { path });
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
