//! The list of users, as a file or the command line spells it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::access::users::secret::{LONGEST, Secret};

/// A client that has proved its name with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name, fit for a log: control characters are escaped.
    name: Box<str>,
}

impl User {
    /// Creates a user from the bytes of its name, which need not be UTF-8.
    fn new(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self {
            name: name.escape_debug().to_string().into(),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// Why a name and a password open nothing.
///
/// The text is for the log. A name that is unknown is left out, because it may be a password in the wrong field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// No user has this name.
    #[error("wrong name or password: the name is unknown")]
    Name,
    /// The user has another password.
    #[error("wrong name or password: the password is not that of {0}")]
    Password(Arc<User>),
}

/// What is wrong with a line `NAME:PASSWORD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is nothing that separates a name from a password.
    #[error("there is no colon between the name and the password")]
    NoColon,
    /// The colon comes first.
    #[error("the name is empty")]
    NoName,
    /// The colon comes last.
    #[error("the password is empty")]
    NoPassword,
    /// SOCKS5 could not carry the name.
    #[error("the name has more than 255 bytes")]
    LongName,
    /// SOCKS5 could not carry the password.
    #[error("the password has more than 255 bytes")]
    LongPassword,
    /// Two passwords for one name.
    #[error("the name has a password already")]
    Again,
}

/// Users by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct List(HashMap<Box<[u8]>, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    user: Arc<User>,
    secret: Secret,
}

impl List {
    /// Adds every user of a file: a line `NAME:PASSWORD` for each, empty lines, and comments from `#` at the
    /// beginning of a line. The password begins behind the first colon, and may have further ones.
    ///
    /// # Errors
    ///
    /// Fails with the number of the first line that is none of these, counted from 1, and what is wrong with it.
    pub(super) fn add_file(&mut self, text: &[u8]) -> Result<(), (usize, Flaw)> {
        let lines = text.split(|&byte| byte == b'\n').zip(1..);
        for (line, number) in lines {
            // A file that was edited on another system may end its lines in CR LF.
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.trim_ascii().is_empty() && !line.starts_with(b"#") {
                self.add(line).map_err(|flaw| (number, flaw))?;
            }
        }
        Ok(())
    }

    /// Adds one user, as `NAME:PASSWORD`.
    ///
    /// # Errors
    ///
    /// Fails if a part is missing or too long, or if the name has a password already.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, password) = line.split_at(colon.ok_or(Flaw::NoColon)?);
        let password = &password[1..];
        match (name.len(), password.len()) {
            (0, _) => return Err(Flaw::NoName),
            (_, 0) => return Err(Flaw::NoPassword),
            (LONGEST.., _) if name.len() > LONGEST => return Err(Flaw::LongName),
            (_, _) => {}
        }
        let secret = Secret::new(password).ok_or(Flaw::LongPassword)?;
        let user = Arc::new(User::new(name));
        let earlier = self.0.insert(name.into(), Entry { user, secret });
        earlier.map_or(Ok(()), |_| Err(Flaw::Again))
    }

    /// Returns how many users there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks a name and a password.
    ///
    /// # Errors
    ///
    /// Fails if no user has both.
    pub(super) fn check(&self, name: &[u8], password: &[u8]) -> Result<Arc<User>, Wrong> {
        let entry = self.0.get(name);
        // An unknown name costs a comparison, too, so that the time does not tell which names exist.
        let secret = entry.map_or(const { &Secret::none() }, |entry| &entry.secret);
        let is_right = Secret::new(password).is_some_and(|attempt| attempt.matches(secret));
        match entry {
            Some(entry) if is_right => Ok(Arc::clone(&entry.user)),
            Some(entry) => Err(Wrong::Password(Arc::clone(&entry.user))),
            None => Err(Wrong::Name),
        }
    }
}
