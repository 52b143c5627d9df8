//! The program's own `getrandom` must be found by who looks it up at run time.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=getrandom");
}
