//! The body of an observed function.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Error, Expr, ExprAsync, ExprCall, GenericArgument, ItemFn, PathArguments, Result, ReturnType,
    Stmt, Type, parse_quote,
};

use super::options::Options;

/// Expands to the function with its body as an operation.
pub(super) fn expand(options: &Options, mut function: ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    if let Some(constant) = signature.constness {
        return Err(Error::new_spanned(
            constant,
            "expected a function that runs: `const fn` cannot be observed",
        ));
    }
    let site = options.site(&signature.ident);
    let private = options.private();
    // Items are not hygienic: the user's expressions see this one, so its name is unlikely to clash.
    let name = format_ident!("__BAROGRAPH_SITE");
    let parts = Parts {
        options,
        begin: {
            let values = options.values();
            quote!(#private::begin(&#name, #values))
        },
    };
    let returned = returned(&signature.output);
    let body = if signature.asyncness.is_some() {
        // Without the braces of the body, which the compiler would take for needless ones.
        let statements = &function.block.stmts;
        parts.future(
            &quote!(move),
            &quote!({
                #[allow(
                    unreachable_code,
                    clippy::diverging_sub_expression,
                    clippy::empty_loop,
                    clippy::let_unit_value,
                    clippy::let_with_type_underscore,
                    clippy::needless_return,
                    clippy::unreachable,
                    reason = "it is never run, and tells the compiler what the body returns"
                )]
                if false {
                    let returned: #returned = loop {};
                    return returned;
                }
                #(#statements)*
            }),
        )
    } else if let Some(future) = returned_future(&mut function.block.stmts) {
        let ExprAsync { capture, block, .. } = &*future;
        let observed = parts.future(&quote!(#capture), &quote!(#block));
        *future = parse_quote!(async #capture { #observed });
        let statements = &function.block.stmts;
        quote!(#(#statements)*)
    } else {
        parts.call(&returned, &function.block)
    };
    let ItemFn {
        attrs, vis, sig, ..
    } = &function;
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            static #name: #private::Site = #site;
            #body
        }
    })
}

/// The parts that all kinds of functions have in common.
struct Parts<'o> {
    options: &'o Options,
    begin: TokenStream,
}

impl Parts<'_> {
    /// Expands to code that runs a block at once.
    fn call(&self, returned: &Type, block: &syn::Block) -> TokenStream {
        let (private, begin, classify) = (self.options.private(), &self.begin, self.classify());
        // From the function that runs it the compiler knows that the closure is called once, and so may
        // return what it borrows from its arguments.
        quote! {
            #private::run(#begin, move || -> #returned #block, #classify)
        }
    }

    /// Expands to code that awaits a block.
    fn future(&self, capture: &TokenStream, block: &TokenStream) -> TokenStream {
        let (private, begin, classify) = (self.options.private(), &self.begin, self.classify());
        let running = Ident::new("running", Span::mixed_site());
        // The values of the fields are not `Send`. They are dropped before the future is awaited.
        quote! {
            let #running = #begin;
            #private::future(#running, async #capture #block, #classify).await
        }
    }

    /// Expands to a closure from the output to its failure.
    fn classify(&self) -> TokenStream {
        let private = self.options.private();
        let traits = quote! {
            #[allow(unused_imports, reason = "the type of the output tells which is used")]
            use #private::{ByAny as _, ByOutcome as _, ByResult as _};
        };
        match &self.options.err {
            None => quote!(|output| {
                #traits
                (&&&#private::Output(output)).__barograph_failure()
            }),
            Some(err) => quote!(|output| match output {
                ::core::result::Result::Ok(_) => ::core::option::Option::None,
                ::core::result::Result::Err(error) => {
                    #[allow(unused_imports, reason = "the type of the error tells which is used")]
                    use #private::{ByAnyError as _, ByDisplay as _, ByError as _};
                    let failure = #private::Failure::new((#err)(error));
                    ::core::option::Option::Some(
                        (&&&#private::Output(error)).__barograph_message(failure)
                    )
                }
            }),
        }
    }
}

/// Returns the return type of a function, as a closure can spell it.
fn returned(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, returned) => {
            let mut returned = (**returned).clone();
            infer_opaque(&mut returned);
            returned
        }
    }
}

/// Replaces types that only the compiler can name.
fn infer_opaque(returned: &mut Type) {
    match returned {
        Type::ImplTrait(_) => *returned = parse_quote!(_),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(argument) = argument {
                            infer_opaque(argument);
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_opaque),
        Type::Reference(reference) => infer_opaque(&mut reference.elem),
        Type::Paren(inner) => infer_opaque(&mut inner.elem),
        Type::Array(array) => infer_opaque(&mut array.elem),
        _ => {}
    }
}

/// Returns the future of a function that is not `async`: `async move { ... }` at its end, or
/// `Box::pin(async move { ... })` as macros for traits write it.
fn returned_future(statements: &mut [Stmt]) -> Option<&mut ExprAsync> {
    let Some(Stmt::Expr(last, None)) = statements.last_mut() else {
        return None;
    };
    match last {
        Expr::Async(future) => Some(future),
        Expr::Call(ExprCall { func, args, .. }) if is_box_pin(func) && args.len() == 1 => {
            match args.first_mut() {
                Some(Expr::Async(future)) => Some(future),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_box_pin(function: &Expr) -> bool {
    let Expr::Path(path) = function else {
        return false;
    };
    let mut names = path
        .path
        .segments
        .iter()
        .rev()
        .map(|segment| &segment.ident);
    names.next().is_some_and(|name| name == "pin") && names.next().is_some_and(|name| name == "Box")
}
