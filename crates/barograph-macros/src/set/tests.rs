//! Expansions of `#[derive(LabelSet)]`, token by token.

use super::*;

/// The parts in which expansions differ.
struct Expected {
    /// The type that the traits are implemented for, and the generics of the implementations.
    ident: TokenStream,
    parameters: TokenStream,
    shape: TokenStream,
    find: TokenStream,
    written: Vec<TokenStream>,
    names: Vec<&'static str>,
}

#[track_caller]
fn check(input: TokenStream, expected: Expected) {
    let Expected {
        ident,
        parameters,
        shape,
        find,
        written,
        names,
    } = expected;
    let expected = quote! {
        #[automatically_derived]
        impl #parameters ::barograph::labels::Key for #ident {
            const SHAPE: ::barograph::labels::Shape = #shape;

            #[inline(always)]
            fn find<'__at>(
                &self,
                at: ::barograph::labels::Lookup<'__at>,
            ) -> ::barograph::labels::LookupResult<'__at> {
                #find
            }

            fn render(&self, out: &mut ::barograph::labels::PackedLabels) {
                #(out.push(#written);)*
            }
        }

        #[automatically_derived]
        impl #parameters ::barograph::labels::LabelSet for #ident {
            fn names() -> &'static [&'static ::core::primitive::str] {
                &[#(#names),*]
            }
        }
    };
    assert_eq!(expand(input).unwrap().to_string(), expected.to_string());
}

#[track_caller]
fn check_refused(input: TokenStream, expected: &str) {
    let error = expand(input).expect_err("the input is wrong");
    assert_eq!(error.to_string(), expected);
}

fn as_str(ident: &str) -> TokenStream {
    let ident = quote::format_ident!("{ident}");
    quote!(::core::convert::AsRef::<::core::primitive::str>::as_ref(&self.#ident))
}

fn to_label(place: TokenStream) -> TokenStream {
    quote! {
        ::barograph::callsite::ToLabel::to_label(
            &#place,
            &mut ::barograph::callsite::LabelBuffer::new()
        )
    }
}

#[test]
fn text_is_looked_up_in_the_order_of_the_names() {
    let (a, b, c) = (as_str("a"), as_str("b"), as_str("c"));
    check(
        quote! {
            struct Order<'a> {
                #[label(name = "z")]
                a: &'a str,
                b: std::borrow::Cow<'a, str>,
                c: Box<str>,
            }
        },
        Expected {
            ident: quote!(Order<'a>),
            parameters: quote!(<'a>),
            shape: quote!(::barograph::labels::Shape::Strs),
            find: quote!(at.strs(&[#b, #c, #a])),
            written: vec![b.clone(), c.clone(), a.clone()],
            names: vec!["b", "c", "z"],
        },
    );
}

#[test]
fn enums_choose_between_an_array_and_a_table() {
    let kind = quote!(<Kind as ::barograph::labels::LabelValue>);
    let word = quote!(#kind::index(&self.kind) as ::core::primitive::u64);
    check(
        quote!(
            struct Order {
                paid: bool,
                kind: Kind,
                again: bool,
            }
        ),
        Expected {
            ident: quote!(Order),
            parameters: quote!(),
            shape: quote! {{
                let product = 1usize
                    .saturating_mul(2usize)
                    .saturating_mul(#kind::NAMES.len())
                    .saturating_mul(2usize);
                if product <= 1024usize {
                    ::barograph::labels::Shape::Dense(product)
                } else {
                    ::barograph::labels::Shape::Typed
                }
            }},
            find: quote! {
                match <Self as ::barograph::labels::Key>::SHAPE {
                    ::barograph::labels::Shape::Dense(_) => at.dense(
                        ((::core::primitive::usize::from(self.paid)) * #kind::NAMES.len()
                            + #kind::index(&self.kind)) * 2usize
                            + ::core::primitive::usize::from(self.again)
                    ),
                    _ => at.typed(
                        &[
                            ::core::primitive::u64::from(self.paid),
                            #word,
                            ::core::primitive::u64::from(self.again)
                        ],
                        &[]
                    ),
                }
            },
            written: vec![
                quote!(if self.again { "true" } else { "false" }),
                quote!(#kind::NAMES[#kind::index(&self.kind)]),
                quote!(if self.paid { "true" } else { "false" }),
            ],
            names: vec!["again", "kind", "paid"],
        },
    );
}

#[test]
fn words_keep_the_order_of_the_fields_and_text_that_of_the_names() {
    let (route, host) = (as_str("route"), as_str("host"));
    check(
        quote! {
            struct Call<'a> {
                status: u16,
                route: &'a str,
                delta: &'a &'a i8,
                host: String,
            }
        },
        Expected {
            ident: quote!(Call<'a>),
            parameters: quote!(<'a>),
            shape: quote!(::barograph::labels::Shape::Typed),
            find: quote!(at.typed(
                &[
                    ::core::primitive::u64::from(self.status),
                    (**self.delta) as ::core::primitive::u64
                ],
                &[(1usize, #host), (2usize, #route)]
            )),
            written: vec![
                to_label(quote!((**self.delta))),
                host.clone(),
                route.clone(),
                to_label(quote!(self.status)),
            ],
            names: vec!["delta", "host", "route", "status"],
        },
    );
}

#[test]
fn type_parameters_become_label_values() {
    let expansion = expand(quote! {
        struct Pair<'c, T: Copy, U = Few, const N: usize = 1> where U: Send {
            first: T,
            second: &'c Wrapped<U>,
            third: Kind,
        }
    });
    let header = quote! {
        impl<'c, T: Copy, U, const N: usize> ::barograph::labels::LabelSet for Pair<'c, T, U, N>
        where
            U: Send,
            T: ::barograph::labels::LabelValue,
            Wrapped<U>: ::barograph::labels::LabelValue
    };
    let expansion = expansion.unwrap().to_string();
    assert!(expansion.contains(&header.to_string()), "{expansion}");
}

#[test]
fn only_structs_with_named_fields_are_label_sets() {
    check_refused(
        quote!(
            struct Order(u8);
        ),
        EXPECTED,
    );
    check_refused(
        quote!(
            struct Order;
        ),
        EXPECTED,
    );
    check_refused(
        quote!(
            struct Order {}
        ),
        EXPECTED,
    );
    check_refused(
        quote!(
            enum Order {
                Web,
            }
        ),
        EXPECTED,
    );
    check_refused(quote!(union Order { a: u8 }), EXPECTED);
}

#[test]
fn every_wrong_field_is_reported() {
    let input = quote! {
        struct Order<'a> {
            share: f64,
            le: &'a str,
            bytes: &'a [u8],
            kind: Kind,
            #[label(nom = "x")]
            name: &'a str,
        }
    };
    assert_eq!(expand(input).unwrap_err().into_iter().count(), 4);
}

#[test]
fn two_fields_do_not_share_a_name() {
    check_refused(
        quote!(
            struct Order {
                #[label(name = "type")]
                kind: u8,
                r#type: u8,
            }
        ),
        "label `type` is given twice, expected distinct names",
    );
}
