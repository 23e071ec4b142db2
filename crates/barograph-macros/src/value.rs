//! `#[derive(LabelValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result, Variant};

use crate::attribute;
use crate::name::{self, Name};
use crate::report;

/// The implementation of `LabelValue` for the enum `input`.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let root = attribute::root(&input.attrs)?;
    let variants = match &input.data {
        Data::Enum(data) => &data.variants,
        Data::Struct(data) => return Err(Error::new(data.struct_token.span, EXPECTED)),
        Data::Union(data) => return Err(Error::new(data.union_token.span, EXPECTED)),
    };
    if variants.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "expected at least one variant, a label has to have a value",
        ));
    }
    let names = report::all(variants.iter().map(value_name))?;
    name::check_distinct("label value", &names)?;

    let texts = names.iter().map(|name| &name.text);
    let idents = variants.iter().map(|variant| &variant.ident);
    let indices = 0..variants.len();
    let ident = &input.ident;
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated, reason = "a variant may be deprecated and still be recorded")]
        impl #parameters #root::labels::LabelValue for #ident #arguments #bounds {
            const NAMES: &'static [&'static ::core::primitive::str] = &[#(#texts),*];

            #[inline]
            fn index(&self) -> ::core::primitive::usize {
                match self {
                    #(Self::#idents => #indices,)*
                }
            }
        }
    })
}

const EXPECTED: &str = "expected an enum, whose variants are the values of a label";

fn value_name(variant: &Variant) -> Result<Name> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(
            &variant.fields,
            "expected a variant without fields, since each is one value of a label",
        ));
    }
    let given = attribute::name(&variant.attrs)?;
    Ok(given.unwrap_or_else(|| Name::from(&variant.ident).snake_case()))
}
