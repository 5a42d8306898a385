//! Writes the seeds and the committed corpus of every target below a directory, one directory for
//! each target, where a coverage-guided fuzzer looks for its corpus.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use keysherd_fuzz::TARGETS;

fn main() -> Result<()> {
    let to = std::env::args_os().nth(1).map(PathBuf::from);
    let to = to.ok_or_else(|| Error::other("give the directory to write to"))?;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in TARGETS {
        let directory = to.join(target.name);
        fs::create_dir_all(&directory)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
        for file in fs::read_dir(committed.join(target.name)).into_iter().flatten() {
            let file = file?;
            fs::copy(file.path(), directory.join(file.file_name()))?;
        }
    }
    Ok(())
}
