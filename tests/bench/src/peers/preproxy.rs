//! The two proxies of curl's `--preproxy`: microsocks, and tinyproxy behind it, because the second one has to speak HTTP.

use std::io;

use crate::peers::{Job, Launch, Place, microsocks, program, tinyproxy};

/// The client itself.
const CLIENT: &str = "curl";

pub(super) fn find() -> Result<(), String> {
    program::find("microsocks", "microsocks")?;
    program::find("tinyproxy", "tinyproxy")
}

pub(super) fn version() -> Option<String> {
    let proxies = [
        program::package_version("microsocks"),
        program::version("tinyproxy", "-v"),
        program::package_version(CLIENT),
    ];
    let known: Vec<String> = proxies.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join("; "))
}

/// Checks that there is a curl; the error says how to install it.
pub(crate) fn find_curl() -> Result<(), String> {
    program::find(CLIENT, CLIENT)
}

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    if place.job == Job::Connect {
        tinyproxy::launch(place)
    } else {
        Ok(microsocks::launch(place))
    }
}
