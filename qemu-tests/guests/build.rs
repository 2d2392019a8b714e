//! Links the micro-guests as static position-independent images.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
}
