//! `peer:ID`: transports that have names in a file.
//!
//! ```text
//! # how each peer is reached
//! home   = tcp:home.example:9000
//! "lab"  = "exec:ssh lab.example stage5-mux server --via stdio"
//! ```
//!
//! A line has an id, which consists of letters, digits, `.`, `_` and `-`, and a transport. Both may be in double quotes, so
//! that the file can be TOML, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::tunnel::transport::Transport;

/// The id of a peer: letters, digits, `.`, `_` and `-`.
pub type PeerId = String;

/// The transports to all peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    transports: BTreeMap<PeerId, Transport>,
}

/// What `--via` says: a transport, or a peer that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A transport.
    Over(Transport),
    /// A peer of the file (`peer:ID`).
    To(PeerId),
}

impl Peers {
    /// Reads the peers from a file.
    ///
    /// # Errors
    ///
    /// Fails with one sentence, which names the line if there is one to blame.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, String> {
        let path = path.as_ref();
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        text.parse()
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Returns the transport to a peer.
    ///
    /// # Errors
    ///
    /// Fails with one sentence if there is no such peer.
    pub fn transport(&self, id: &str) -> Result<&Transport, String> {
        self.transports.get(id).ok_or_else(|| {
            let known: Vec<_> = self.transports.keys().map(String::as_str).collect();
            match &known[..] {
                [] => format!("unknown peer {id:?}: there are no peers"),
                known => format!("unknown peer {id:?}: the peers are {}", known.join(", ")),
            }
        })
    }

    /// Adds a peer, in place of an earlier one with this id.
    pub fn insert(&mut self, id: impl Into<PeerId>, transport: Transport) {
        self.transports.insert(id.into(), transport);
    }
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut peers = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            peers
                .add_line(line)
                .map_err(|error| format!("line {number}: {error}"))?;
        }
        Ok(peers)
    }
}

impl Peers {
    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let (id, transport) = line
            .split_once('=')
            .ok_or("expected ID = TRANSPORT, for example home = tcp:home.example:9000")?;
        let id = unquoted(id)?;
        if !is_id(&id) {
            return Err(format!(
                "{id:?} is no id: use letters, digits, '.', '_' and '-'"
            ));
        }
        let transport = unquoted(transport)?.parse()?;
        match self.transports.insert(id.clone(), transport) {
            None => Ok(()),
            Some(_) => Err(format!("the peer {id:?} is there twice")),
        }
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("peer:") {
            Some(id) if is_id(id) => Ok(Self::To(id.to_owned())),
            Some(_) => Err("expected peer:ID, with letters, digits, '.', '_' and '-'".to_owned()),
            None => text.parse().map(Self::Over),
        }
    }
}

impl Link {
    /// Returns the transport, which for a peer is that of `peers`.
    ///
    /// # Errors
    ///
    /// Fails with one sentence if the peer is unknown.
    pub fn transport(self, peers: Option<&Peers>) -> Result<Transport, String> {
        match (self, peers) {
            (Self::Over(transport), _) => Ok(transport),
            (Self::To(id), Some(peers)) => peers.transport(&id).cloned(),
            (Self::To(id), None) => Err(format!(
                "the peer {id:?} has no transport: name the file with its line with --peers FILE"
            )),
        }
    }
}

fn is_id(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    !text.is_empty() && text.chars().all(is_part)
}

/// Removes the blanks around a value, and its double quotes with the backslashes inside of them.
fn unquoted(text: &str) -> Result<String, String> {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('"') else {
        return Ok(text.to_owned());
    };
    let mut value = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_rest(letters.as_str()) => return Ok(value),
            '"' => return Err(format!("there is more behind the quoted value in {text}")),
            '\\' => value.extend(letters.next()),
            letter => value.push(letter),
        }
    }
    Err(format!("the quote is not closed in {text}"))
}

/// Returns whether nothing, or a comment, is behind a quoted value.
fn is_rest(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_transport_with_or_without_quotes() {
        let text = "\n# peers\nhome = tcp:home.example:9000\n\n\"lab-1\"= \"exec:ssh lab \\\"a b\\\"\" # comment\n";
        let peers: Peers = text.parse().unwrap();
        let expected = |text: &str| text.parse::<Transport>().unwrap();
        assert_eq!(
            peers.transport("home"),
            Ok(&expected("tcp:home.example:9000"))
        );
        assert_eq!(
            peers.transport("lab-1"),
            Ok(&expected("exec:ssh lab \"a b\""))
        );
        let error = peers.transport("moon").unwrap_err();
        assert_eq!(error, "unknown peer \"moon\": the peers are home, lab-1");
        let link: Link = "peer:home".parse().unwrap();
        let transport = link.clone().transport(Some(&peers));
        assert_eq!(transport, Ok(expected("tcp:home.example:9000")));
        assert!(link.transport(None).unwrap_err().contains("--peers"));
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, why) in [
            ("home", "line 1: expected ID = TRANSPORT"),
            ("\nhome = pigeon:x", "line 2: expected tcp:"),
            ("a b = stdio", "line 1: \"a b\" is no id"),
            ("= stdio", "line 1: \"\" is no id"),
            ("a = \"stdio", "line 1: the quote is not closed"),
            ("a = \"stdio\" x", "line 1: there is more"),
            (
                "a = stdio\na = stdio",
                "line 2: the peer \"a\" is there twice",
            ),
            ("a = peer:b", "line 1: expected tcp:"),
        ] {
            let error = text.parse::<Peers>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!("peer:".parse::<Link>().is_err());
        assert!("peer:a b".parse::<Link>().is_err());
    }
}
