//! Has a release binary built again when the page was, which it carries; a debug binary reads the page from its folder.

fn main() {
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo:rerun-if-changed={}", if release { "web/dist" } else { "build.rs" });
}
