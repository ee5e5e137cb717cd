//! Whole messages: rewritten as they should be, the same however they are cut.

mod requests;
mod responses;
