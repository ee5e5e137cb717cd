//! The settings that the readers of all clients share.

/// The upstream's name and the bounds of a request.
#[derive(Debug)]
pub(super) struct Settings {
    /// The upstream's name, for requests without a `Host`.
    pub(super) host: String,
    /// The most bytes of a head.
    pub(super) max_head: usize,
    /// The most bytes of a body that are held before it streams.
    pub(super) max_body: usize,
}
