//! Any bytes are split into records and damage, without gaps and without overlap.
#![no_main]

use barograph_export::persistent_queue::{Found, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (salt, segment) = input;
    let Ok(found) = scan(salt, segment) else {
        return;
    };
    // Positions begin after the header of a segment.
    let mut at = 16;
    for found in found {
        let end = match found {
            Found::Record(record) => {
                assert_eq!(record.at, at);
                assert!(record.at < record.body().start && record.body().end == record.end);
                let _ = &segment[record.body()];
                record.end
            }
            Found::Damage(damage) => {
                assert_eq!(damage.at, at);
                assert_eq!(damage.is_tail, damage.end == segment.len());
                damage.end
            }
        };
        assert!(end > at);
        at = end;
    }
    assert_eq!(at, segment.len().max(16));
});
