//! Black-box tests of stage 2: a TCP client that resolves, connects and converses.
//!
//! The name of each test begins with its exercise: `cargo test -p stage2-client e23` grades exercise 2.3.
//! Where addresses must be injected (`localhost` may have one family only), the library is tested.

#[path = "stage2/both_ways.rs"]
mod both_ways;
#[path = "stage2/connecting.rs"]
mod connecting;
#[path = "stage2/conversing.rs"]
mod conversing;
#[path = "stage2/failures.rs"]
mod failures;
#[path = "stage2/resolving.rs"]
mod resolving;
#[path = "stage2/support.rs"]
mod support;
#[path = "stage2/target.rs"]
mod target;
