//! The name under which a proxy appears in HTTP.

use std::fmt;

/// The name of a proxy in the `Via` of the messages that it passes on (RFC 9110 section 7.6.3), and the realm in which it
/// asks for a password (RFC 9110 section 11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyName(&'static str);

impl ProxyName {
    /// Creates a name from the letters of a token, as those of a program's name are.
    ///
    /// # Panics
    ///
    /// Panics if it has others, or none.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let mut rest = name.as_bytes();
        assert!(!rest.is_empty(), "a proxy has a name");
        while let [first, behind @ ..] = rest {
            assert!(
                first.is_ascii_alphanumeric() || *first == b'-',
                "the name is a token"
            );
            rest = behind;
        }
        Self(name)
    }
}

impl Default for ProxyName {
    fn default() -> Self {
        Self::new("stage4-proxy")
    }
}

impl fmt::Display for ProxyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}
