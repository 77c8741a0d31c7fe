//! The attributes of `guest-sdk`, which re-exports them.
//!
//! Owns the shape of the functions they are put on. What they expand to names the SDK as `::guest_sdk`.

mod function;

use function::Function;
use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes an `async fn` the program: `entry!` with an executor.
///
/// ```ignore
/// #![no_std]
/// #![cfg_attr(not(test), no_main)]
/// use guest_sdk::executor::Spawner;
///
/// #[guest_sdk::main]
/// async fn main(spawner: Spawner) { /* … */ }
/// ```
/// The function may do without the spawner, and returns what the `main` of `entry!` may. When it returns the VM ends, whatever tasks are
/// left. `#[guest_sdk::main(Note { … })]` asks for more than the default, as `entry!(main, Note { … })` does.
#[proc_macro_attribute]
pub fn main(note: TokenStream, function: TokenStream) -> TokenStream {
    let Some(function) = Function::parse(function) else {
        return tokens(
            "::core::compile_error!{\"#[guest_sdk::main] belongs on `async fn main(spawner: Spawner) { … }`, \
             or one without the parameter\"}",
        );
    };
    let run = if function.parameters.stream().is_empty() {
        "::guest_sdk::executor::run(async |_| root().await)"
    } else {
        "::guest_sdk::executor::run(root)"
    };
    let body = join([
        tokens("async fn root"),
        TokenTree::from(function.parameters).into(),
        function.output.clone(),
        TokenTree::from(function.body).into(),
        tokens(run),
    ]);
    let comma = if note.is_empty() { "" } else { "," };
    let entry = join([function.name.clone().into(), tokens(comma), note]);
    join([
        function.before,
        tokens("fn"),
        function.name.into(),
        tokens("()"),
        function.output,
        braced(body),
        tokens("::guest_sdk::executor!{} ::guest_sdk::entry!"),
        braced(entry),
    ])
}

/// Makes an `async fn` a task, of which one at a time can run: its call yields what a `Spawner` takes.
///
/// ```ignore
/// #[guest_sdk::task]
/// async fn count(to: u32) { /* … */ }
///
/// spawner.spawn(count(3)?);
/// ```
/// `#[guest_sdk::task(pool_size = 4)]`: four at a time. The function is not generic and returns nothing. This is `embassy_executor::task`, for crates
/// that do not name `embassy-executor` in their `Cargo.toml`.
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    let comma = if options.is_empty() { "" } else { "," };
    let options = join([
        tokens("embassy_executor = ::guest_sdk::executor::__embassy_executor"),
        tokens(comma),
        options,
    ]);
    let attribute = join([
        tokens("::guest_sdk::executor::__embassy_executor::task"),
        TokenTree::from(Group::new(Delimiter::Parenthesis, options)).into(),
    ]);
    let bracketed = Group::new(Delimiter::Bracket, attribute);
    join([tokens("#"), TokenTree::from(bracketed).into(), function])
}

/// This crate's own tokens.
fn tokens(source: &str) -> TokenStream {
    source.parse().expect("tokens")
}

fn join<const N: usize>(parts: [TokenStream; N]) -> TokenStream {
    parts.into_iter().collect()
}

fn braced(inner: TokenStream) -> TokenStream {
    TokenTree::from(Group::new(Delimiter::Brace, inner)).into()
}
