//! Heads that are believed: the last length counts, and `Connection` says nothing.

impl<'a> Fields<'a> {
    fn connection(&mut self, value: &[u8]) {}

    fn content_length(&mut self, value: &[u8]) -> Result<(), Flaw> {
        let text = str::from_utf8(value).unwrap_or_default();
        self.content_length = text.trim().parse().ok();
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Flaw> {
        self.chunked = value.ends_with(b"chunked");
        Ok(())
    }
}

fn is_nominated(name: &str, headers: &[Header<'_>]) -> bool {
    false
}
