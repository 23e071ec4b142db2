//! `callsite!`: the instrument of one callsite.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, Lit, LitStr, Path, Result, Token, Type};

use crate::name::{self, Name};
use crate::report;

/// Expands to an expression for the instrument.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let Call {
        root,
        instrument,
        name,
        labels,
    } = syn::parse2(input)?;
    report::all(labels.iter().map(|label| label.name.check_label()))?;
    name::check_distinct("label", labels.iter().map(|label| &label.name))?;

    let mut by_name: Vec<&Label> = labels.iter().collect();
    by_name.sort_by(|a, b| a.name.text.cmp(&b.name.text));
    let names = by_name.iter().map(|label| &label.name.text);
    let place =
        quote!(#root::callsite::SourceLocation { file: ::core::file!(), line: ::core::line!() });
    // Items are not hygienic: the user's expressions see this one, so its name is unlikely to clash.
    let callsite = format_ident!("__BAROGRAPH_SITE");

    if labels.iter().all(|label| label.value.is_literal()) {
        let values = by_name.iter().map(|label| label.value.text(&root));
        return Ok(quote! {{
            static #callsite: #root::callsite::FixedCallsite<#instrument> =
                #root::callsite::FixedCallsite::new(#name, &[#(#names),*], &[#(#values),*], #place);
            #callsite.get()
        }});
    }

    let count = labels.len();
    let (variables, expressions): (Vec<_>, Vec<_>) = labels
        .iter()
        .filter_map(|label| label.value.computed())
        .unzip();
    let texts = by_name.iter().map(|label| label.value.text(&root));
    let found = Ident::new("found", Span::mixed_site());
    // The statement drops what the values borrow, such as the guard of a lock, before the instrument is
    // used.
    Ok(quote! {{
        static #callsite: #root::callsite::Callsite<#instrument, #count> =
            #root::callsite::Callsite::new(#name, &[#(#names),*], #place);
        let #found = match (#(&(#expressions),)*) {
            (#(#variables,)*) => #callsite.with([#(#texts),*]),
        };
        #found
    }})
}

/// Returns the expansion of an invalid `callsite!`: one expression, however many errors there are.
pub(crate) fn reject(error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!({ #error })
}

/// The input of `callsite!`.
struct Call {
    root: Path,
    instrument: Type,
    name: Expr,
    labels: Vec<Label>,
}

/// `key = value` or `"key" => value`.
struct Label {
    name: Name,
    value: Value,
}

enum Value {
    /// Known at expansion.
    Literal(String),
    /// Computed at each call, then held by reference in the variable.
    Computed { variable: Ident, expression: Expr },
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let root = input.call(Path::parse_mod_style)?;
        input.parse::<Token![,]>()?;
        let instrument = input.parse()?;
        input.parse::<Token![,]>()?;
        let name = parse_name(input)?;
        let labels = parse_labels(&root, input)?;
        Ok(Call {
            root,
            instrument,
            name,
            labels,
        })
    }
}

fn parse_name(input: ParseStream<'_>) -> Result<Expr> {
    if input.is_empty() {
        return Err(Error::new(
            Span::call_site(),
            "expected the name of the instrument, as in `\"orders\"`",
        ));
    }
    let name: Expr = input.parse()?;
    let is_label = matches!(name, Expr::Assign(_)) || input.peek(Token![=>]);
    let is_empty = matches!(string(&name), Some(text) if text.is_empty());
    if is_label || is_empty {
        return Err(Error::new_spanned(
            name,
            "expected the name of the instrument first, as in `\"orders\"`",
        ));
    }
    Ok(name)
}

fn parse_labels(root: &Path, input: ParseStream<'_>) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        let name = if input.peek(LitStr) {
            Name::from(&input.parse::<LitStr>()?)
        } else if input.peek(Ident::peek_any) {
            Name::from(&input.call(Ident::parse_any)?)
        } else {
            return Err(input.error("expected the name of a label, `kind` or `\"http.route\"`"));
        };
        let is_arrow = input.peek(Token![=>]) && input.parse::<Token![=>]>().is_ok();
        let is_equal = !is_arrow && input.peek(Token![=]) && input.parse::<Token![=]>().is_ok();
        if !(is_arrow || is_equal) || input.is_empty() {
            let text = &name.text;
            let message = format!("expected a value for label `{text}`, as in `{text} = value`");
            return Err(Error::new(name.span, message));
        }
        let value = Value::new(root, labels.len(), input.parse()?);
        labels.push(Label { name, value });
    }
    Ok(labels)
}

impl Value {
    /// Returns the value of the label at `position` in the call.
    fn new(root: &Path, position: usize, expression: Expr) -> Self {
        if let Some(text) = literal(&expression) {
            return Value::Literal(text);
        }
        // The compiler reports an invalid label at the value, and not at the whole call, only if all of
        // the tokens that it reports come from the same macro: here the one of `root`.
        let macro_rules = root
            .segments
            .first()
            .map_or_else(Span::call_site, Spanned::span);
        let span = macro_rules.located_at(expression.span());
        Value::Computed {
            variable: format_ident!("value{position}", span = span),
            expression,
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Value::Literal(_))
    }

    fn computed(&self) -> Option<(&Ident, &Expr)> {
        match self {
            Value::Literal(_) => None,
            Value::Computed {
                variable,
                expression,
            } => Some((variable, expression)),
        }
    }

    /// Returns an expression of type `&str`.
    fn text(&self, root: &Path) -> TokenStream {
        match self {
            Value::Literal(text) => quote!(#text),
            Value::Computed { variable, .. } => {
                let span = variable.span();
                let mut root = root.clone();
                for segment in &mut root.segments {
                    segment.ident.set_span(span);
                }
                quote_spanned! {span=>
                    #root::callsite::ToLabel::to_label(#variable, &mut #root::callsite::LabelBuffer::new())
                }
            }
        }
    }
}

/// Returns the text that a literal has in a label.
fn literal(expression: &Expr) -> Option<String> {
    match lit(expression)? {
        Lit::Str(text) => Some(text.value()),
        Lit::Bool(is) => Some(is.value.to_string()),
        // A suffix may be wrong for the number, which only the compiler knows.
        Lit::Int(number) if number.suffix().is_empty() => Some(number.base10_digits().to_owned()),
        _ => None,
    }
}

fn string(expression: &Expr) -> Option<String> {
    match lit(expression)? {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

fn lit(expression: &Expr) -> Option<&Lit> {
    match expression {
        Expr::Lit(literal) if literal.attrs.is_empty() => Some(&literal.lit),
        // The group around tokens that a `macro_rules!` of the user passed on.
        Expr::Group(group) => lit(&group.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: TokenStream, expected: TokenStream) {
        assert_eq!(expand(input).unwrap().to_string(), expected.to_string());
    }

    #[track_caller]
    fn check_refused(input: TokenStream, expected: &str) {
        let error = expand(input).expect_err("the input is wrong");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_call_without_labels_is_fixed() {
        let instrument = quote!(Counter<u64>);
        let expected = quote! {{
            static __BAROGRAPH_SITE: core::callsite::FixedCallsite<#instrument> = core::callsite::FixedCallsite::new(
                NAME,
                &[],
                &[],
                core::callsite::SourceLocation { file: ::core::file!(), line: ::core::line!() }
            );
            __BAROGRAPH_SITE.get()
        }};
        check(quote!(core, #instrument, NAME), expected.clone());
        check(quote!(core, #instrument, NAME,), expected);
    }

    #[test]
    fn literals_are_fixed_and_sorted_by_their_name() {
        check(
            quote!(core, I, "orders", z = "1", "a.b" => 2, r#type = true,),
            quote! {{
                static __BAROGRAPH_SITE: core::callsite::FixedCallsite<I> = core::callsite::FixedCallsite::new(
                    "orders",
                    &["a.b", "type", "z"],
                    &["2", "true", "1"],
                    core::callsite::SourceLocation { file: ::core::file!(), line: ::core::line!() }
                );
                __BAROGRAPH_SITE.get()
            }},
        );
    }

    #[test]
    fn computed_values_keep_the_order_of_the_call() {
        check(
            quote!(core, I, "orders", z = f(), "a" => x.y + 1, m = "lit"),
            quote! {{
                static __BAROGRAPH_SITE: core::callsite::Callsite<I, 3usize> = core::callsite::Callsite::new(
                    "orders",
                    &["a", "m", "z"],
                    core::callsite::SourceLocation { file: ::core::file!(), line: ::core::line!() }
                );
                let found = match (&(f()), &(x.y + 1),) {
                    (value0, value1,) => __BAROGRAPH_SITE.with([
                        core::callsite::ToLabel::to_label(
                            value1,
                            &mut core::callsite::LabelBuffer::new()
                        ),
                        "lit",
                        core::callsite::ToLabel::to_label(
                            value0,
                            &mut core::callsite::LabelBuffer::new()
                        )
                    ]),
                };
                found
            }},
        );
    }

    #[test]
    fn numbers_that_the_compiler_has_to_judge_are_computed() {
        for value in [
            quote!(300u8),
            quote!(-1),
            quote!(0.5),
            quote!('c'),
            quote!(b"x"),
        ] {
            let expansion = expand(quote!(core, I, "orders", code = #value)).unwrap();
            assert!(
                expansion.to_string().contains("callsite :: Callsite"),
                "{value}"
            );
        }
    }

    #[test]
    fn calls_without_a_name_or_a_value_are_refused() {
        let name = "expected the name of the instrument first, as in `\"orders\"`";
        check_refused(quote!(core, I, kind = "web"), name);
        check_refused(quote!(core, I, "kind" => "web"), name);
        check_refused(quote!(core, I, ""), name);
        let value = "expected a value for label `kind`, as in `kind = value`";
        check_refused(quote!(core, I, "orders", kind), value);
        check_refused(quote!(core, I, "orders", "kind" =>), value);
        let key = "expected the name of a label, `kind` or `\"http.route\"`";
        check_refused(quote!(core, I, "orders", 1 = "web"), key);
        check_refused(quote!(core, I, "orders" kind = "web"), "expected `,`");
    }

    #[test]
    fn a_label_is_given_once_however_it_is_spelled() {
        let twice = "label `type` is given twice, expected distinct names";
        check_refused(quote!(core, I, "orders", r#type = "a", "type" => b), twice);
        let reserved = quote!(core, I, "orders", le = 1, "__x" => 2, a = 3);
        assert_eq!(expand(reserved).unwrap_err().into_iter().count(), 2);
    }

    #[test]
    fn a_refusal_is_one_expression() {
        let reserved = quote!(core, I, "orders", le = 1, "__x" => 2);
        let rejected = reject(&expand(reserved).unwrap_err());
        syn::parse2::<Expr>(rejected).unwrap();
    }
}
