//! Kernel queues and a slow reader: a browser moves the sliders, and each call of the page's proxy is given to a real half.

use serde::Deserialize;
use stage4_proxy::half::{Half, HalfState};

use crate::interactive::visit;

/// Lets the reader stop, read slowly, and overtake the writer; then presses the keys. Tells each step of the model, and the
/// texts of the page after each scene.
const VISITOR: &str = r#"
const scenes = [], press = (name) => document.querySelector(`button[data-does=${name}]`).click();
const set = (id, value) => { get(id).value = value; get(id).dispatchEvent(new Event("input")); };
const scene = (writer, reader, seconds) => {
  set("writer", writer);
  set("reader", reader);
  const steps = [];
  way.tell = (step) => steps.push(step);
  for (let count = 0; count < 8 * seconds; count += 1) press("next");
  const says = [...get("calls").children].map((item) => item.textContent);
  scenes.push({ steps, says, writer: get("writer-does").textContent, reader: get("reader-does").textContent });
};
scene(6, 6, 2);
scene(6, 0, 6);
scene(8, 3, 40);
scene(1, 8, 8);
const keys = ["n", "s", "s", "Home", "r", "r"].map((key) => {
  document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  return [get("count").textContent, get("reader-speed").textContent, document.querySelector("button[data-does=run]").textContent].join(" ");
});
tell({ scenes, keys, sizes: SIZES });
"#;

#[derive(Deserialize)]
struct Visit {
    scenes: Vec<Scene>,
    keys: Vec<String>,
    sizes: Places,
}

/// The sliders at rest for some seconds.
#[derive(Deserialize)]
struct Scene {
    steps: Vec<Step>,
    says: Vec<String>,
    writer: String,
    reader: String,
}

/// One step of the model.
#[derive(Debug, Deserialize)]
struct Step {
    calls: Vec<Call>,
    wrote: u64,
    read: u64,
    bytes: Places,
}

/// A step of the proxy.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Call {
    /// A read, and a write of all its bytes.
    Copy { read: usize, wrote: usize },
    /// A write of the pending bytes.
    Flush { offered: usize, wrote: usize },
}

/// The bytes in each of the five places, or its size.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Places {
    sending: u64,
    arrived: u64,
    pending: u64,
    leaving: u64,
    unread: u64,
}

impl Places {
    /// Returns the places from the reader's end backwards.
    fn backwards(self) -> [u64; 5] {
        [
            self.unread,
            self.leaving,
            self.pending,
            self.arrived,
            self.sending,
        ]
    }
}

/// Makes a call with a real half, which must want it.
fn repeat(half: &mut Half, call: &Call) {
    match *call {
        Call::Copy { read, wrote } => {
            assert!(half.wants_read() && !half.wants_write(), "{call:?}");
            half.passed(wrote);
            if wrote < read {
                half.keep(&vec![7; read - wrote]);
            }
        }
        Call::Flush { offered, wrote } => {
            assert!(half.wants_write() && !half.wants_read(), "{call:?}");
            assert_eq!(half.pending().len(), offered, "{call:?}");
            half.sent(wrote);
        }
    }
}

/// Repeats all steps with one half, and checks that no byte is lost and no place is too full.
fn replay(scenes: &[Scene], sizes: Places) {
    let (mut half, mut written, mut read) = (Half::new(), 0, 0);
    for step in scenes.iter().flat_map(|scene| &scene.steps) {
        for call in &step.calls {
            repeat(&mut half, call);
        }
        (written, read) = (written + step.wrote, read + step.read);
        let [unread, leaving, pending, arrived, _] = step.bytes.backwards();
        assert_eq!(half.pending().len() as u64, pending, "{step:?}");
        assert_eq!(half.moved(), read + unread + leaving, "{step:?}");
        assert!(
            arrived == 0 || !half.wants_read(),
            "nothing to wait for: {step:?}"
        );
        let between: u64 = step.bytes.backwards().iter().sum();
        assert_eq!(written - read, between, "{step:?}");
        for (bytes, size) in step.bytes.backwards().into_iter().zip(sizes.backwards()) {
            assert!(bytes <= size, "{step:?}");
        }
    }
    assert_eq!(half.state(), HalfState::Open);
}

/// Checks that the places get their first bytes from the reader's end backwards, and are full in the end.
fn fills_backwards(scene: &Scene, sizes: Places) {
    let first = |place: usize| {
        let mut steps = scene.steps.iter();
        steps.position(|step| step.bytes.backwards()[place] > 0)
    };
    let order = [0, 1, 2, 3, 4].map(|place| first(place).expect("bytes wait in each place"));
    assert!(order.is_sorted(), "{order:?}");
    let last = scene.steps.last().expect("steps").bytes.backwards();
    for place in [0, 1, 3, 4] {
        assert_eq!(last[place], sizes.backwards()[place], "place {place}");
    }
    assert!(scene.writer.starts_with("waits"), "{}", scene.writer);
    let told = ["can write", "window 0", "write(2) waits"];
    for (text, says) in told.iter().rev().zip(&scene.says) {
        assert!(says.contains(text), "{says:?}: {text}");
    }
}

#[test]
fn the_page_of_kernel_queues_does_what_a_half_does() {
    let Some(visit) = visit::<Visit>("kernel-queues", VISITOR) else {
        return;
    };
    replay(&visit.scenes, visit.sizes);
    let [equal, stopped, slow, overtaking] = &visit.scenes[..] else {
        panic!("{} scenes", visit.scenes.len());
    };
    let at_rest = |scene: &Scene| scene.steps.last().map(|step| step.bytes.backwards());
    assert_eq!(at_rest(equal), Some([0; 5]), "equal speeds");
    fills_backwards(stopped, visit.sizes);
    assert_eq!(at_rest(overtaking), Some([0; 5]), "a fast reader");

    // The last 30 of the 40 seconds: the writer gets on at the pace of the reader, up to a third of the proxy's send queue.
    let since = &slow.steps[10 * 64..];
    let [written, read] = [|step: &Step| step.wrote, |step: &Step| step.read]
        .map(|bytes| since.iter().map(bytes).sum::<u64>());
    assert_eq!(read, 30 * 256 * 1024);
    assert!(
        written.abs_diff(read) <= visit.sizes.leaving / 3 + 64 * 1024,
        "{written} and {read}"
    );
    assert!(slow.reader.contains("256 KiB/s"), "{}", slow.reader);
    let wakes = slow
        .says
        .iter()
        .filter(|text| text.contains("EPOLLOUT"))
        .count();
    assert!(wakes >= 3, "{:?}", slow.says);

    let expected = [
        "56.1 s 4.0 MiB/s Run",
        "56.1 s nothing Run",
        "56.1 s 4.0 MiB/s Run",
        "0.0 s 2.0 MiB/s Run",
        "0.0 s 2.0 MiB/s Pause",
        "0.0 s 2.0 MiB/s Run",
    ];
    assert_eq!(visit.keys, expected);
}
