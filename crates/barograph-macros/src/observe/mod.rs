//! `#[observe]`: functions as operations.

mod options;
mod body;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, FnArg, ImplItem, ItemFn, ItemImpl, Meta, Result, Token, Type};

use self::options::Options;

/// Expands to the function or the methods, each as an operation.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    if let Some(skip) = options.skip {
        return Err(Error::new(
            skip,
            "expected `skip` at a method of an observed `impl` only",
        ));
    }
    match syn::parse2(item)? {
        Item::Function(function) => body::expand(&options, *function),
        Item::Implementation(implementation) => methods(&options, *implementation),
    }
}

/// The item that the attribute is placed before.
enum Item {
    Function(Box<ItemFn>),
    Implementation(Box<ItemImpl>),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        if ahead.peek(Token![impl]) || ahead.peek(Token![unsafe]) && ahead.peek2(Token![impl]) {
            return Ok(Item::Implementation(input.parse()?));
        }
        match input.parse() {
            Ok(function) => Ok(Item::Function(Box::new(function))),
            Err(error) => Err(Error::new(
                error.span(),
                "expected `#[observe]` before a function with a body, or an `impl`",
            )),
        }
    }
}

/// Expands all methods with a receiver, and those that have the attribute themselves.
fn methods(common: &Options, mut implementation: ItemImpl) -> Result<TokenStream> {
    common.check_common()?;
    let mut common = common.clone();
    if common.service.is_none() {
        common.service = type_name(&implementation.self_ty);
    }
    let mut expanded = Vec::new();
    for item in &mut implementation.items {
        let ImplItem::Fn(method) = item else {
            continue;
        };
        let place = method.attrs.iter().position(is_observe);
        let own = match place.map(|place| method.attrs.remove(place).meta) {
            None | Some(Meta::Path(_)) => Options::default(),
            Some(Meta::List(list)) => syn::parse2(list.tokens)?,
            Some(Meta::NameValue(other)) => {
                return Err(Error::new_spanned(other, "expected `#[observe(...)]`"));
            }
        };
        let has_receiver = matches!(method.sig.inputs.first(), Some(FnArg::Receiver(_)));
        let is_const = method.sig.constness.is_some() && place.is_none();
        if own.skip.is_some() || is_const || !(has_receiver || place.is_some()) {
            continue;
        }
        let function = syn::parse2(method.to_token_stream())?;
        let method = body::expand(&own.over(&common), function)?;
        *item = ImplItem::Verbatim(method.clone());
        expanded.push(method);
    }
    if expanded.is_empty() {
        return Err(Error::new_spanned(
            &implementation.self_ty,
            "expected a method that takes `self`, or one with `#[observe]`",
        ));
    }
    Ok(quote!(#implementation))
}

fn is_observe(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "observe")
}

/// Returns the name of a type, without path and parameters.
fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}
