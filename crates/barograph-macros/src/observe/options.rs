//! The options of `#[observe(...)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Path, Result, Token, parenthesized};

/// The options of `#[observe(...)]`.
#[derive(Clone, Default)]
pub(super) struct Options {
    pub(super) service: Option<String>,
    pub(super) name: Option<String>,
    kind: Option<Ident>,
    level: Option<Ident>,
    error_level: Option<Ident>,
    pub(super) fields: Vec<Field>,
    pub(super) err: Option<Expr>,
    pub(super) skip: Option<Span>,
    root: Option<Path>,
    /// The keys that were already given.
    given: Vec<String>,
}

/// `key = value`, `key = %value`, `key = ?value`; without a value, the variable with that name.
#[derive(Clone)]
pub(super) struct Field {
    key: String,
    shown: Shown,
    value: Expr,
}

#[derive(Clone, Copy, PartialEq)]
enum Shown {
    AsItIs,
    ByDisplay,
    ByDebug,
}

const EXPECTED: &str = "expected `service`, `name`, `kind`, `level`, `error_level`, `fields(...)`, \
    `err`, `skip` or `crate`";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            if !input.peek(Ident::peek_any) {
                return Err(input.error(EXPECTED));
            }
            let key = input.call(Ident::parse_any)?;
            options.parse_one(&key, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn parse_one(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        let name = key.to_string();
        if self.given.contains(&name) {
            let message = format!("`{name}` is given twice, expected it once");
            return Err(Error::new(key.span(), message));
        }
        match &*name {
            "service" => self.service = Some(text(key, input)?),
            "name" => self.name = Some(text(key, input)?),
            "kind" => {
                let kinds = ["internal", "server", "client", "producer", "consumer"];
                self.kind = Some(one_of(key, input, &kinds)?);
            }
            "level" => self.level = Some(one_of(key, input, &LEVELS)?),
            "error_level" => {
                let levels = ["error", "warn", "info", "debug", "trace", "off"];
                self.error_level = Some(one_of(key, input, &levels)?);
            }
            "fields" => {
                let content;
                parenthesized!(content in input);
                let fields = content.parse_terminated(Field::parse, Token![,])?;
                self.fields = fields.into_iter().collect();
            }
            "err" => {
                input.parse::<Token![=]>()?;
                self.err = Some(input.parse()?);
            }
            "skip" => self.skip = Some(key.span()),
            "crate" => {
                input.parse::<Token![=]>()?;
                let path: LitStr = input.parse()?;
                self.root = Some(path.parse_with(Path::parse_mod_style).map_err(|_| {
                    Error::new_spanned(
                        path,
                        "expected the path of a crate, as in `\"::barograph\"`",
                    )
                })?);
            }
            _ => return Err(Error::new(key.span(), EXPECTED)),
        }
        self.given.push(name);
        Ok(())
    }

    /// Refuses options that are invalid for all methods of an `impl`.
    pub(super) fn check_common(&self) -> Result<()> {
        if self.name.is_some() {
            let message = "expected `name` at a method, because each has its own";
            return Err(Error::new(Span::call_site(), message));
        }
        Ok(())
    }

    /// Returns these options, with those that are not set taken from `common`.
    pub(super) fn over(mut self, common: &Options) -> Self {
        let common = common.clone();
        self.service = self.service.or(common.service);
        self.kind = self.kind.or(common.kind);
        self.level = self.level.or(common.level);
        self.error_level = self.error_level.or(common.error_level);
        self.err = self.err.or(common.err);
        self.root = self.root.or(common.root);
        let mine: Vec<_> = self.fields.iter().map(|field| field.key.clone()).collect();
        let more = common.fields.into_iter();
        self.fields
            .extend(more.filter(|field| !mine.contains(&field.key)));
        self
    }

    /// Returns the crate that has the `observe` module.
    pub(super) fn root(&self) -> TokenStream {
        match &self.root {
            Some(root) => quote!(#root),
            None => quote!(::barograph),
        }
    }

    /// Expands to the static that describes the operation.
    pub(super) fn site(&self, function: &Ident) -> TokenStream {
        let private = self.private();
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| function.unraw().to_string());
        let service = match &self.service {
            Some(service) => quote!(#service),
            None => quote!(::core::module_path!()),
        };
        let span = self.span_name(&name);
        let kind = variant(self.kind.as_ref(), "internal");
        let level = upper(self.level.as_ref(), "info");
        let error_level = match &self.error_level {
            Some(level) if level == "off" => quote!(::core::option::Option::None),
            level => {
                let level = upper(level.as_ref(), "error");
                quote!(::core::option::Option::Some(#private::Level::#level))
            }
        };
        let constants = self.fields.iter().filter_map(|field| {
            let (key, value) = (&field.key, field.constant()?);
            Some(quote!((#key, #value)))
        });
        let keys = self.computed().map(|field| &field.key);
        quote! {
            #private::Site::new(#private::Declaration {
                service: #service,
                name: #name,
                span: #span,
                target: ::core::module_path!(),
                place: ::core::option::Option::Some((::core::file!(), ::core::line!())),
                level: #private::Level::#level,
                error_level: #error_level,
                kind: #private::SpanKind::#kind,
                constants: &[#(#constants),*],
                keys: &[#(#keys),*],
            })
        }
    }

    /// Returns the name of the span. Operations that follow the conventions of databases and messaging
    /// are named after their target.
    fn span_name(&self, name: &str) -> String {
        let has = |key: &str| self.fields.iter().any(|field| field.key == key);
        let constant = |key: &str| {
            let field = self.fields.iter().find(|field| field.key == key);
            field.and_then(Field::constant)
        };
        let target = if has("db.system.name") {
            constant("db.collection.name")
        } else if has("messaging.system") {
            constant("messaging.destination.name")
        } else {
            return match &self.service {
                Some(service) => format!("{service}/{name}"),
                None => name.to_owned(),
            };
        };
        target.map_or_else(|| name.to_owned(), |target| format!("{name} {target}"))
    }

    /// Expands to the values of the fields at each call, in the order of the site's keys.
    pub(super) fn values(&self) -> TokenStream {
        let private = self.private();
        let values = self.computed().map(|field| {
            let value = &field.value;
            let span = value.span();
            let shown = match field.shown {
                Shown::AsItIs => quote_spanned!(span=> #value),
                Shown::ByDisplay => quote_spanned!(span=> #private::display(&(#value))),
                Shown::ByDebug => quote_spanned!(span=> #private::debug(&(#value))),
            };
            quote_spanned!(span=> &(#shown) as &dyn #private::Value)
        });
        quote!(&[#(#values),*])
    }

    pub(super) fn private(&self) -> TokenStream {
        let root = self.root();
        quote!(#root::observe::expansion)
    }

    fn computed(&self) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(|field| field.constant().is_none())
    }
}

impl Field {
    /// Returns its text, if that is known at expansion.
    fn constant(&self) -> Option<String> {
        match &self.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if self.shown == Shown::AsItIs => Some(text.value()),
            _ => None,
        }
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let shown = Shown::parse(input);
        if shown != Shown::AsItIs {
            let variable = input.call(Ident::parse_any)?;
            return Ok(Field {
                key: variable.unraw().to_string(),
                shown,
                value: variable_of(&variable),
            });
        }
        let (key, variable) = parse_key(input)?;
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            let shown = Shown::parse(input);
            let value = input.parse()?;
            return Ok(Field { key, shown, value });
        }
        match variable {
            Some(variable) => Ok(Field {
                key,
                shown,
                value: variable_of(&variable),
            }),
            None => Err(input.error(format!("expected a value for `{key}`, as in `{key} = id`"))),
        }
    }
}

impl Shown {
    fn parse(input: ParseStream<'_>) -> Self {
        if input.peek(Token![%]) && input.parse::<Token![%]>().is_ok() {
            Shown::ByDisplay
        } else if input.peek(Token![?]) && input.parse::<Token![?]>().is_ok() {
            Shown::ByDebug
        } else {
            Shown::AsItIs
        }
    }
}

/// Parses a key, and the variable that it names if it has no dots.
fn parse_key(input: ParseStream<'_>) -> Result<(String, Option<Ident>)> {
    if input.peek(LitStr) {
        return Ok((input.parse::<LitStr>()?.value(), None));
    }
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected a field, as in `user.id = id` or `id`"));
    }
    let first = input.call(Ident::parse_any)?;
    let mut key = first.unraw().to_string();
    if !input.peek(Token![.]) {
        return Ok((key, Some(first)));
    }
    while input.peek(Token![.]) {
        input.parse::<Token![.]>()?;
        key.push('.');
        key.push_str(&input.call(Ident::parse_any)?.unraw().to_string());
    }
    Ok((key, None))
}

fn variable_of(variable: &Ident) -> Expr {
    syn::parse_quote!(#variable)
}

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

fn text(key: &Ident, input: ParseStream<'_>) -> Result<String> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if let Ok(text) = input.parse::<LitStr>()
            && !text.value().is_empty()
        {
            return Ok(text.value());
        }
    }
    let message = format!("expected a text for `{key}`, as in `{key} = \"orders\"`");
    Err(Error::new(key.span(), message))
}

fn one_of(key: &Ident, input: ParseStream<'_>, all: &[&str]) -> Result<Ident> {
    let given = text(key, input)?;
    if !all.contains(&&*given) {
        let all = all.join("`, `");
        let message = format!("`{given}` is no {key}, expected one of `{all}`");
        return Err(Error::new(key.span(), message));
    }
    Ok(Ident::new(&given, key.span()))
}

/// Converts `client` to `Client`.
fn variant(given: Option<&Ident>, otherwise: &str) -> Ident {
    let name = given.map_or_else(|| otherwise.to_owned(), Ident::to_string);
    let (first, rest) = name.split_at(1);
    Ident::new(&(first.to_uppercase() + rest), Span::call_site())
}

/// Converts `info` to `INFO`.
fn upper(given: Option<&Ident>, otherwise: &str) -> Ident {
    let name = given.map_or_else(|| otherwise.to_owned(), Ident::to_string);
    Ident::new(&name.to_uppercase(), Span::call_site())
}
