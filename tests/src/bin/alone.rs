//! One VM alone in this process: see `trapless_tests::alone`.

fn main() {
    trapless_tests::alone::main();
}
