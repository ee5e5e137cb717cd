//! All or nothing: after a success, a failure at any step, and an interruption at any step.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["a.txt", "deep/b.txt", "deep/er/c.txt", "new/d.txt"];

/// A workspace, and a plan that replaces two files, removes one and creates one.
fn workspace() -> (tempfile::TempDir, Plan) {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::default();
    for name in NAMES {
        if name != "new/d.txt" {
            write(&folder.path().join(name), name.as_bytes()).unwrap();
        }
        let change = match name {
            "deep/er/c.txt" => Change::Remove,
            _ => Change::Write(b"new".to_vec()),
        };
        plan.changes.insert(name.into(), change);
    }
    write(&folder.path().join("mine.txt"), b"mine").unwrap();
    (folder, plan)
}

/// Returns all files with their texts.
fn all(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in listing::entries(&folder).unwrap() {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_swap_takes_place_and_keeps_the_old_files() {
    let (folder, plan) = workspace();
    let root = folder.path();
    let before = all(root);
    let swap = Swap::prepare(root, &plan, "told").unwrap();
    assert_eq!(swap.backup(), Path::new(".before-update-1"));
    swap.finish().unwrap();
    let [a, b, _, d] = NAMES.map(|name| fs::read_to_string(root.join(name)).ok());
    let new = Some("new".to_owned());
    assert_eq!([&a, &b, &d], [&new, &new, &new]);
    assert!(!root.join("deep/er").exists() && !root.join(STAGING).exists());
    let kept = all(&root.join(".before-update-1/files"));
    let changed = before.into_iter().filter(|(name, _)| name != "mine.txt");
    assert_eq!(kept, changed.collect::<Vec<_>>());
    let next = Swap::prepare(root, &plan, "");
    assert_eq!(next.unwrap().backup(), Path::new(".before-update-2"));
}

#[test]
fn an_update_under_way_is_not_taken_back() {
    let (folder, plan) = workspace();
    let swap = Swap::prepare(folder.path(), &plan, "").unwrap();
    let error = recover(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is being updated"), "{error}");
    drop(swap);
    assert!(recover(folder.path()).unwrap());
    assert!(!recover(folder.path()).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_interruption_or_a_failure_at_any_step_changes_nothing(steps in 0..=NAMES.len(), fails: bool) {
        let (folder, plan) = workspace();
        let root = folder.path();
        let before = all(root);
        let swap = Swap::prepare(root, &plan, "told").unwrap();
        for (name, change) in plan.changes.iter().take(steps) {
            swap.step(name, change).unwrap();
        }
        if fails {
            // What a step has used up is missing when `finish` repeats it.
            fs::remove_dir_all(root.join(STAGING)).unwrap();
            let error = format!("{:#}", swap.finish().unwrap_err());
            prop_assert!(error.contains("nothing was changed: cannot change"), "{}", error);
        } else {
            drop(swap);
            prop_assert!(recover(root).unwrap());
        }
        prop_assert_eq!(all(root), before);
    }
}
