//! Links the binary at a fixed address: what a position-independent one relocates at each start is an eighth of the
//! instructions of a cold start, and a twentieth of the package (`make measure`). The libraries it loads keep theirs random.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
