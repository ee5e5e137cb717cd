//! Any other proxy, by its command line.

use std::io;
use std::process::Command;

use crate::peers::{Launch, Place};

/// Fills `{listen}`, `{port}` and `{upstream}` in; such a program must stay in the foreground.
pub(super) fn launch(place: &Place<'_>, words: &[String]) -> io::Result<Launch> {
    let mut words = words.iter().map(|word| fill(word, place));
    let program = words
        .next()
        .ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(words);
    // It may have workers, so its whole process tree is counted.
    Ok(Launch {
        command,
        forks: true,
    })
}

fn fill(word: &str, place: &Place<'_>) -> String {
    word.replace("{listen}", &place.listen.to_string())
        .replace("{port}", &place.listen.port().to_string())
        .replace("{upstream}", &place.upstream.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::peers::Job;

    #[test]
    fn places_are_filled_in() {
        let (listen, upstream) = (
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        );
        let place = Place {
            job: Job::Relay,
            listen,
            upstream,
            folder: Path::new("/"),
        };
        let filled = fill("-l{listen},{port}->{upstream}", &place);
        assert_eq!(filled, "-l127.0.0.1:1,1->127.0.0.1:2");
    }
}
