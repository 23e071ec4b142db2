extern crate barograph_core as barograph;

use barograph::labels::LabelValue;

#[derive(LabelValue)]
enum Twice {
    Web,
    #[label(name = "web")]
    Site,
}

#[derive(LabelValue)]
#[label(name = "kind")]
enum NameOfTheEnum {
    Web,
}

#[derive(LabelValue)]
enum Attributes {
    #[label(rename = "web")]
    Web,
    #[label(name = 1)]
    Phone,
    #[label(name = "a", name = "b")]
    Shop,
    #[label]
    Other,
}

fn main() {}
