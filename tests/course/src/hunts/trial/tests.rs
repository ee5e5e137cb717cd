//! The trial's preparations; whole trials are in `tests/course/tests/hunts.rs`, because a guard starts our own program.

use super::*;

#[test]
fn programs_are_copies_of_one_size_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, bytes) in [
        ("wrong", b"\x7fELF1".as_slice()),
        ("right", b"\x7fELF-longer"),
    ] {
        fs::write(path(name), bytes).unwrap();
    }
    let programs = Programs {
        wrong: path("wrong"),
        right: vec![path("right")],
    };
    let found = suspects(folder.path(), &programs).unwrap();
    for suspect in &found {
        let data = suspect.program.metadata().unwrap();
        assert_eq!((data.len(), data.permissions().mode() & 0o777), (11, 0o111));
    }
    assert_ne!(found[0].program, found[1].program);
}

#[test]
fn a_shuffle_keeps_everything() {
    let mut all: Vec<_> = (0..50).collect();
    shuffle(&mut all);
    assert_ne!(all, (0..50).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
}
