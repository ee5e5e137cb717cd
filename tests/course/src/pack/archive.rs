//! Zip files, written without compression, so that the same folder always makes the same bytes.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Packs a folder and returns the number of files.
///
/// # Errors
///
/// Fails if something cannot be read or written.
pub(super) fn pack(folder: &Path, to: impl Write + Seek) -> Result<usize> {
    let mut zip = ZipWriter::new(to);
    let count = add(&mut zip, folder, Path::new(""))?;
    zip.finish()?;
    Ok(count)
}

/// Adds everything below a folder, in the order of the names, so that the same course makes the same file.
fn add<W: Write + Seek>(zip: &mut ZipWriter<W>, root: &Path, below: &Path) -> Result<usize> {
    let entries: Result<Vec<_>, _> = root.join(below).read_dir()?.collect();
    let mut names: Vec<_> = entries?.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    let mut count = 0;
    for name in names {
        let name = below.join(name);
        let path = root.join(&name);
        if path.is_dir() {
            count += add(zip, root, &name)?;
            continue;
        }
        let mode = path.metadata()?.permissions().mode();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .unix_permissions(mode & 0o755);
        zip.start_file(name.to_string_lossy(), options)?;
        zip.write_all(&fs::read(&path)?)?;
        count += 1;
    }
    Ok(count)
}
