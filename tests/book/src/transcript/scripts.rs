//! The scripts that transcripts run: a reader can repeat an experiment only if a chapter shows its scripts.

use std::path::Path;

use anyhow::Result;

use super::files::{names, read};

/// Describes each script that a transcript has and `prose`, the text of all chapters, doesn't name.
///
/// # Errors
///
/// Fails if the folder of transcripts cannot be read.
pub(crate) fn unnamed(root: &Path, prose: &str) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in names(root)? {
        // One that is malformed is a problem of the chapter that shows it.
        let Ok(transcript) = read(root, &name) else {
            continue;
        };
        let files = transcript.files.iter().map(|(file, _)| file);
        let unnamed = files.filter(|it| is_script(it) && !prose.contains(&format!("`{it}`")));
        problems.extend(
            unnamed.map(|it| format!("book/transcripts/{name}.txt: no chapter shows {it}")),
        );
    }
    Ok(problems)
}

fn is_script(file: &str) -> bool {
    let extension = Path::new(file).extension();
    extension.is_some_and(|it| it == "py" || it == "sh")
}
