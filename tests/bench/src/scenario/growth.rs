//! Measurements of a few active sessions beside many that are silent.

use std::io;

use crate::growth::Growth;
use crate::http::{REQUEST, RESPONSE};
use crate::limits;
use crate::load::request::Clients;
use crate::load::sessions;
use crate::peers::Job;
use crate::rows::{GrowthRow, Row};
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::site;
use crate::upstream::Service;
use crate::wait;

/// Checks that this machine has room for so many sessions.
///
/// # Errors
///
/// The error says which limit is too low, and how to raise it.
pub(super) fn check(growth: Growth) -> Result<(), String> {
    let sessions = growth.sessions;
    limits::check_descriptors(sessions, growth.capacity())?;
    if needs_own_ports(growth) {
        return site::check_own_network().map_err(|error| {
            format!("{sessions} sessions need more local ports than this network has: {error}")
        });
    }
    Ok(())
}

/// Returns whether the sessions are too many for the ports between two addresses.
fn needs_own_ports(growth: Growth) -> bool {
    growth.sessions > limits::local_ports() / 2
}

impl Bench<'_> {
    /// Measures requests on ten sessions while all others are silent, the memory of each, and the cost of opening it.
    pub(super) fn growth(&self, growth: Growth) -> io::Result<Outcome> {
        let _raised = limits::raise_to_hard_limit()?;
        if needs_own_ports(growth) {
            return site::in_own_network(|| self.grow(growth));
        }
        self.grow(growth)
    }

    fn grow(&self, growth: Growth) -> io::Result<Outcome> {
        const WARM_UP_SESSIONS: usize = 8;
        let arrangement = self.arrange(Job::Grow(growth), Service::Http)?;
        let dial = arrangement.dial();
        drop(sessions::open_silent(dial, WARM_UP_SESSIONS)?);
        arrangement.wait_for_ends()?;
        // The proxy frees the memory of starting and closing a little later.
        wait::pass(self.warm_up())?;
        let before = arrangement.usage()?;

        let arrived = arrangement.upstream().accepted();
        let window = arrangement.window()?;
        let mut clients = Clients::connect(dial, REQUEST, Growth::ACTIVE)?;
        let held = sessions::open_silent(dial, growth.sessions - Growth::ACTIVE)?;
        arrangement.wait_for_arrivals(arrived + growth.sessions as u64)?;
        let opening = window.close()?;

        clients.run_for(self.warm_up())?;
        clients.take_latencies();
        let after = arrangement.usage()?;
        let window = arrangement.window()?;
        clients.run_for(self.time)?;
        let spent = window.close()?;
        let latencies = clients.take_latencies();
        drop(held);

        let [cpu, tail, memory, open] = GrowthRow::of(growth).map(Row::Growth);
        let sessions = growth.sessions as f64;
        let bytes = latencies.count() as f64 * (REQUEST.len() + RESPONSE.len()) as f64;
        let memory_bytes = after.private_bytes.saturating_sub(before.private_bytes);
        let mut figures = vec![
            (tail, latencies.quantile_us(99, 100)),
            (memory, memory_bytes as f64 / sessions),
        ];
        figures.extend(cpu_figure(cpu, &spent, bytes, 1e9));
        figures.extend(cpu_figure(open, &opening, sessions, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }
}
