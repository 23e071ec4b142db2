//! `#[derive(LabelSet)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Path, Result, parse_quote};

use crate::attribute;
use crate::field::LabelField;
use crate::name;
use crate::report;

/// The most label sets for which a family keeps an array of series instead of a table.
const MAX_DENSE: usize = 1024;

/// Expands to the implementations of `Key` and `LabelSet` for the struct `input`.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let mut input: DeriveInput = syn::parse2(input)?;
    let root = attribute::root(&input.attrs)?;
    let fields = fields(&input)?;
    for field in &fields {
        if let Some(ty) = field.generic_choice(&input.generics).cloned() {
            let bound = parse_quote!(#ty: #root::labels::LabelValue);
            input.generics.make_where_clause().predicates.push(bound);
        }
    }

    let mut by_name: Vec<&LabelField> = fields.iter().collect();
    by_name.sort_by(|a, b| a.name.text.cmp(&b.name.text));
    let names = by_name.iter().map(|field| &field.name.text);
    let written = by_name.iter().map(|field| field.written(&root));
    let (shape, find) = lookup(&root, &fields, &by_name);
    let ident = &input.ident;
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters #root::labels::Key for #ident #arguments #bounds {
            const SHAPE: #root::labels::Shape = #shape;

            #[inline(always)]
            fn find<'__at>(
                &self,
                at: #root::labels::Lookup<'__at>,
            ) -> #root::labels::LookupResult<'__at> {
                #find
            }

            fn render(&self, out: &mut #root::labels::PackedLabels) {
                #(out.push(#written);)*
            }
        }

        #[automatically_derived]
        impl #parameters #root::labels::LabelSet for #ident #arguments #bounds {
            fn names() -> &'static [&'static ::core::primitive::str] {
                &[#(#names),*]
            }
        }
    })
}

const EXPECTED: &str = "expected a struct with named fields, one for each label";

fn fields(input: &DeriveInput) -> Result<Vec<LabelField>> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unnamed(fields) => return Err(Error::new_spanned(fields, EXPECTED)),
            Fields::Unit => return Err(Error::new_spanned(&input.ident, EXPECTED)),
        },
        Data::Enum(data) => return Err(Error::new(data.enum_token.span, EXPECTED)),
        Data::Union(data) => return Err(Error::new(data.union_token.span, EXPECTED)),
    };
    if fields.is_empty() {
        return Err(Error::new_spanned(&input.ident, EXPECTED));
    }
    let fields = report::all(fields.iter().map(LabelField::parse))?;
    name::check_distinct("label", fields.iter().map(|field| &field.name))?;
    Ok(fields)
}

/// Returns the shape of the family's lookup, and the expression that finds the series of `self`.
fn lookup(
    root: &Path,
    fields: &[LabelField],
    by_name: &[&LabelField],
) -> (TokenStream, TokenStream) {
    let texts = by_name
        .iter()
        .filter(|field| field.is_text())
        .map(|field| field.text());
    // Beside numbers, each text comes with the index of its name.
    let placed = by_name
        .iter()
        .enumerate()
        .filter(|(_, field)| field.is_text())
        .map(|(index, field)| {
            let text = field.text();
            quote!((#index, #text))
        });
    let words = fields
        .iter()
        .filter(|field| !field.is_text())
        .map(|field| field.word(root));
    if fields.iter().all(LabelField::is_text) {
        return (
            quote!(#root::labels::Shape::Strs),
            quote!(at.strs(&[#(#texts),*])),
        );
    }
    let typed = quote!(at.typed(&[#(#words),*], &[#(#placed),*]));
    if !fields.iter().all(LabelField::is_countable) {
        return (quote!(#root::labels::Shape::Typed), typed);
    }

    // The number of values of an enum is known only to the compiler, so it has to choose.
    let counts = fields.iter().map(|field| field.count(root));
    let shape = quote! {{
        let product = 1usize #(.saturating_mul(#counts))*;
        if product <= #MAX_DENSE {
            #root::labels::Shape::Dense(product)
        } else {
            #root::labels::Shape::Typed
        }
    }};
    let index = fields
        .iter()
        .map(|field| (field.index(root), field.count(root)))
        .reduce(|(high, _), (low, count)| (quote!((#high) * #count + #low), count))
        .map(|(index, _)| index);
    let find = quote! {
        match <Self as #root::labels::Key>::SHAPE {
            #root::labels::Shape::Dense(_) => at.dense(#index),
            _ => #typed,
        }
    };
    (shape, find)
}

#[cfg(test)]
mod tests;
