//! Black-box tests of stage 3: the line service on an event loop, for any number of clients.
//!
//! The name of each test begins with its exercise: `cargo test -p stage3-epoll e32` grades exercise 3.2.
//! Exercises 3.0 to 3.4 are parts of the loop and are tested through the library; 3.5 is the whole program.

#[path = "stage3/client.rs"]
mod client;
#[path = "stage3/clients.rs"]
mod clients;
#[path = "stage3/conversations.rs"]
mod conversations;
#[path = "stage3/crowds.rs"]
mod crowds;
#[path = "stage3/interest.rs"]
mod interest;
#[path = "stage3/poll.rs"]
mod poll;
#[path = "stage3/program.rs"]
mod program;
#[path = "stage3/support.rs"]
mod support;
#[path = "stage3/waker.rs"]
mod waker;
