//! `#[derive(LabelValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result, Variant};

use crate::attribute;
use crate::name::{self, Name};
use crate::report;

/// Expands to the implementations of `LabelValue` and `ToLabel` for the enum `input`.
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

        #[automatically_derived]
        impl #parameters #root::callsite::ToLabel for #ident #arguments #bounds {
            fn to_label<'label>(
                &'label self,
                _: &'label mut #root::callsite::LabelBuffer,
            ) -> &'label ::core::primitive::str {
                <Self as #root::labels::LabelValue>::NAMES
                    [#root::labels::LabelValue::index(self)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(input: TokenStream, expected: &str) {
        let error = expand(input).expect_err("the input is wrong");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn variants_are_numbered_as_they_are_written() {
        let expansion = expand(quote! {
            #[label(crate = "crate::core")]
            #[repr(u8)]
            enum Kind<const N: usize> {
                PhoneCall = 7,
                #[label(name = "The Web")]
                Web = 3,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            #[allow(deprecated, reason = "a variant may be deprecated and still be recorded")]
            impl<const N: usize> crate::core::labels::LabelValue for Kind<N> {
                const NAMES: &'static [&'static ::core::primitive::str] =
                    &["phone_call", "The Web"];

                #[inline]
                fn index(&self) -> ::core::primitive::usize {
                    match self {
                        Self::PhoneCall => 0usize,
                        Self::Web => 1usize,
                    }
                }
            }

            #[automatically_derived]
            impl<const N: usize> crate::core::callsite::ToLabel for Kind<N> {
                fn to_label<'label>(
                    &'label self,
                    _: &'label mut crate::core::callsite::LabelBuffer,
                ) -> &'label ::core::primitive::str {
                    <Self as crate::core::labels::LabelValue>::NAMES
                        [crate::core::labels::LabelValue::index(self)]
                }
            }
        };
        assert_eq!(expansion.unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn only_enums_with_plain_variants_are_values() {
        check_refused(
            quote!(
                struct Kind;
            ),
            EXPECTED,
        );
        check_refused(quote!(union Kind { a: u8 }), EXPECTED);
        let empty = "expected at least one variant, a label has to have a value";
        check_refused(
            quote!(
                enum Kind {}
            ),
            empty,
        );
        let fields = "expected a variant without fields, since each is one value of a label";
        check_refused(
            quote!(
                enum Kind {
                    Web(u8),
                }
            ),
            fields,
        );
        check_refused(
            quote!(
                enum Kind {
                    Web {},
                }
            ),
            fields,
        );
    }

    #[test]
    fn two_variants_are_not_written_alike() {
        let twice = "label value `web` is given twice, expected distinct names";
        check_refused(
            quote!(
                enum Kind {
                    Web,
                    #[label(name = "web")]
                    Callsite,
                }
            ),
            twice,
        );
        check_refused(
            quote!(
                enum Kind {
                    PhoneCall,
                    Phone_Call,
                }
            ),
            &twice.replace("web", "phone_call"),
        );
    }

    #[test]
    fn attributes_belong_to_their_place() {
        check_refused(
            quote!(
                #[label(name = "kind")]
                enum Kind {
                    Web,
                }
            ),
            "expected `crate = \"...\"` here",
        );
        check_refused(
            quote!(
                enum Kind {
                    #[label(crate = "core")]
                    Web,
                }
            ),
            "expected `name = \"...\"` here",
        );
        check_refused(
            quote!(
                #[label(crate = "a b")]
                enum Kind {
                    Web,
                }
            ),
            "expected the path of a crate, as in `\"::barograph\"`",
        );
    }
}
