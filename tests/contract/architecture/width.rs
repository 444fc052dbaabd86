//! Lines have at most 100 columns. `rustfmt` wraps neither comments nor texts.

use std::{
    fs,
    path::{Path, PathBuf},
};

const MAX_COLUMNS: usize = 100;

/// What has Rust, Python or scripts: files, and folders with all that they hold.
const SOURCES: [&str; 13] = [
    ".ci/run",
    "Makefile",
    "bench/hello/src",
    "bench/python",
    "bench/src",
    "bench/straightforward/src",
    "build.rs",
    "fuzz/fuzz_targets",
    "fuzz/src",
    "src",
    "stand-ins/src",
    "tests",
    "tools",
];

/// The Rust, the Python and the scripts without an extension at or below `path`.
fn sources(path: PathBuf) -> Vec<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(&path).unwrap().filter(|_| !path.ends_with("node_modules"));
        return entries.flat_map(|entry| sources(entry.unwrap().path())).collect();
    }
    let is_source = path.extension().is_none_or(|extension| extension == "rs" || extension == "py");
    if is_source { vec![path] } else { vec![] }
}

/// The lines of a file that are too long, by their numbers, with their columns.
fn long_lines(file: &Path) -> Vec<(usize, usize)> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.contains("https://"));
    let columns = lines.map(|(line, number)| (number, line.chars().count()));
    columns.filter(|(_, columns)| *columns > MAX_COLUMNS).collect()
}

#[test]
fn no_line_has_more_than_100_columns_unless_it_has_a_link() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = SOURCES.iter().flat_map(|path| sources(root.join(path))).collect();
    assert!(files.len() > 150, "{} files", files.len());
    let mut long = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().display();
        let lines = long_lines(&file).into_iter();
        long.extend(lines.map(|(number, columns)| format!("  {name}:{number}: {columns} columns")));
    }
    assert!(long.is_empty(), "more than {MAX_COLUMNS} columns:\n{}", long.join("\n"));
}
