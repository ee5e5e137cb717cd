//! The loads of the tunnel, and the probes.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::load::dial::Dial;
use crate::load::latencies::Latencies;
use crate::load::probe::Probe;
use crate::load::sessions;
use crate::soak::journal::Load;
use crate::soak::loads;
use crate::soak::scene::Scene;

/// Opens a stream, sends a byte there and back, closes.
pub(super) fn streams(scene: &Scene) {
    let dial = scene.dial_stream();
    let mut pace = scene.pace(50);
    while pace.tick() {
        let outcome = sessions::open_one(&dial).map(drop);
        scene.outcome(Load::Streams, outcome);
    }
}

/// Sends bulk through the tunnel.
pub(super) fn bulk(scene: &Scene) {
    let dial = scene.dial_stream();
    let mut pace = scene.pace(50);
    while loads::pump(scene, Load::StreamBulk, &dial, &mut pace) {}
}

/// Sends small requests through the relay, and notes how long each takes.
pub(super) fn probe_relay(scene: &Scene) {
    let (dial, latencies) = (scene.dial(), &scene.probes.relay);
    probe(scene, Load::Probe, &dial, latencies);
}

/// The same through the tunnel; a cut of the link ends its stream.
pub(super) fn probe_tunnel(scene: &Scene) {
    let (dial, latencies) = (scene.dial_stream(), &scene.probes.tunnel);
    probe(scene, Load::Streams, &dial, latencies);
}

/// The same without a proxy.
pub(super) fn probe_direct(scene: &Scene) {
    let (dial, latencies) = (scene.dial_direct(), &scene.probes.direct);
    probe(scene, Load::Probe, &dial, latencies);
}

fn probe(scene: &Scene, load: Load, dial: &Dial, latencies: &Mutex<Latencies>) {
    let mut pace = scene.pace(200);
    let mut open: Option<Probe> = None;
    while pace.tick() {
        let outcome = ask(&mut open, dial);
        let outcome = outcome.map(|time| {
            let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.add(time);
            if load == Load::Streams {
                scene.link.works();
            }
        });
        scene.outcome(load, outcome);
    }
}

/// Sends a request, on a new connection if the last one has failed.
fn ask(open: &mut Option<Probe>, dial: &Dial) -> io::Result<Duration> {
    let probe = match open.take() {
        Some(probe) => probe,
        None => Probe::connect(dial)?,
    };
    let time = probe.ask()?;
    *open = Some(probe);
    Ok(time)
}
