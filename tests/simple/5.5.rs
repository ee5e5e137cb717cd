//! Bodies that end with the connection only, and no chunks.

fn body(head_only: bool, code: u16, fields: &Fields<'_>) -> Body {
    Body::UntilClose
}

impl Chunks {
    fn next(self, byte: u8) -> Result<Self, ChunkError> {
        Err(ChunkError::Size)
    }
}
