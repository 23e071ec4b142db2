//! `site!`: the instrument of one call site.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Lit, LitStr, Path, Result, Token, Type};

use crate::name::{self, Name};
use crate::report;

/// An expression for the instrument.
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
    let place = quote!(#root::site::Place { file: ::core::file!(), line: ::core::line!() });
    // Items are not hygienic: the user's expressions see this one, so its name is unlikely.
    let site = format_ident!("__BAROGRAPH_SITE");

    if labels.iter().all(|label| label.value.is_literal()) {
        let values = by_name.iter().map(|label| label.value.text(&root));
        return Ok(quote! {{
            static #site: #root::site::Fixed<#instrument> =
                #root::site::Fixed::new(#name, &[#(#names),*], &[#(#values),*], #place);
            #site.get()
        }});
    }

    let count = labels.len();
    let (variables, expressions): (Vec<_>, Vec<_>) = labels
        .iter()
        .filter_map(|label| label.value.computed())
        .unzip();
    let texts = by_name.iter().map(|label| label.value.text(&root));
    let found = Ident::new("found", Span::mixed_site());
    // The statement ends the life of whatever the values borrow, a lock's guard for one, before the
    // instrument is used.
    Ok(quote! {{
        static #site: #root::site::Site<#instrument, #count> =
            #root::site::Site::new(#name, &[#(#names),*], #place);
        let #found = match (#(&(#expressions),)*) {
            (#(#variables,)*) => #site.with([#(#texts),*]),
        };
        #found
    }})
}

/// What `site!` expands to instead where its input is wrong: it has whatever type is asked for, so
/// that nothing but `error` is reported.
pub(crate) fn reject(error: &Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!({ #error })
}

/// The input of `site!`.
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
    /// Known now.
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
        Ok(Call {
            root,
            instrument,
            name: parse_name(input)?,
            labels: parse_labels(input)?,
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

fn parse_labels(input: ParseStream<'_>) -> Result<Vec<Label>> {
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
        if input.peek(Token![=>]) {
            input.parse::<Token![=>]>()?;
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
        } else {
            let message = format!(
                "expected a value for label `{0}`, as in `{0} = value`",
                name.text
            );
            return Err(Error::new(name.span, message));
        }
        let value = Value::new(labels.len(), input.parse()?);
        labels.push(Label { name, value });
    }
    Ok(labels)
}

impl Value {
    /// The value of the label at `position` in the call.
    fn new(position: usize, expression: Expr) -> Self {
        match literal(&expression) {
            Some(text) => Value::Literal(text),
            None => Value::Computed {
                variable: format_ident!("value{position}", span = Span::mixed_site()),
                expression,
            },
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

    /// An expression of type `&str`.
    fn text(&self, root: &Path) -> TokenStream {
        match self {
            Value::Literal(text) => quote!(#text),
            Value::Computed { variable, .. } => quote! {
                #root::site::ToLabel::to_label(#variable, &mut #root::site::LabelBuffer::new())
            },
        }
    }
}

/// What a literal is written as in a label.
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
        // Around what a `macro_rules!` of the user passed on.
        Expr::Group(group) => lit(&group.expr),
        _ => None,
    }
}
