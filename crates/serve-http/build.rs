//! Lists the files of the built app (`web/app/dist`, made by `npm run build`), so that they become
//! part of the program. Without them the program says in a browser how to make them: neither
//! building nor testing it needs Node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let built = crate_folder.join("../../web/app/dist");
    // The folder is always there, if only with a file that keeps it: what is not there would be
    // looked for again with every build.
    println!("cargo::rerun-if-changed={}", built.display());
    let mut files = Vec::new();
    collect(&built, "", &mut files)?;
    files.sort();
    let is_built = files.iter().any(|(name, _)| name == "index.html.br");
    if !is_built {
        files.clear();
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("app_files.rs"), table(&files, &out)?)
}

/// The table of the files. It points at copies: the app may be built anew before the compiler
/// comes to read them.
fn table(files: &[(String, PathBuf)], out: &Path) -> io::Result<String> {
    let mut table = String::from("&[\n");
    for (number, (name, path)) in files.iter().enumerate() {
        // Only compressed files are made; whoever takes none gets them decompressed.
        if let Some(name) = name.strip_suffix(".br") {
            let (brotli, gzip) = (format!("{number}.br"), format!("{number}.gz"));
            fs::copy(path, out.join(&brotli))?;
            fs::copy(path.with_extension("gz"), out.join(&gzip))?;
            let _ = writeln!(
                table,
                "File {{ name: {name:?}, \
                 brotli: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{brotli}\")), \
                 gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{gzip}\")) }},"
            );
        }
    }
    table.push_str("]\n");
    Ok(table)
}

/// The files below a folder with their names relative to it; no hidden ones.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = format!("{prefix}{name}");
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push((name, fs::canonicalize(entry.path())?));
        }
    }
    Ok(())
}
