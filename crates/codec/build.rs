//! Compiles the door to libjpeg-turbo against the headers the library's crate has built.

fn main() {
    println!("cargo:rerun-if-changed=native/jpeg.c");
    println!("cargo:rerun-if-changed=build.rs");
    let mut build = cc::Build::new();
    for path in std::env::var("DEP_TURBOJPEG_INCLUDE")
        .unwrap_or_default()
        .split(',')
    {
        build.include(path);
    }
    build
        .file("native/jpeg.c")
        .warnings(true)
        .compile("gantry_jpeg");
}
