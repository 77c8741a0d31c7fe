//! An `async fn` in its parts.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// `#[before] pub async fn name(parameters) -> output { body }`.
pub struct Function {
    /// Attributes and visibility.
    pub before: TokenStream,
    pub name: TokenTree,
    /// In their parentheses.
    pub parameters: Group,
    /// The arrow and what follows it; empty where there is none.
    pub output: TokenStream,
    /// In its braces.
    pub body: Group,
}

impl Function {
    /// `None` for anything else.
    pub fn parse(tokens: TokenStream) -> Option<Function> {
        let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let body = group(tokens.pop()?, Delimiter::Brace)?;
        let start = tokens.iter().position(|token| is(token, "async"))?;
        let mut rest = tokens.split_off(start).into_iter().skip(1);
        if !is(&rest.next()?, "fn") {
            return None;
        }
        Some(Function {
            before: tokens.into_iter().collect(),
            name: rest.next()?,
            parameters: group(rest.next()?, Delimiter::Parenthesis)?,
            output: rest.collect(),
            body,
        })
    }
}

fn is(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}

fn group(token: TokenTree, delimiter: Delimiter) -> Option<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}
