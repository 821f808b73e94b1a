//! Not filled in yet.
fn main() {}
