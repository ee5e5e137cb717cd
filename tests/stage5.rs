//! Black-box tests of stage 5: many clients over one upstream connection.
//!
//! The name of each test begins with its exercise: `cargo test -p stage5-mux e53` grades exercise 5.3.

#[path = "stage5/clients.rs"]
mod clients;
#[path = "stage5/command_line.rs"]
mod command_line;
#[path = "stage5/cut.rs"]
mod cut;
#[path = "stage5/few_descriptors.rs"]
mod few_descriptors;
#[path = "stage5/frames.rs"]
mod frames;
#[path = "stage5/gateway.rs"]
mod gateway;
#[path = "stage5/idle.rs"]
mod idle;
#[path = "stage5/inspector.rs"]
mod inspector;
#[path = "stage5/interim.rs"]
mod interim;
#[path = "stage5/kernel_queues.rs"]
mod kernel_queues;
#[path = "stage5/line_machine.rs"]
mod line_machine;
#[path = "stage5/line_queue.rs"]
mod line_queue;
#[path = "stage5/lines.rs"]
mod lines;
#[path = "stage5/lost_links.rs"]
mod lost_links;
#[path = "stage5/messages.rs"]
mod messages;
#[path = "stage5/pieces.rs"]
mod pieces;
#[path = "stage5/racing.rs"]
mod racing;
#[path = "stage5/reaching.rs"]
mod reaching;
#[path = "stage5/real.rs"]
mod real;
#[path = "stage5/reuse.rs"]
mod reuse;
#[path = "stage5/schedule.rs"]
mod schedule;
#[path = "stage5/silence.rs"]
mod silence;
#[path = "stage5/site.rs"]
mod site;
#[path = "stage5/slow.rs"]
mod slow;
#[path = "stage5/smuggling.rs"]
mod smuggling;
#[path = "stage5/states.rs"]
mod states;
#[path = "stage5/stopping.rs"]
mod stopping;
#[path = "stage5/stream_ids.rs"]
mod stream_ids;
#[path = "stage5/support.rs"]
mod support;
#[path = "stage5/tunnel.rs"]
mod tunnel;
#[path = "stage5/tunnel_bytes.rs"]
mod tunnel_bytes;
#[path = "stage5/tunnel_cable.rs"]
mod tunnel_cable;
#[path = "stage5/tunnel_ends.rs"]
mod tunnel_ends;
#[path = "stage5/tunnel_hops.rs"]
mod tunnel_hops;
#[path = "stage5/tunnel_inspect.rs"]
mod tunnel_inspect;
#[path = "stage5/tunnel_interop.rs"]
mod tunnel_interop;
#[path = "stage5/tunnel_life.rs"]
mod tunnel_life;
#[path = "stage5/tunnel_losses.rs"]
mod tunnel_losses;
#[path = "stage5/tunnel_pitfalls.rs"]
mod tunnel_pitfalls;
#[path = "stage5/tunnel_secret.rs"]
mod tunnel_secret;
#[path = "stage5/tunnel_ssh.rs"]
mod tunnel_ssh;
#[path = "stage5/tunnel_transport.rs"]
mod tunnel_transport;
#[path = "stage5/tunnel_transport_stdio.rs"]
mod tunnel_transport_stdio;
#[path = "stage5/tunnel_vanishing.rs"]
mod tunnel_vanishing;
#[path = "stage5/tunnel_ways.rs"]
mod tunnel_ways;
#[path = "stage5/tunnel_ways_access.rs"]
mod tunnel_ways_access;
#[path = "stage5/tunnel_ways_failing.rs"]
mod tunnel_ways_failing;
#[path = "stage5/tunnel_ways_headers.rs"]
mod tunnel_ways_headers;
#[path = "stage5/tunnel_ways_http.rs"]
mod tunnel_ways_http;
#[path = "stage5/tunnel_ways_names.rs"]
mod tunnel_ways_names;
#[path = "stage5/turns.rs"]
mod turns;
#[path = "stage5/unmapped.rs"]
mod unmapped;
#[path = "stage5/uploads.rs"]
mod uploads;
#[path = "stage5/upstream.rs"]
mod upstream;
#[path = "stage5/vanishing.rs"]
mod vanishing;
#[path = "stage5/visitors.rs"]
mod visitors;
#[path = "stage5/waiting.rs"]
mod waiting;
#[path = "stage5/ways.rs"]
mod ways;
#[path = "stage5/windows.rs"]
mod windows;
