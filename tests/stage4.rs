//! Black-box tests of stage 4: a TCP proxy with an array route table.
//!
//! The name of each test begins with its exercise: `cargo test -p stage4-proxy e45` grades exercise 4.5. Exercises 4.1 to
//! 4.3 are tested through the library; the rows of the real program's table (`e41_row_...`) need all exercises up to 4.7, and
//! some deadlines of 4.2 are seen on a program with the simple versions of the others. Exercises 4.8, 4.9, 4.11 and
//! 4.12 are functions without a socket, and are tested through the library, too. The tests of 4.8 and later begin with
//! `e4_8_` and so on, because those that begin with `e48_` and `e49_` belong to the whole proxy of 4.7.

#[path = "stage4/accepting.rs"]
mod accepting;
#[path = "stage4/access.rs"]
mod access;
#[path = "stage4/addresses.rs"]
mod addresses;
#[path = "stage4/backpressure.rs"]
mod backpressure;
#[path = "stage4/balancers.rs"]
mod balancers;
#[path = "stage4/battery.rs"]
mod battery;
#[path = "stage4/chain.rs"]
mod chain;
#[path = "stage4/chain_headers.rs"]
mod chain_headers;
#[path = "stage4/clients.rs"]
mod clients;
#[path = "stage4/command_line.rs"]
mod command_line;
#[path = "stage4/connecting.rs"]
mod connecting;
#[path = "stage4/datagrams.rs"]
mod datagrams;
#[path = "stage4/deadlines.rs"]
mod deadlines;
#[path = "stage4/few_descriptors.rs"]
mod few_descriptors;
#[path = "stage4/flow_table.rs"]
mod flow_table;
#[path = "stage4/gathering.rs"]
mod gathering;
#[path = "stage4/half_close.rs"]
mod half_close;
#[path = "stage4/handshakes.rs"]
mod handshakes;
#[path = "stage4/http_bodies.rs"]
mod http_bodies;
#[path = "stage4/http_clients.rs"]
mod http_clients;
#[path = "stage4/http_ingress.rs"]
mod http_ingress;
#[path = "stage4/http_keep_alive.rs"]
mod http_keep_alive;
#[path = "stage4/http_kept_targets.rs"]
mod http_kept_targets;
#[path = "stage4/http_requests.rs"]
mod http_requests;
#[path = "stage4/http_smuggling.rs"]
mod http_smuggling;
#[path = "stage4/idle.rs"]
mod idle;
#[path = "stage4/inspector.rs"]
mod inspector;
#[path = "stage4/late_answers.rs"]
mod late_answers;
#[path = "stage4/machines.rs"]
mod machines;
#[path = "stage4/main_job.rs"]
mod main_job;
#[path = "stage4/max_per_client.rs"]
mod max_per_client;
#[path = "stage4/naive.rs"]
mod naive;
#[path = "stage4/proxy.rs"]
mod proxy;
#[path = "stage4/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "stage4/queues.rs"]
mod queues;
#[path = "stage4/racing.rs"]
mod racing;
#[path = "stage4/real_clients.rs"]
mod real_clients;
#[path = "stage4/rebinding.rs"]
mod rebinding;
#[path = "stage4/redirect.rs"]
mod redirect;
#[path = "stage4/relay.rs"]
mod relay;
#[path = "stage4/report.rs"]
mod report;
#[path = "stage4/resets.rs"]
mod resets;
#[path = "stage4/rings.rs"]
mod rings;
#[path = "stage4/rows.rs"]
mod rows;
#[path = "stage4/rules.rs"]
mod rules;
#[path = "stage4/socks5.rs"]
mod socks5;
#[path = "stage4/socks5_request.rs"]
mod socks5_request;
#[path = "stage4/stalled_handshakes.rs"]
mod stalled_handshakes;
#[path = "stage4/steady.rs"]
mod steady;
#[path = "stage4/stopping.rs"]
mod stopping;
#[path = "stage4/support.rs"]
mod support;
#[path = "stage4/table.rs"]
mod table;
#[path = "stage4/timeouts.rs"]
mod timeouts;
#[path = "stage4/udp.rs"]
mod udp;
#[path = "stage4/udp_associate.rs"]
mod udp_associate;
#[path = "stage4/udp_chain.rs"]
mod udp_chain;
#[path = "stage4/udp_ending.rs"]
mod udp_ending;
#[path = "stage4/udp_runs.rs"]
mod udp_runs;
#[path = "stage4/unix_sockets.rs"]
mod unix_sockets;
#[path = "stage4/user_file.rs"]
mod user_file;
#[path = "stage4/users.rs"]
mod users;
#[path = "stage4/vanishing.rs"]
mod vanishing;
#[path = "stage4/visitors.rs"]
mod visitors;
#[path = "stage4/ways.rs"]
mod ways;
