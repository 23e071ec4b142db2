//! Enums as the values of a label: the text of each variant.

use barograph_core::labels::LabelValue;

mod elsewhere {
    // Only the derive is imported from the library here.
    #[derive(barograph_core::labels::LabelValue)]
    #[label(crate = "barograph_core")]
    #[allow(dead_code)]
    pub enum Kind {
        Web,
        PhoneCall,
        HTTPServer,
        #[label(name = "b2b partner")]
        Partner,
        #[deprecated]
        Fax,
        r#Self_,
    }
}

#[derive(LabelValue, Clone, Copy)]
#[label(crate = "::barograph_core")]
#[repr(u8)]
enum Status {
    Ok = 200,
    Gone = 10,
}

fn main() {
    use elsewhere::Kind;

    let names = ["web", "phone_call", "http_server", "b2b partner", "fax", "self_"];
    assert_eq!(Kind::NAMES, names);
    assert_eq!(Kind::Web.index(), 0);
    assert_eq!(Kind::Partner.index(), 3);
    assert_eq!(Status::NAMES, ["ok", "gone"]);
    // The position in `NAMES`, whatever the discriminants are.
    assert_eq!([Status::Ok.index(), Status::Gone.index()], [0, 1]);
}
